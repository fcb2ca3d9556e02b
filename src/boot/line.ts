import { NetkilnError } from "../lib/errors.ts";

/**
 * Refuses a text that would end its line of an iPXE script or begin another command in it. iPXE splits a line at white
 * space and takes the words `||`, `&&` and `;` as separators and a word that begins with `#` as a comment
 * (src/core/exec.c of iPXE: split_command, command_terminator).
 */
export function requireOneLine(text: string, what: string): string {
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) {
    throw new NetkilnError("invalid_input", `${what} holds a line break or another control character`, {
      hint: "write everything on one line",
    });
  }
  const word = text.split(" ").find((part) => part === "||" || part === "&&" || part === ";" || part.startsWith("#"));
  if (word !== undefined) {
    throw new NetkilnError("invalid_input", `${what} holds the word "${word}", which iPXE takes as its own`);
  }
  return text;
}

/** As requireOneLine, and without white space: a link, a name. */
export function requireOneWord(text: string, what: string): string {
  if (/\s/u.test(text)) throw new NetkilnError("invalid_input", `${what} holds white space`);
  return requireOneLine(text, what);
}
