/** Variables of bootprep templates: where they come from, and what is said when one is missing. */
import { NetkilnError, type Problem } from "../lib/errors.ts";
import { renderTemplate } from "../lib/template.ts";
import { countOf } from "../lib/text.ts";
import { parseYaml } from "../lib/yaml.ts";
import { isMapping, nearest } from "./shape.ts";

export type Variables = Readonly<Record<string, unknown>>;

export interface VariableFile {
  /** How it is called in messages, and where a variable is said to come from. */
  readonly file: string;
  readonly text: string;
}

export interface VariableSources {
  /** The lowest first: that of the HPC software recipe, then those of `--vars-file`. */
  readonly files?: readonly VariableFile[];
  /** `--vars a.b=text`; each wins over the files and over those before it. */
  readonly assignments?: readonly string[];
}

/** A variable by its dotted name, and what gave it its value. */
export interface ListedVariable {
  readonly name: string;
  readonly value: unknown;
  readonly source: string;
}

/** What one source says. */
interface Layer {
  readonly source: string;
  readonly variables: Variables;
}

/**
 * Merges variables as sat does (sat/cli/bootprep/vars.py): mappings merge key by key, anything else replaces, the
 * command line wins. Hyphens in top-level names become underscores, for product names.
 * Throws one `invalid_input` with every mistake of every source.
 */
export function collectVariables(sources: VariableSources): Variables {
  return readLayers(sources).reduce<Variables>((merged, { variables }) => merge(merged, variables), {});
}

