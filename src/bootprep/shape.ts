/**
 * How a bootprep file's mappings are checked: zod's objects, but a choice is made by the key that is present, so
 * that an operator reads one sentence about the layer that they wrote instead of three about those they did not.
 */
import { z } from "zod";
import { formatPath, type YamlSource } from "../lib/yaml.ts";
import type { Problem } from "../lib/errors.ts";

const missing = "is missing";

/** How a schema of this file is made up: what its mistakes are told by, and what it is shown to people by. */
export type Structure =
  | { readonly kind: "mapping"; readonly shape: z.ZodRawShape; readonly rules: MappingRules }
  | { readonly kind: "choice"; readonly forms: readonly z.ZodType[]; readonly keys: readonly string[] }
  | { readonly kind: "table"; readonly item: z.ZodType };

const structures = new WeakMap<z.ZodType, Structure>();

export function structureOf(schema: z.ZodType): Structure | undefined {
  return structures.get(schema);
}

export interface MappingRules {
  /** What it is, for those who read the schema. */
  readonly about?: string;
  /** Another form took its place. */
  readonly deprecated?: boolean;
  /** Unknown keys are carried along instead of refused. */
  readonly open?: boolean;
  /** `[key, companion]`: the first is of no use without the second. */
  readonly needs?: readonly (readonly [string, string])[];
  /** An empty one says nothing and is a mistake. */
  readonly notEmpty?: boolean;
}

/** A mapping whose unknown keys are mistakes at the key's own place. */
export function mapping<S extends z.ZodRawShape>(shape: S, rules: MappingRules = {}) {
  const keys = Object.keys(shape);
  const object = rules.open === true ? z.looseObject(shape) : z.object(shape);
  const schema = z.unknown().transform((value, context): z.output<z.ZodObject<S>> => {
    const given = isMapping(value) ? Object.keys(value) : undefined;
    if (given === undefined) return refuse(context, value, expected("a mapping", value));
    if (rules.open !== true) reportUnknown(context, value, given, keys);
    for (const [key, companion] of rules.needs ?? []) {
      if (given.includes(key) && !given.includes(companion)) {
        context.issues.push({
          code: "custom",
          input: value,
          path: [],
          message: `${key} needs ${companion}`,
          params: { key },
        });
      }
    }
    if (rules.notEmpty === true && given.length === 0) refuse(context, value, `one of ${keys.join(", ")} is needed`);
    return delegate(context, object, value) as z.output<z.ZodObject<S>>;
  });
  structures.set(schema, { kind: "mapping", shape, rules });
  return schema;
}

/**
 * A mapping that takes one of several forms, told apart by the one key that only that form has. `common` holds the
 * keys of every form, which are checked even when no form can be chosen. A form named in `common` is the one to
 * take when no other is given (a product's `version` beside `branch` or `commit`).
 */
export function oneOf<C extends Readonly<Record<string, z.ZodType>>>(forms: C, common: z.ZodRawShape = {}) {
  const names = Object.keys(forms);
  const keys = [
    ...new Set([...Object.keys(common), ...names, ...Object.values(forms).flatMap((form) => keysOf(form))]),
  ];
  const rest = z.object(common);
  const schema = z.unknown().transform((value, context): z.output<C[keyof C]> => {
    if (!isMapping(value)) return refuse(context, value, expected("a mapping", value));
    const given = names.filter((name) => Object.hasOwn(value, name));
    const chosen = given.length > 1 ? given.filter((name) => !Object.hasOwn(common, name)) : given;
    const form = chosen.length === 1 ? forms[chosen[0] ?? ""] : undefined;
    if (form !== undefined) return delegate(context, form, value) as z.output<C[keyof C]>;
    reportUnknown(context, value, Object.keys(value), keys);
    delegate(context, rest, value);
    const message =
      chosen.length === 0
        ? `one of ${names.join(", ")} is needed`
        : `only one of ${listOf(chosen, "and")} can be given`;
    return refuse(context, value, message);
  });
  structures.set(schema, { kind: "choice", forms: Object.values(forms), keys });
  return schema;
}

export function text(rules: { readonly nonEmpty?: boolean } = {}): z.ZodString {
  const type = z.string({ error: (issue) => describeType("text", issue.input) });
  return rules.nonEmpty === true ? type.min(1, "must not be empty") : type;
}

export function truth(): z.ZodBoolean {
  return z.boolean({ error: (issue) => describeType("true or false", issue.input) });
}

export function oneWord<const W extends readonly [string, ...string[]]>(words: W) {
  return z.enum(words, { error: (issue) => describeType(listOf(words, "or"), issue.input) });
}

export function list<T extends z.ZodType>(item: T): z.ZodArray<T> {
  return z.array(item, { error: (issue) => describeType("a list", issue.input) });
}

