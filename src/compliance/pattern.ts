import { RE2JS } from "re2js";

/**
 * Line patterns as goss reads them for `contents`, `stdout` and `stderr` (goss matchers/have_patterns.go):
 * "foo", "!foo", "/re/", "!/re/", "/re/i" and "\\!foo" for a text that begins with one of the special characters.
 */
export interface LinePattern {
  /** As written in the checks. */
  readonly source: string;
  readonly inverse: boolean;
  matches(line: string): boolean;
}

/** Go's RE2 syntax, in linear time; throws an Error with the engine's words when `pattern` is not valid. */
export function compileRegExp(pattern: string): { test(text: string): boolean } {
  return RE2JS.compile(pattern);
}

/** Throws an Error when the pattern between the slashes is not a valid regular expression. */
export function compileLinePattern(source: string): LinePattern {
  const inverse = source.startsWith("!");
  const expression = regExpBetweenSlashes(inverse ? source.slice(1) : source);
  if (expression !== undefined) {
    const compiled = compileRegExp(expression);
    return { source, inverse, matches: (line) => compiled.test(line) };
  }
  const text = source.replace(/^[\\/!]+/, "");
  return { source, inverse, matches: (line) => line.includes(text) };
}

/** "/re/i" -> "(?i)re"; undefined when the text is no such form, as "/etc/passwd" is not. */
function regExpBetweenSlashes(text: string): string | undefined {
  const parts = /^\/([\s\S]*)\/([ims]*)$/.exec(text);
  if (parts === null) return undefined;
  const [, expression = "", flags = ""] = parts;
  return flags === "" ? expression : `(?${flags})${expression}`;
}

export interface PatternMismatch {
  /** Patterns that no line has. */
  readonly missing: readonly string[];
  /** Forbidden patterns and the first line (from 1) that has each. */
  readonly forbidden: readonly { pattern: string; line: number }[];
}

/** Looks every pattern up in the lines of `text`; undefined when all of them hold. */
export function findPatternMismatch(patterns: readonly LinePattern[], text: string): PatternMismatch | undefined {
  const lines = linesOf(text);
  const missing: string[] = [];
  const forbidden: { pattern: string; line: number }[] = [];
  for (const pattern of patterns) {
    const index = lines.findIndex((line) => pattern.matches(line));
    if (pattern.inverse && index >= 0) forbidden.push({ pattern: pattern.source, line: index + 1 });
    // goss lets the empty pattern hold for an empty text, which has no line to find it in.
    if (!pattern.inverse && index < 0 && pattern.source !== "") missing.push(pattern.source);
  }
  return missing.length + forbidden.length === 0 ? undefined : { missing, forbidden };
}

/** Lines as Go's bufio.Scanner gives them: no empty line after the last newline, a trailing CR dropped. */
function linesOf(text: string): string[] {
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
