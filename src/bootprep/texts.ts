/**
 * Renders every value of a bootprep file that may be a template, working on the parsed document as it is: a file
 * with mistakes of shape is rendered as far as it goes, so that all mistakes are told at once.
 */
import type { Problem } from "../lib/errors.ts";
import { formatPath, type YamlSource } from "../lib/yaml.ts";
import { isWaiting, type LateText, type Text } from "./file.ts";
import { isMapping } from "./shape.ts";
import { pathsUnder, renderValue, type Variables } from "./variables.ts";

export type Path = readonly (string | number)[];

/** The rendered values by their paths; nothing where there is no text or where it could not be rendered. */
export interface Texts {
  at(path: Path): LateText | undefined;
  readonly problems: readonly Problem[];
}

/**
 * Where templates are understood: the fields that the contract marks, and those that sat renders besides (playbook,
 * git.url, commits, source, additional_inventory, base.ims, a template's image: the @jinja_rendered properties under
 * sat/cli/bootprep/input/). Published files rely on it for playbook. `*` is any key, `**` everything below.
 */
const plainTemplates = [
  "configurations.*.name",
  "configurations.*.layers.*.name",
  "configurations.*.layers.*.playbook",
  "configurations.*.layers.*.git.*",
  "configurations.*.layers.*.product.version",
  "configurations.*.layers.*.product.branch",
  "configurations.*.layers.*.product.commit",
  "configurations.*.layers.*.source",
  "configurations.*.layers.*.branch",
  "configurations.*.layers.*.commit",
  "configurations.*.additional_inventory.name",
  "configurations.*.additional_inventory.url",
  "configurations.*.additional_inventory.branch",
  "configurations.*.additional_inventory.commit",
  "images.*.base.ims.name",
  "images.*.base.ims.id",
  "images.*.base.product.version",
  "images.*.base.product.filter.*",
  "session_templates.*.image",
  "session_templates.*.image.ims.*",
  "session_templates.*.image.image_ref",
].map((pattern) => pattern.split("."));
const imageTemplates = ["images.*.name", "images.*.configuration"].map((pattern) => pattern.split("."));
const sessionTemplates = [
  "session_templates.*.name",
  "session_templates.*.configuration",
  "session_templates.*.bos_parameters.boot_sets.**",
].map((pattern) => pattern.split("."));

const uuid = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

export function looksLikeId(text: string): boolean {
  return uuid.test(text);
}

export function renderTexts(source: YamlSource, variables: Variables): Texts {
  const texts = new Map<string, LateText>();
  const problems: Problem[] = [];
  const at = (path: Path) => texts.get(JSON.stringify(path));

  const render = ({ path, text }: Found, context: Variables): Text | undefined => {
    const place = source.at(path);
    const result = renderValue(text, context);
    if ("text" in result) {
      texts.set(JSON.stringify(path), { ...place, text: result.text });
      return { ...place, text: result.text };
    }
    const { message, hint } = result;
    problems.push({
      file: source.file,
      ...place,
      message: `${formatPath(path)}: ${message}`,
      ...(hint !== undefined && { hint }),
    });
    return undefined;
  };

  /** Renders a value that may speak of `root`; `name` is that record's name if it is known already. */
  const renderLate = (found: Found, root: string, name: string | undefined, record: Variables): void => {
    const reads = pathsUnder(root, found.text);
    const onlyName = reads.every((path) => path[0] === "name" && path.length === 1);
    if (reads.length === 0) return void render(found, variables);
    if (onlyName && name !== undefined) return void render(found, { ...variables, [root]: { name } });
    // What the plan will look up has the same keys, so every other mistake can be told now.
    if (render(found, { ...variables, [root]: record }) === undefined) return;
    texts.set(JSON.stringify(found.path), { ...source.at(found.path), template: found.text });
  };

  for (const found of findTexts(source.value, plainTemplates)) render(found, variables);

  const imageOrder = new Set<number>();
  const refs = refNames(source.value);
  const visit = (index: number): void => {
    if (imageOrder.has(index)) return;
    imageOrder.add(index);
    const reference = valueAt(source.value, ["images", index, "base", "image_ref"]);
    const target = typeof reference === "string" ? refs.get(reference) : undefined;
    if (target !== undefined) visit(target);
    const record = typeof reference === "string" ? { name: "NAME" } : { id: "ID", name: "NAME", arch: "ARCH" };
    const name = target === undefined ? imsName(source.value, index, at) : readyText(at(["images", target, "name"]));
    for (const found of findTexts(source.value, imageTemplates, index)) renderLate(found, "base", name, record);
  };
  for (const index of indexes(source.value, "images")) visit(index);

  for (const index of indexes(source.value, "session_templates")) {
    const name = imageNameOf(index, at, refs);
    for (const found of findTexts(source.value, sessionTemplates, index))
      renderLate(found, "image", name, { name: "NAME" });
  }
  return { at, problems };
}

/** Indexes of images by their ref_name; the first wins, the second is reported elsewhere. */
export function refNames(document: unknown): ReadonlyMap<string, number> {
  const refs = new Map<string, number>();
  for (const index of indexes(document, "images")) {
    const name = valueAt(document, ["images", index, "ref_name"]);
    if (typeof name === "string" && !refs.has(name)) refs.set(name, index);
  }
  return refs;
}

export function indexes(document: unknown, section: string): readonly number[] {
  const items = valueAt(document, [section]);
  return Array.isArray(items) ? [...items.keys()] : [];
}

export function valueAt(document: unknown, path: Path): unknown {
  let value = document;
  for (const key of path) {
    if (Array.isArray(value) && typeof key === "number") value = value[key];
    else if (isMapping(value) && Object.hasOwn(value, key)) value = value[String(key)];
    else return undefined;
  }
  return value;
}

export function readyText(text: LateText | undefined): string | undefined {
  return text === undefined || isWaiting(text) ? undefined : text.text;
}

function imsName(document: unknown, index: number, at: Texts["at"]): string | undefined {
  const deprecated = valueAt(document, ["images", index, "ims", "name"]);
  return typeof deprecated === "string" ? deprecated : readyText(at(["images", index, "base", "ims", "name"]));
}

function imageNameOf(index: number, at: Texts["at"], refs: ReadonlyMap<string, number>): string | undefined {
  const image: Path = ["session_templates", index, "image"];
  const reference = readyText(at([...image, "image_ref"]));
  if (reference !== undefined) return readyText(at(["images", refs.get(reference) ?? -1, "name"]));
  const plain = readyText(at(image));
  if (plain !== undefined) return looksLikeId(plain) ? undefined : plain;
  return readyText(at([...image, "ims", "name"]));
}

interface Found {
  readonly path: Path;
  readonly text: string;
}

/** All strings at the places that the patterns name; `index` picks one item of the section. */
function findTexts(document: unknown, patterns: readonly (readonly string[])[], index?: number): readonly Found[] {
  const found: Found[] = [];
  const walk = (value: unknown, pattern: readonly string[], path: Path): void => {
    const [key, ...rest] = pattern;
    const everything = key === "**";
    if (typeof value === "string" && (key === undefined || everything)) found.push({ path, text: value });
    if (key === undefined) return;
    const entries = Array.isArray(value) ? [...value.entries()] : isMapping(value) ? Object.entries(value) : [];
    for (const [name, child] of entries) {
      if (path.length === 1 && index !== undefined && name !== index) continue;
      if (everything || key === "*" || key === name) walk(child, everything ? pattern : rest, [...path, name]);
    }
  };
  for (const pattern of patterns) walk(document, pattern, []);
  return found;
}
