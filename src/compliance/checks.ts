import { posix } from "node:path";
import { NetkilnError, type Problem } from "../lib/errors.ts";
import { sha256 } from "../lib/files.ts";
import { Recent } from "../lib/recent.ts";
import { countOf } from "../lib/text.ts";
import { checkYaml, parseYaml, type YamlSource } from "../lib/yaml.ts";
import type { Expectation } from "./matcher.ts";
import { checksSchema, deferredTypes, isAbsolutePath, pathRule, type ChecksDocument } from "./schema.ts";

/** A file of checks as it came from a recipe. */
export interface ChecksFile {
  /** Its name in results and messages; what it includes is named relative to it. */
  readonly file: string;
  readonly text: string;
}

export interface Assertion {
  readonly property: string;
  readonly expectation: Expectation;
}

interface ResourceFacts {
  /** The key under its type, as results name it. */
  readonly id: string;
  readonly title?: string;
  readonly skip: boolean;
}

/** A resource that is answered from the tree; `subject` is the path, package, user, group, unit or parameter. */
export interface TreeResource extends ResourceFacts {
  readonly kind: "tree";
  readonly type: TreeType;
  readonly subject: string;
  /** In goss's order: the first one decides whether the others are looked at. */
  readonly assertions: readonly Assertion[];
}

export interface CommandResource extends ResourceFacts {
  readonly kind: "command";
  readonly type: "command";
  readonly exec: string;
  readonly timeoutMs: number;
  readonly retryCount: number;
  readonly retryDelayMs: number;
  readonly assertions: readonly Assertion[];
}

/** A resource of a type that only a booted node can answer. */
export interface DeferredResource extends ResourceFacts {
  readonly kind: "deferred";
  readonly type: keyof typeof deferredTypes;
  readonly properties: readonly { readonly property: string; readonly raw: unknown }[];
}

export type Resource = TreeResource | CommandResource | DeferredResource;
export type TreeType = "file" | "package" | "user" | "group" | "service" | "kernel-param";

export interface ParsedChecks {
  readonly file: string;
  /** Of its text, lower-case hexadecimal. */
  readonly sha256: string;
  /** By type in a fixed order, commands last, and as written within a type. */
  readonly resources: readonly Resource[];
  /** Files that its `gossfile` entries name, relative to the same place as `file` is. */
  readonly includes: readonly string[];
}

/** The attribute that names the subject when the id does not, and the properties in the order goss takes them. */
const treeTypes: Readonly<Record<TreeType, { name: string; properties: readonly string[] }>> = {
  file: {
    name: "path",
    properties: [
      "exists",
      "mode",
      "owner",
      "uid",
      "group",
      "gid",
      "linked-to",
      "filetype",
      "contents",
      "size",
      "md5",
      "sha256",
      "sha512",
    ],
  },
  package: { name: "name", properties: ["installed", "versions"] },
  user: { name: "username", properties: ["exists", "uid", "gid", "home", "groups", "shell"] },
  group: { name: "groupname", properties: ["exists", "gid"] },
  service: { name: "name", properties: ["enabled", "running", "runlevels"] },
  "kernel-param": { name: "name", properties: ["value"] },
};

const defaultTimeoutMs = 10_000;
const defaultRetryDelayMs = 1_000;

/** Reads one file of checks; throws `invalid_input` with every mistake and its place. */
export function parseChecks(file: string, text: string): ParsedChecks {
  const { checks, problems } = readChecks({ file, text });
  if (checks === undefined) throw mistakes(file, problems);
  return checks;
}

/** As parseChecks, for all files of a gate: one error tells the mistakes of all of them. */
export function parseAllChecks(files: readonly ChecksFile[]): readonly ParsedChecks[] {
  if (files.length === 0) {
    throw new NetkilnError("invalid_input", "the gate has no file of checks", {
      hint: "name at least one goss file under the gate's checks, or leave the gate out",
    });
  }
  const read = files.map(({ file, text }) => readChecks({ file: posix.normalize(file), text }));
  const parsed = read.flatMap(({ checks }) => (checks === undefined ? [] : [checks]));
  const problems = [
    ...read.flatMap((result) => result.problems),
    ...findDuplicates(files),
    ...missingIncludes(parsed, files),
  ];
  if (problems.length > 0) throw mistakes(files.length === 1 ? (files[0]?.file ?? "") : "the checks", problems);
  return parsed;
}

function mistakes(what: string, problems: readonly Problem[]): NetkilnError {
  const verb = what === "the checks" ? "have" : "has";
  return new NetkilnError("invalid_input", `${what} ${verb} ${countOf(problems.length, "mistake")}`, { problems });
}

interface ReadChecks {
  readonly checks?: ParsedChecks;
  readonly problems: readonly Problem[];
}

/** Characters of files of checks: those of an image are read when it is planned, by each who plans, and once more. */
const keptCharacters = 4_000_000;
const kept = new Recent<ReadChecks>(keptCharacters);

function readChecks(asked: ChecksFile): ReadChecks {
  const key = `${asked.file}\0${asked.text}`;
  const read = kept.get(key) ?? parseFile(asked);
  kept.put(key, read, key.length);
  return read;
}

