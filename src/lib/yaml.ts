import { isScalar, LineCounter, parseDocument, stringify, visit, type Document, type Node } from "yaml";
import type { z } from "zod";
import { NetkilnError, type Problem } from "./errors.ts";
import { countOf } from "./text.ts";

/** A parsed YAML (or JSON) document that remembers where everything stands. */
export interface YamlSource {
  readonly file: string;
  readonly text: string;
  readonly value: unknown;
  /** Mistakes of the YAML itself; `value` is not to be trusted when there are any. */
  readonly problems: readonly Problem[];
  /** Where the value at `path` begins; the nearest existing parent when `path` itself is absent. */
  at(path: readonly PropertyKey[]): { line: number; column: number };
  /** Where the key of `path` begins: what to show for a key that should not be there. */
  atKey(path: readonly PropertyKey[]): { line: number; column: number };
}

/** Parses `text`; mistakes are returned, not thrown, so that they can be reported with those of the schema. */
export function parseYaml(text: string, file: string): YamlSource {
  const lines = new LineCounter();
  // maxAliasCount bounds what a "billion laughs" document can expand to.
  // Merge keys (<<) are of YAML 1.1, and the files that PyYAML reads use them.
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false, merge: true });
  keepNumericKeys(document);
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const problems: Problem[] = document.errors.map((error) => ({
    file,
    ...place(error.pos[0]),
    message: error.message.replace(/\n[\s\S]*$/, ""),
  }));
  let value: unknown;
  if (problems.length === 0) {
    try {
      value = document.toJS({ maxAliasCount: 1000 });
    } catch (error) {
      problems.push({ file, line: 1, column: 1, message: error instanceof Error ? error.message : String(error) });
    }
  }
  return {
    file,
    text,
    value,
    problems,
    at: (path) => place(offsetOfValue(document, path)),
    atKey: (path) => place(offsetOfKey(document, path)),
  };
}

/** Keys become texts: of a version such as 2.10, the text that was written, and not the number without its zero. */
function keepNumericKeys(document: Document): void {
  visit(document, {
    Pair: (_, { key }) => {
      if (isScalar(key) && typeof key.value === "number" && key.source !== undefined) key.value = key.source;
    },
  });
}

/** Parses and checks a document in one go; throws one `invalid_input` with every mistake and its place. */
export function parseYamlAs<T>(schema: z.ZodType<T>, text: string, file: string): T {
  const source = parseYaml(text, file);
  const { value, problems } = checkYaml(schema, source);
  if (problems.length > 0) {
    throw new NetkilnError("invalid_input", `${file} has ${countOf(problems.length, "mistake")}`, { problems });
  }
  return value as T;
}

/** Checks a parsed document against a schema and gives each of zod's issues its line and column. */
export function checkYaml<T>(schema: z.ZodType<T>, source: YamlSource): { value?: T; problems: readonly Problem[] } {
  if (source.problems.length > 0) return { problems: source.problems };
  const result = schema.safeParse(source.value);
  if (result.success) return { value: result.data, problems: [] };
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, source));
  return { problems: problems.sort((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0)) };
}

/** Prints a value so that readers of YAML 1.1, such as PyYAML, and of 1.2 take texts for texts: each is quoted. */
export function formatYaml(value: unknown): string {
  return stringify(value, { defaultStringType: "QUOTE_DOUBLE", lineWidth: 0, aliasDuplicateObjects: false });
}

function problemsOf(issue: z.core.$ZodIssue, source: YamlSource): Problem[] {
  const path = issue.path;
  const name = formatPath(path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({
      file: source.file,
      ...source.atKey([...path, key]),
      message: `unknown key "${key}"${name === "" ? "" : ` in ${name}`}`,
    }));
  }
  if (issue.code === "invalid_key") {
    const message = issue.issues.map((inner) => inner.message).join(", ");
    return [{ file: source.file, ...source.atKey(path), message: `${name}: ${message}` }];
  }
  return [
    { file: source.file, ...source.at(path), message: name === "" ? issue.message : `${name}: ${issue.message}` },
  ];
}

/** `images[0].base.ims`, as operators write it. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? String(part) : `.${String(part)}`))
    .join("");
}

function offsetOfValue(document: Document, path: readonly PropertyKey[]): number {
  for (let depth = path.length; depth >= 0; depth -= 1) {
    const node = document.getIn(path.slice(0, depth), true) as Node | undefined;
    const offset = node?.range?.[0];
    if (offset !== undefined) return offset;
  }
  return 0;
}

function offsetOfKey(document: Document, path: readonly PropertyKey[]): number {
  const parent = document.getIn(path.slice(0, -1), true) as { items?: readonly { key?: Node }[] } | undefined;
  const wanted = path.at(-1);
  for (const item of parent?.items ?? []) {
    const key = item.key as (Node & { value?: unknown }) | undefined;
    if (key?.value === wanted && key?.range) return key.range[0];
  }
  return offsetOfValue(document, path);
}
