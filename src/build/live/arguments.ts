import { NetkilnError } from "../../lib/errors.ts";
import { parsePassthrough, splitWords } from "../layer/passthrough.ts";

/** What a session passes on to ansible-playbook, with what may not stand among arguments taken out of it. */
export interface LiveArguments {
  readonly words: readonly string[];
  /** Hosts and groups, as Ansible's patterns; everything when undefined. */
  readonly limit: string | undefined;
  /** Contents of files of variables: whoever may list processes reads arguments. */
  readonly variables: readonly string[];
}

/** Throws `invalid_input`; a limit of the passed words goes before `limit`, as Ansible takes the last. */
export function liveArguments(passthrough: string, limit: string | undefined): LiveArguments {
  const words: string[] = [];
  const variables: string[] = [];
  let patterns = limit === "" ? undefined : limit;
  const given = parsePassthrough(passthrough);
  for (let index = 0; index < given.length; index += 1) {
    const word = given[index] ?? "";
    const [, name, joined] = /^(--limit|--extra-vars)=(.*)$/s.exec(word) ?? /^(-[le])(.+)$/s.exec(word) ?? [];
    const option = name ?? word;
    if (!["--limit", "-l", "--extra-vars", "-e"].includes(option)) {
      words.push(word);
      continue;
    }
    const value = joined ?? given[++index] ?? "";
    if (option === "--limit" || option === "-l") patterns = value;
    else variables.push(variablesText(value));
  }
  // `@FILE` would name a file of this host, whose lines Ansible tells when they are no hosts.
  if (patterns?.split(/[,:]/).some((part) => part.trim().startsWith("@")) === true) {
    throw new NetkilnError("invalid_input", "ansible_limit cannot name a file");
  }
  return { words, limit: patterns, variables };
}

/** `a=1 b='x y'` as Ansible reads it: every value is a text. JSON and YAML are left as they are. */
function variablesText(value: string): string {
  if (/^\s*[[{]/.test(value)) return value;
  const pairs = splitWords(value).map((word) => {
    const [, name, text = ""] = /^([^=]+)=(.*)$/s.exec(word) ?? [];
    if (name !== undefined) return [name, text] as const;
    throw new NetkilnError(
      "invalid_input",
      `ansible_passthrough: --extra-vars: "${word}" is not of the form NAME=VALUE`,
    );
  });
  return JSON.stringify(Object.fromEntries(pairs));
}
