import { NetkilnError } from "../../lib/errors.ts";

/** Options of ansible-playbook that say what of a play runs, or how much it tells; each with whether it takes a value. */
const allowed: Readonly<Record<string, boolean>> = {
  "--limit": true,
  "-l": true,
  "--tags": true,
  "-t": true,
  "--skip-tags": true,
  "--extra-vars": true,
  "-e": true,
  "--start-at-task": true,
  "--forks": true,
  "-f": true,
  "--force-handlers": false,
  "--flush-cache": false,
  "--diff": false,
  "-D": false,
  "--verbose": false,
};

/**
 * Arguments for ansible-playbook out of what CFS calls `ansible_passthrough`: words as in a shell, without anything
 * that a shell would do with them. Throws `invalid_input` for options that reach the build host (files, connections,
 * inventories) or that keep the play from doing its work.
 */
export function parsePassthrough(text: string): string[] {
  const words = splitWords(text);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (/^-v+$/.test(word)) continue;
    const [, name, value] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? /^(-[ltef])(.+)$/s.exec(word) ?? [word, word];
    const takesValue = allowed[name ?? ""];
    if (takesValue === undefined) {
      throw new NetkilnError("invalid_input", `ansible_passthrough: "${word}" is not an option that is passed on`, {
        hint: `these are: ${Object.keys(allowed).join(" ")} -v`,
      });
    }
    if (value !== undefined && !takesValue) throw misused(name, "takes no value");
    if (!takesValue) continue;
    const given = value ?? words[++index];
    if (given === undefined) throw misused(name, "needs a value");
    if (given.startsWith("@") && /^(-e|--extra-vars|-l|--limit)$/.test(name ?? ""))
      throw misused(name, "cannot name a file");
  }
  return words;
}

function misused(name: string | undefined, why: string): NetkilnError {
  return new NetkilnError("invalid_input", `ansible_passthrough: ${name} ${why}`);
}

/** Words as POSIX shells split them, with quotes and backslashes (Shell Command Language, 2.2). */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  const token = /\s+|\\([\s\S])|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|([^\s\\'"]+)/y;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) {
      throw new NetkilnError("invalid_input", `ansible_passthrough: a quote is not closed: ${text.slice(at)}`);
    }
    const part = match[1] ?? match[2] ?? match[3]?.replaceAll(/\\(["\\$`])/g, "$1") ?? match[4];
    if (part !== undefined) word = (word ?? "") + part;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
}
