import { isDeepStrictEqual } from "node:util";
import type { Matcher } from "./matcher.ts";
import { findPatternMismatch, type LinePattern } from "./pattern.ts";

/** The matcher cannot say yes or no about such a value, as "gt" cannot about "abc". Never a pass, also under "not". */
export class CannotCompare extends Error {
  override readonly name = "CannotCompare";
}

export interface MatchResult {
  readonly matched: boolean;
  /** What is missing or too much, where the two values alone do not show it. */
  readonly detail?: string;
}

const yes: MatchResult = { matched: true };

/**
 * Holds `found` against a matcher as goss does, with its automatic transforms (goss matchers/type_conversion.go).
 * Throws CannotCompare when the two do not go together.
 */
export function match(matcher: Matcher, found: unknown): MatchResult {
  switch (matcher.op) {
    case "literal":
      return verdict(matchesLiteral(matcher.value, found));
    case "equal":
      return verdict(isDeepStrictEqual(found, matcher.value));
    case "have-prefix":
      return verdict(toText(found).startsWith(matcher.text));
    case "have-suffix":
      return verdict(toText(found).endsWith(matcher.text));
    case "contain-substring":
      return verdict(toText(found).includes(matcher.text));
    case "match-regexp":
      return verdict(matcher.regExp.test(toText(found)));
    case "have-patterns":
      return matchPatterns(matcher.patterns, toText(found));
    case "gt":
    case "ge":
    case "lt":
    case "le":
      return verdict(compareNumbers(matcher.op, toNumber(found), matcher.number));
    case "semver-constraint":
      return verdict(matchesRange(matcher.range, found));
    case "have-len":
      return verdict(lengthOf(found) === matcher.length);
    case "have-key":
      return verdict(keysOf(found).some((key) => holds(matcher.matcher, key)));
    case "contain-element":
      return matchElement(matcher.matcher, elementsOf(toArray(found)));
    case "list":
      return matchSubset(matcher.matchers, elementsOf(found));
    case "contain-elements":
      return matchSubset(matcher.matchers, elementsOf(toArray(found)));
    case "consist-of":
      return matchAll(matcher.matchers, elementsOf(found));
    case "not":
      return verdict(!match(matcher.matcher, found).matched);
    case "and":
      return matchEvery(matcher.matchers, found);
    case "or":
      return verdict(matcher.matchers.some((part) => match(part, found).matched));
  }
}

function verdict(matched: boolean): MatchResult {
  return { matched };
}

function matchEvery(matchers: readonly Matcher[], found: unknown): MatchResult {
  for (const matcher of matchers) {
    const result = match(matcher, found);
    if (!result.matched) return result;
  }
  return yes;
}

/** For the elements of a list, where one that cannot be compared is simply not the one looked for. */
function holds(matcher: Matcher, found: unknown): boolean {
  try {
    return match(matcher, found).matched;
  } catch (error) {
    if (error instanceof CannotCompare) return false;
    throw error;
  }
}

function matchesLiteral(expected: string | number | boolean, found: unknown): boolean {
  if (typeof expected === "string") return toText(found) === expected;
  if (typeof expected === "number") return toNumber(found) === expected;
  return found === expected;
}

/** goss's to-string: lists become lines. */
function toText(found: unknown): string {
  return Array.isArray(found) ? found.map(String).join("\n") : String(found);
}

/** goss's to-numeric: decimal text with blanks around it. */
function toNumber(found: unknown): number {
  if (typeof found === "number") return found;
  if (typeof found !== "string" && !Array.isArray(found)) throw new CannotCompare(`${show(found)} is not a number`);
  const text = toText(found).trim();
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new CannotCompare(`${show(text)} is not a number`);
  return Number(text);
}

/** goss's to-array: a text becomes its lines. */
function toArray(found: unknown): unknown {
  return typeof found === "string" ? found.split("\n") : found;
}

function elementsOf(found: unknown): readonly unknown[] {
  if (Array.isArray(found)) return found;
  if (isRecord(found)) return Object.values(found);
  throw new CannotCompare(`${show(found)} is not a list`);
}

function keysOf(found: unknown): readonly string[] {
  if (isRecord(found)) return Object.keys(found);
  throw new CannotCompare(`${show(found)} has no keys`);
}

function lengthOf(found: unknown): number {
  // Go counts the bytes of a string.
  if (typeof found === "string") return Buffer.byteLength(found);
  return elementsOf(found).length;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function compareNumbers(op: "gt" | "ge" | "lt" | "le", found: number, bound: number): boolean {
  if (op === "gt") return found > bound;
  if (op === "ge") return found >= bound;
  return op === "lt" ? found < bound : found <= bound;
}

function matchesRange(range: (version: string) => boolean, found: unknown): boolean {
  const versions = Array.isArray(found) ? found : [found];
  if (versions.length === 0) throw new CannotCompare("there is no version to compare");
  try {
    return versions.every((version) => range(String(version)));
  } catch (error) {
    throw new CannotCompare(error instanceof Error ? error.message : String(error));
  }
}

function matchPatterns(patterns: readonly LinePattern[], text: string): MatchResult {
  const mismatch = findPatternMismatch(patterns, text);
  if (mismatch === undefined) return yes;
  const parts = [
    ...mismatch.missing.map((pattern) => `no line has ${show(pattern)}`),
    ...mismatch.forbidden.map(({ pattern, line }) => `line ${line} is against ${show(pattern)}`),
  ];
  return { matched: false, detail: parts.join("; ") };
}

function matchElement(matcher: Matcher, found: readonly unknown[]): MatchResult {
  return verdict(found.some((element) => holds(matcher, element)));
}

function matchSubset(matchers: readonly Matcher[], found: readonly unknown[]): MatchResult {
  const { unmatched } = pairUp(matchers, found);
  return unmatched.length === 0 ? yes : { matched: false, detail: missingText(unmatched) };
}

function matchAll(matchers: readonly Matcher[], found: readonly unknown[]): MatchResult {
  const { unmatched, unused } = pairUp(matchers, found);
  if (unmatched.length + unused.length === 0) return yes;
  const parts = [
    ...(unmatched.length > 0 ? [missingText(unmatched)] : []),
    ...(unused.length > 0 ? [`not expected: ${unused.map(show).join(", ")}`] : []),
  ];
  return { matched: false, detail: parts.join("; ") };
}

function missingText(matchers: readonly Matcher[]): string {
  const texts = matchers.map((matcher) => (matcher.op === "literal" ? show(matcher.value) : `one for ${matcher.op}`));
  return `missing: ${texts.join(", ")}`;
}

/**
 * Gives every matcher an element of its own where it can be done: a greatest bipartite matching by augmenting paths,
 * as gomega does for ContainElements and ConsistOf (two matchers are not satisfied by one element).
 */
function pairUp(matchers: readonly Matcher[], found: readonly unknown[]): { unmatched: Matcher[]; unused: unknown[] } {
  const takenBy = new Map<number, number>();
  const fits = matchers.map((matcher) => found.map((element) => holds(matcher, element)));
  const place = (matcher: number, tried: Set<number>): boolean => {
    for (const element of found.keys()) {
      if (fits[matcher]?.[element] !== true || tried.has(element)) continue;
      tried.add(element);
      const holder = takenBy.get(element);
      if (holder === undefined || place(holder, tried)) {
        takenBy.set(element, matcher);
        return true;
      }
    }
    return false;
  };
  const unmatched = matchers.filter((_, index) => !place(index, new Set()));
  return { unmatched, unused: found.filter((_, index) => !takenBy.has(index)) };
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? "nothing";
}
