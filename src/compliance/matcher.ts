import { compileLinePattern, compileRegExp, type LinePattern } from "./pattern.ts";
import { parseSemverRange, type SemverRange } from "./semver.ts";

/** What a check expects of a value, read from goss's YAML form (goss resource/gomega.go). */
export type Matcher =
  | { readonly op: "literal"; readonly value: string | number | boolean }
  | { readonly op: "equal"; readonly value: unknown }
  | { readonly op: "have-prefix" | "have-suffix" | "contain-substring"; readonly text: string }
  | {
      readonly op: "match-regexp";
      readonly pattern: string;
      readonly regExp: { test(text: string): boolean };
    }
  | { readonly op: "have-patterns"; readonly patterns: readonly LinePattern[] }
  | { readonly op: "gt" | "ge" | "lt" | "le"; readonly number: number }
  | { readonly op: "semver-constraint"; readonly range: SemverRange }
  | { readonly op: "have-len"; readonly length: number }
  | { readonly op: "contain-element" | "have-key" | "not"; readonly matcher: Matcher }
  | {
      readonly op: "list" | "contain-elements" | "consist-of" | "and" | "or";
      readonly matchers: readonly Matcher[];
    };

/** One asserted property: what the checks say about it, as written and as read. */
export interface Expectation {
  readonly raw: unknown;
  readonly matcher: Matcher;
}

/** Tells of a mistake at `path` below the value being read. */
export type ReportMistake = (path: readonly PropertyKey[], message: string) => void;

const textOps = ["have-prefix", "have-suffix", "contain-substring"] as const;
const numberOps = ["gt", "ge", "lt", "le"] as const;
const listOps = ["contain-elements", "and", "or"] as const;
const supportedOps = [
  "equal",
  ...textOps,
  "match-regexp",
  "have-patterns",
  ...numberOps,
  "have-len",
  "have-key",
  "contain-element",
  ...listOps,
  "consist-of",
  "not",
  "semver-constraint",
];
const unsupportedOps = new Set(["gjson", "xml"]);

/** Stands in for a matcher that was reported as a mistake, so that reading goes on and finds the others. */
const unreadable: Matcher = { op: "and", matchers: [] };

/** Reads a matcher; every mistake is reported, and then the result is not to be used. */
export function readMatcher(value: unknown, report: ReportMistake, path: readonly PropertyKey[] = []): Matcher {
  if (typeof value === "string" || typeof value === "boolean") return { op: "literal", value };
  if (typeof value === "number") return { op: "literal", value };
  if (Array.isArray(value)) return { op: "list", matchers: readSomeMatchers(value, report, path) };
  if (value === null || typeof value !== "object") {
    report(path, "has no value; write what is expected, or leave the attribute out");
    return unreadable;
  }
  const entries = Object.entries(value);
  const [entry, ...others] = entries;
  if (entry === undefined) {
    report(path, `an empty matcher expects nothing; use one of ${supportedOps.join(", ")}`);
    return unreadable;
  }
  if (others.length > 0) {
    const names = entries.map(([name]) => name).join(", ");
    report(path, `only one matcher may stand at a place, found ${names}; join them with "and: [...]"`);
  }
  return readOperator(entry[0], entry[1], report, [...path, entry[0]]);
}

/**
 * Reads the value of a `contents`, `stdout` or `stderr` attribute, where a list holds line patterns.
 * An empty list asserts nothing: undefined.
 */
export function readTextMatcher(value: unknown, report: ReportMistake): Matcher | undefined {
  if (!Array.isArray(value)) return readMatcher(value, report);
  return value.length === 0 ? undefined : readPatterns(value, report, []);
}

function readOperator(name: string, value: unknown, report: ReportMistake, path: readonly PropertyKey[]): Matcher {
  const text = oneOf(textOps, name);
  if (text !== undefined) return { op: text, text: readString(value, report, path) };
  const comparison = oneOf(numberOps, name);
  if (comparison !== undefined) return { op: comparison, number: readNumber(value, report, path) };
  const list = oneOf(listOps, name);
  if (list !== undefined) return { op: list, matchers: readSomeMatchers(value, report, path) };
  switch (name) {
    case "equal":
      return { op: "equal", value };
    case "match-regexp":
      return readRegExp(value, report, path);
    case "have-patterns":
      return readPatterns(value, report, path);
    case "semver-constraint":
      return readSemverRange(value, report, path);
    case "consist-of":
      return { op: "consist-of", matchers: readMatchers(value, report, path) };
    case "have-len":
      return { op: "have-len", length: readNumber(value, report, path) };
    case "have-key":
    case "not":
    case "contain-element":
      return { op: name, matcher: readMatcher(value, report, path) };
    default:
      report(
        path,
        unsupportedOps.has(name)
          ? `matcher "${name}" of goss is not supported`
          : `unknown matcher "${name}"; use one of ${supportedOps.join(", ")}`,
      );
      return unreadable;
  }
}

/** goss lets an empty list pass whatever is found; a check that cannot fail is a mistake here. */
function readSomeMatchers(value: unknown, report: ReportMistake, path: readonly PropertyKey[]): readonly Matcher[] {
  if (Array.isArray(value) && value.length === 0) {
    report(path, 'an empty list expects nothing; write "consist-of: []" to expect none');
  }
  return readMatchers(value, report, path);
}

function readMatchers(value: unknown, report: ReportMistake, path: readonly PropertyKey[]): readonly Matcher[] {
  if (!Array.isArray(value)) {
    report(path, "expects a list of matchers");
    return [];
  }
  return value.map((item, index) => readMatcher(item, report, [...path, index]));
}

function readPatterns(value: unknown, report: ReportMistake, path: readonly PropertyKey[]): Matcher {
  if (!Array.isArray(value)) {
    report(path, "expects a list of line patterns");
    return unreadable;
  }
  const patterns = value.flatMap((item, index) => {
    try {
      if (typeof item === "string") return [compileLinePattern(item)];
      report([...path, index], `a line pattern is a string; write ${JSON.stringify(String(item))} in quotes`);
    } catch (error) {
      report([...path, index], regExpMistake(error));
    }
    return [];
  });
  return { op: "have-patterns", patterns };
}

function readRegExp(value: unknown, report: ReportMistake, path: readonly PropertyKey[]): Matcher {
  const pattern = readString(value, report, path);
  try {
    return { op: "match-regexp", pattern, regExp: compileRegExp(pattern) };
  } catch (error) {
    report(path, regExpMistake(error));
    return unreadable;
  }
}

function readSemverRange(value: unknown, report: ReportMistake, path: readonly PropertyKey[]): Matcher {
  const text = readString(value, report, path);
  if (typeof value !== "string") return unreadable;
  try {
    return { op: "semver-constraint", range: parseSemverRange(text) };
  } catch (error) {
    report(path, error instanceof Error ? error.message : String(error));
    return unreadable;
  }
}

function regExpMistake(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return `not a regular expression in Go's (RE2) syntax: ${reason}`;
}

function readString(value: unknown, report: ReportMistake, path: readonly PropertyKey[]): string {
  if (typeof value === "string") return value;
  report(path, "expects a string");
  return "";
}

function readNumber(value: unknown, report: ReportMistake, path: readonly PropertyKey[]): number {
  if (typeof value === "number") return value;
  report(path, "expects a number");
  return 0;
}

function oneOf<T extends string>(names: readonly T[], name: string): T | undefined {
  return names.find((candidate) => candidate === name);
}