/** Text, or whatever else the schema says. `plain` says what the text is. */
export function textOr<T extends z.ZodType>(plain: z.ZodString, schema: T) {
  const either = z
    .unknown()
    .transform((value, context): string | z.output<T> =>
      typeof value === "string" ? value : (delegate(context, schema, value) as z.output<T>),
    );
  structures.set(either, { kind: "choice", forms: [schema, plain], keys: [] });
  return either;
}

/** A mapping from names that the operator chooses to values of one kind; an empty one is a mistake. */
export function table<T extends z.ZodType>(item: T, noun: string, about: string) {
  const schema = z
    .record(z.string(), item, { error: (issue) => describeType("a mapping", issue.input) })
    .refine((entries) => Object.keys(entries).length > 0, `at least one ${noun} is needed`)
    .describe(about);
  structures.set(schema, { kind: "table", item });
  return schema;
}

/** All mistakes of a parsed document, each at the line and column of the value or key that is wrong. */
export function checkShape(schema: z.ZodType, source: YamlSource): readonly Problem[] {
  const result = schema.safeParse(source.value);
  if (result.success) return [];
  return result.error.issues.map((issue) => problemOf(issue, source));
}

/** The word of `known` that was probably meant: at most a third of its letters differ, and never more than two. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    if (Math.abs(word.length - candidate.length) > 2 || word.length > 100) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    const limit = Math.min(2, Math.floor(Math.max(word.length, candidate.length) / 3));
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { word: candidate, distance };
  }
  return best?.word;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(words: readonly string[], conjunction: "and" | "or"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${conjunction} ${words.at(-1)}`;
}

function keysOf(schema: z.ZodType): readonly string[] {
  const structure = structures.get(schema);
  if (structure?.kind === "mapping") return Object.keys(structure.shape);
  return structure?.kind === "choice" ? structure.keys : [];
}

function reportUnknown(
  context: z.RefinementCtx,
  value: unknown,
  given: readonly string[],
  known: readonly string[],
): void {
  for (const key of given) {
    if (known.includes(key)) continue;
    const meant = nearest(key, known);
    const hint = meant === undefined ? `known keys: ${known.join(", ")}` : `did you mean ${meant}?`;
    context.issues.push({ code: "custom", input: value, path: [], params: { unknown: key, hint } });
  }
}

function refuse(context: z.RefinementCtx, value: unknown, message: string): never {
  context.issues.push({ code: "custom", input: value, path: [], message });
  return z.NEVER;
}

/** Checks `value` with another schema and passes its mistakes on with their own paths. */
function delegate(context: z.RefinementCtx, schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
  return z.NEVER;
}

function describeType(wanted: string, input: unknown): string {
  return input === undefined ? missing : expected(wanted, input);
}

function expected(wanted: string, input: unknown): string {
  if (input === undefined) return missing;
  const quoting =
    wanted === "text" && (typeof input === "number" || typeof input === "boolean") ? "; put it in quotes" : "";
  return `expected ${wanted}, got ${described(input)}${quoting}`;
}

function described(input: unknown): string {
  if (input === null) return "nothing";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "a mapping";
  return typeof input === "string" ? `"${input}"` : `${typeof input === "number" ? "the number " : ""}${String(input)}`;
}

function problemOf(issue: z.core.$ZodIssue, source: YamlSource): Problem {
  const { file } = source;
  const path = issue.path;
  const name = formatPath(path);
  const params = issue.code === "custom" ? (issue.params ?? {}) : {};
  if (typeof params["unknown"] === "string") {
    const where = name === "" ? "" : ` in ${name}`;
    const message = `unknown key "${params["unknown"]}"${where}`;
    return {
      file,
      ...source.atKey([...path, params["unknown"]]),
      message,
      hint: String(params["hint"]),
    };
  }
  const place = typeof params["key"] === "string" ? source.atKey([...path, params["key"]]) : source.at(path);
  return { file, ...place, message: messageOf(name, issue.message, source.value) };
}

function messageOf(name: string, message: string, document: unknown): string {
  if (name === "") return document === null || document === undefined ? "the file is empty" : message;
  return message === missing ? `${name} is missing` : `${name}: ${message}`;
}

function editDistance(left: string, right: string): number {
  // Optimal string alignment (Damerau-Levenshtein without repeated edits): swapped neighbours are one typing mistake.
  const rows: number[][] = [Array.from({ length: right.length + 1 }, (_, index) => index)];
  const at = (row: number, column: number) => rows[row]?.[column] ?? Infinity;
  for (let row = 1; row <= left.length; row += 1) {
    const line = [row];
    rows.push(line);
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1] ? 0 : 1;
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      line.push(
        Math.min(
          at(row - 1, column) + 1,
          (line[column - 1] ?? Infinity) + 1,
          at(row - 1, column - 1) + same,
          swapped ? at(row - 2, column - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return at(left.length, right.length);
}