function parseFile({ file, text }: ChecksFile): ReadChecks {
  const templates = findTemplates(file, text);
  if (templates.length > 0) return { problems: templates };
  const source = parseYaml(text, file);
  // A file of nothing but comments is a map without entries: it parses, and evaluates nothing.
  const { value, problems } = checkYaml(checksSchema, source.value === null ? { ...source, value: {} } : source);
  const all = [...problems, ...findRelativePaths(source), ...findBadIncludes(source)];
  if (value === undefined || all.length > 0) return { problems: all.sort(byPlace) };
  return {
    checks: {
      file,
      sha256: sha256(text),
      resources: [...treeResources(value), ...deferredResources(value), ...commandResources(value)],
      includes: includesOf(value, file),
    },
    problems: [],
  };
}

function byPlace(a: Problem, b: Problem): number {
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}

function findTemplates(file: string, text: string): Problem[] {
  return text.split("\n").flatMap((line, index) => {
    const column = line.indexOf("{{");
    if (column < 0) return [];
    const message = "goss templates ({{ … }}) are not supported";
    return [
      {
        file,
        line: index + 1,
        column: column + 1,
        message,
        hint: "render the file first, with goss render",
      },
    ];
  });
}

/** The schema sees a resource without its id, so that the id as a path is looked at here. */
function findRelativePaths(source: YamlSource): Problem[] {
  return entriesOf(source.value, "file").flatMap(([id, attributes]) =>
    isAbsolutePath(id) || entryOf(attributes, "path") !== undefined
      ? []
      : [{ file: source.file, ...source.atKey(["file", id]), message: `file.${id}: ${pathRule}` }],
  );
}

function findBadIncludes(source: YamlSource): Problem[] {
  return entriesOf(source.value, "gossfile").flatMap(([id, attributes]) => {
    const path = entryOf(attributes, "file") ?? id;
    if (typeof path === "string" && !path.startsWith("/") && !/[*?[\]]/.test(path)) return [];
    const message = `gossfile.${id}: must be the relative path of one file; absolute paths and globs are not supported`;
    return [{ file: source.file, ...source.atKey(["gossfile", id]), message }];
  });
}

function entriesOf(value: unknown, key: string): [string, unknown][] {
  const section = entryOf(value, key);
  return section !== null && typeof section === "object" ? Object.entries(section) : [];
}

function entryOf(value: unknown, key: string): unknown {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>)[key] : undefined;
}

function treeResources(document: ChecksDocument): TreeResource[] {
  const types = Object.keys(treeTypes) as TreeType[];
  return types.flatMap((type) =>
    Object.entries(document[type] ?? {}).map(([id, parsed]): TreeResource => {
      const { name, properties } = treeTypes[type];
      const attributes: Readonly<Record<string, unknown>> = { ...parsed };
      const subject = attributes[name];
      return {
        kind: "tree",
        type,
        ...factsOf(id, parsed),
        subject: typeof subject === "string" ? subject : id,
        assertions: properties.flatMap((property) => {
          const written =
            property === "contents" ? (attributes[property] ?? attributes["contains"]) : attributes[property];
          return written === undefined ? [] : [{ property, expectation: written as Expectation }];
        }),
      };
    }),
  );
}

function commandResources(document: ChecksDocument): CommandResource[] {
  return Object.entries(document.command ?? {}).map(([id, parsed]) => ({
    kind: "command",
    type: "command",
    ...factsOf(id, parsed),
    exec: parsed.exec ?? id,
    // goss takes 0 as "not given".
    timeoutMs: parsed.timeout || defaultTimeoutMs,
    retryCount: parsed.retry_count ?? 0,
    retryDelayMs: parsed.retry_delay || defaultRetryDelayMs,
    assertions: (["exit-status", "stdout", "stderr"] as const).flatMap((property) => {
      const expectation = parsed[property];
      return expectation === undefined ? [] : [{ property, expectation }];
    }),
  }));
}

function deferredResources(document: ChecksDocument): DeferredResource[] {
  const types = Object.keys(deferredTypes) as (keyof typeof deferredTypes)[];
  return types.flatMap((type) =>
    Object.entries(document[type] ?? {}).map(([id, parsed]): DeferredResource => {
      const attributes: Readonly<Record<string, unknown>> = { ...parsed };
      const properties = deferredTypes[type].asserted
        .filter((property) => attributes[property] !== undefined)
        .map((property) => ({ property, raw: attributes[property] }));
      return { kind: "deferred", type, ...factsOf(id, parsed), properties };
    }),
  );
}

function factsOf(id: string, attributes: { readonly title?: unknown; readonly skip?: unknown }): ResourceFacts {
  return {
    id,
    ...(typeof attributes.title === "string" && { title: attributes.title }),
    skip: attributes.skip === true,
  };
}

function includesOf(document: ChecksDocument, file: string): string[] {
  return Object.entries(document.gossfile ?? {})
    .filter(([, entry]) => entry.skip !== true)
    .map(([id, entry]) => posix.join(posix.dirname(file), entry.file ?? id));
}

function findDuplicates(files: readonly ChecksFile[]): Problem[] {
  const names = files.map(({ file }) => posix.normalize(file));
  const repeated = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  return [...repeated].map((file) => ({ file, message: "is given more than once" }));
}

/** What a gate reads is listed by the gate, so that its key covers it: an include must be one of the given files. */
function missingIncludes(parsed: readonly ParsedChecks[], files: readonly ChecksFile[]): Problem[] {
  const given = new Set(files.map(({ file }) => posix.normalize(file)));
  return parsed.flatMap(({ file, includes }) =>
    includes
      .filter((include) => !given.has(include))
      .map((include) => ({
        file,
        message: `gossfile: ${include} is not one of the gate's files of checks`,
        hint: `add ${include} to the checks of the gate`,
      })),
  );
}