/** Every variable that collectVariables gives, in the order of their names; throws as it does. */
export function listVariables(sources: VariableSources): readonly ListedVariable[] {
  const layers = readLayers(sources);
  const merged = layers.reduce<Variables>((all, { variables }) => merge(all, variables), {});
  const leaves = [...leavesOf(merged, [])].map(({ path, value }) => ({
    name: path.join("."),
    value,
    source: layers.findLast(({ variables }) => isKnown(path, variables))?.source ?? "",
  }));
  return leaves.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function readLayers({ files = [], assignments = [] }: VariableSources): readonly Layer[] {
  const problems: Problem[] = [];
  const layers: Layer[] = [];
  for (const { file, text } of files) {
    const source = parseYaml(text, file);
    problems.push(...source.problems);
    if (source.problems.length > 0) continue;
    if (isMapping(source.value)) layers.push({ source: file, variables: underscored(source.value) });
    else
      problems.push({
        file,
        line: 1,
        column: 1,
        message: "a variables file must be a mapping of names to values",
      });
  }
  for (const assignment of assignments) {
    const split = assignment.indexOf("=");
    const path = assignment.slice(0, Math.max(split, 0)).split(".");
    if (split < 1 || path.includes("")) {
      problems.push({
        message: `--vars ${assignment}: expected NAME=VALUE`,
        hint: "for example --vars default.note=test-",
      });
      continue;
    }
    const nested = path.reduceRight<unknown>(
      (value, key) => Object.fromEntries([[key, value]]),
      assignment.slice(split + 1),
    );
    layers.push({ source: "--vars", variables: underscored(nested as Record<string, unknown>) });
  }
  if (problems.length === 0) return layers;
  throw new NetkilnError("invalid_input", `the variables have ${countOf(problems.length, "mistake")}`, { problems });
}

/**
 * minijinja, even when strict, takes an undefined operand of `~` or input of a filter for nothing; names are looked
 * up here then. Not where a template branches: an untaken branch may name what is not there.
 */
const hidesUndefined = /[~|]/;
const hasBranches = /\{%|\bif\b/;

export type Rendering = { readonly text: string } | { readonly message: string; readonly hint?: string };

/**
 * Renders one value. Jinja drops one newline at the end of a template (keep_trailing_newline is off), so every value
 * loses it, templated or not: kernel parameters in a YAML block would carry it into a boot script.
 */
export function renderValue(template: string, variables: Variables): Rendering {
  try {
    const rendered = renderTemplate(template.replace(/\r?\n$/, ""), variables);
    const silent =
      hidesUndefined.test(template) && !hasBranches.test(template) ? unknownNames(template, variables) : [];
    return silent.length === 0 ? { text: rendered } : unknown(silent, variables);
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    const names = error.message.includes("undefined") ? unknownNames(template, variables) : [];
    if (names.length > 0) return unknown(names, variables);
    return {
      message: `the template cannot be rendered: ${error.message.replace(/ \(in <string>:\d+\)$/, "")}`,
    };
  }
}

/** The paths that a template reads from `root`, without the root: `[["name"]]` for `{{ base.name }}`. */
export function pathsUnder(root: string, template: string): readonly (readonly string[])[] {
  return readPaths(template)
    .filter(({ path }) => path[0] === root)
    .map(({ path }) => path.slice(1));
}

function unknown(names: readonly string[], variables: Variables): Rendering {
  return {
    message: `unknown variable${names.length === 1 ? "" : "s"} ${names.join(", ")}`,
    hint: hintFor(names, variables),
  };
}

function hintFor(names: readonly string[], variables: Variables): string {
  const give = "give it with --vars or in a --vars-file";
  const [name, ...others] = names;
  if (name === undefined || others.length > 0) return give;
  const meant = nearest(name, leafNames(variables));
  if (meant !== undefined) return `did you mean ${meant}?`;
  const root = name.split(".")[0] ?? "";
  const siblings = Object.hasOwn(variables, root) ? variables[root] : undefined;
  return isMapping(siblings) ? `${root} has ${Object.keys(siblings).join(", ")}` : give;
}

/** Names that a template reads and that `variables` do not have, each once, in order. */
function unknownNames(template: string, variables: Variables): readonly string[] {
  const names = readPaths(template)
    .filter(({ path, optional }) => !optional && !isKnown(path, variables))
    .map(({ path }) => path.join("."));
  return [...new Set(names)];
}

function isKnown(path: readonly string[], variables: Variables): boolean {
  let value: unknown = variables;
  for (const key of path) {
    // Beyond a mapping (lists, methods of strings) nothing is claimed.
    if (!isMapping(value)) return value !== undefined && value !== null;
    if (!Object.hasOwn(value, key)) return false;
    value = value[key];
  }
  return true;
}

interface ReadPath {
  readonly path: readonly string[];
  /** The template has a way out: `| default(…)`, `is defined`. */
  readonly optional: boolean;
}

const words = new Set(
  (
    "and or not in is if else elif endif for endfor set endset true false none True False None loop range dict " +
    "with endwith filter endfilter macro endmacro call endcall raw endraw do namespace self debug"
  ).split(" "),
);
const key = String.raw`\s*\.\s*\w+|\s*\[\s*(?:"[^"]*"|'[^']*'|\d+)\s*\]`;
const token = new RegExp(String.raw`"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[A-Za-z_]\w*(?:${key})*|==|\S`, "g");

/** A reading of Jinja expressions that is good enough to name variables; the engine alone decides what is valid. */
function readPaths(template: string): readonly ReadPath[] {
  const found: ReadPath[] = [];
  const local = new Set<string>();
  const withoutComments = template.replace(/\{#[\s\S]*?#\}/g, "");
  for (const [block] of withoutComments.matchAll(/\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}/g)) {
    const tokens: readonly string[] = block.replace(/^..[-+]?|[-+]?..$/g, "").match(token) ?? [];
    if (tokens[0] === "for") for (const name of tokens.slice(1, tokens.indexOf("in"))) local.add(name);
    if (tokens[0] === "set" && tokens[1] !== undefined) local.add(tokens[1]);
    tokens.forEach((text, index) => {
      const before = tokens[index - 1];
      const after = tokens.slice(index + 1);
      if (
        !/^[A-Za-z_]/.test(text) ||
        before === "|" ||
        before === "is" ||
        (before === "not" && tokens[index - 2] === "is")
      )
        return;
      const path = splitPath(text);
      const root = path[0] ?? "";
      if (words.has(root) || local.has(root) || after[0] === "=") return;
      if (after[0] === "(") path.pop();
      const optional =
        after.some((word, next) => word === "|" && (after[next + 1] === "default" || after[next + 1] === "d")) ||
        (after[0] === "is" && after.includes("defined"));
      if (path.length > 0) found.push({ path, optional });
    });
  }
  return found;
}

function splitPath(text: string): string[] {
  return [...text.matchAll(/\w+|"([^"]*)"|'([^']*)'/g)].map((match) => match[1] ?? match[2] ?? match[0]);
}

function underscored(variables: Variables): Variables {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name.replaceAll("-", "_"), value]));
}

function merge(lower: Variables, upper: Variables): Variables {
  const entries = Object.entries(upper).map(([name, value]) => {
    const old = Object.hasOwn(lower, name) ? lower[name] : undefined;
    return [name, isMapping(old) && isMapping(value) ? merge(old, value) : value] as const;
  });
  return Object.fromEntries([...Object.entries(lower), ...entries]);
}

/** Dotted names of everything that is no mapping; a few levels are enough for a hint. */
function leafNames(variables: Variables): readonly string[] {
  return [...leavesOf(variables, [])].filter(({ path }) => path.length <= 5).map(({ path }) => path.join("."));
}

/** Everything that is no mapping, and mappings that are empty. */
function* leavesOf(
  variables: Variables,
  above: readonly string[],
): Generator<{ readonly path: readonly string[]; readonly value: unknown }> {
  for (const [name, value] of Object.entries(variables)) {
    const path = [...above, name];
    if (isMapping(value) && Object.keys(value).length > 0) yield* leavesOf(value, path);
    else yield { path, value };
  }
}
