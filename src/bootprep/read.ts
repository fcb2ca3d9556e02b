/** From the text of a bootprep file to a BootprepFile, or to every mistake in it at once. */
import { NetkilnError, type Problem } from "../lib/errors.ts";
import { countOf } from "../lib/text.ts";
import { parseYaml, type YamlSource } from "../lib/yaml.ts";
import type {
  BootprepFile,
  BootSets,
  FileBase,
  FileConfiguration,
  FileImage,
  FileInventory,
  FileLayer,
  FileTemplate,
  FileTemplateImage,
  GitReference,
  LateText,
  LayerOrigin,
  NameOrId,
  Text,
} from "./file.ts";
import { checkReferences, deprecations } from "./references.ts";
import { checkSchemaVersion, currentSchemaVersion } from "./schema-version.ts";
import { bootprepSchema, type RawConfiguration, type RawImage, type RawLayer } from "./schema.ts";
import type { RawBootprepFile, RawSessionTemplate } from "./schema.ts";
import { checkShape, isMapping } from "./shape.ts";
import { readyText, renderTexts, valueAt, type Path, type Texts } from "./texts.ts";
import type { Variables } from "./variables.ts";

/** What sat takes a file without schema_version for. */
const unversioned = "1.0.0";

export interface BootprepInput {
  /** The name to report mistakes under. */
  readonly file: string;
  readonly text: string;
  readonly variables?: Variables;
}

/** Throws one `invalid_input` whose problems are all mistakes of the file, in the order in which they stand in it. */
export function readBootprep({ file, text, variables = {} }: BootprepInput): BootprepFile {
  const source = parseYaml(text, file);
  if (source.problems.length > 0) throw mistakes(file, source.problems);
  const version = checkVersion(source);
  const texts = renderTexts(source, variables);
  const problems = [
    ...checkShape(bootprepSchema, source),
    ...version.problems,
    ...texts.problems,
    ...checkReferences(source, texts),
  ];
  if (problems.length > 0) throw mistakes(file, problems);
  // Nothing is wrong with it, so this cannot throw.
  const raw = bootprepSchema.parse(source.value);
  const warnings = inOrder([...version.warnings, ...deprecations(source)]);
  return {
    file,
    schemaVersion: raw.schema_version ?? unversioned,
    variables,
    ...new Builder(source, texts).build(raw),
    warnings,
  };
}

/** One error with all problems, in the order in which they stand in the file. */
export function mistakes(file: string, problems: readonly Problem[]): NetkilnError {
  return new NetkilnError("invalid_input", `${file} has ${countOf(problems.length, "mistake")}`, {
    problems: inOrder(problems),
  });
}

function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

function checkVersion(source: YamlSource): {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
} {
  const version = valueAt(source.value, ["schema_version"]);
  if (version === undefined && isMapping(source.value)) {
    const message = `schema_version is missing; ${unversioned} is assumed`;
    const hint = `write schema_version: ${currentSchemaVersion}`;
    return { problems: [], warnings: [{ file: source.file, ...source.at([]), message, hint }] };
  }
  if (typeof version !== "string") return { problems: [], warnings: [] };
  const { verdict, message, hint } = checkSchemaVersion(version);
  const problem: Problem = {
    file: source.file,
    ...source.at(["schema_version"]),
    message: `schema_version: ${message}`,
    ...(hint !== undefined && { hint }),
  };
  return {
    problems: verdict === "mistake" ? [problem] : [],
    warnings: verdict === "warning" ? [problem] : [],
  };
}

/** Puts a checked file together from its shape, its rendered values and their places. */
class Builder {
  readonly #source: YamlSource;
  readonly #texts: Texts;

  constructor(source: YamlSource, texts: Texts) {
    this.#source = source;
    this.#texts = texts;
  }

  build(raw: RawBootprepFile): Pick<BootprepFile, "configurations" | "images" | "templates"> {
    return {
      configurations: (raw.configurations ?? []).map((item, index) =>
        this.#configuration(item, ["configurations", index]),
      ),
      images: (raw.images ?? []).map((item, index) => this.#image(item, ["images", index])),
      templates: (raw.session_templates ?? []).map((item, index) => this.#template(item, ["session_templates", index])),
    };
  }

  #configuration(raw: RawConfiguration, path: Path): FileConfiguration {
    return {
      ...this.#source.at(path),
      name: this.#text([...path, "name"]),
      ...(raw.description !== undefined && { description: raw.description }),
      layers: raw.layers.map((layer, index) => this.#layer(layer, [...path, "layers", index])),
      ...(raw.additional_inventory !== undefined && {
        additionalInventory: this.#inventory([...path, "additional_inventory"]),
      }),
      ...(raw.if_exists !== undefined && { ifExists: raw.if_exists }),
    };
  }

  #inventory(path: Path): FileInventory {
    return {
      ...this.#source.at(path),
      ...this.#optional("name", [...path, "name"]),
      url: this.#text([...path, "url"]),
      reference: this.#reference(path),
    };
  }

  #layer(raw: RawLayer, path: Path): FileLayer {
    const dkms = raw.special_parameters?.ims_require_dkms;
    return {
      ...this.#source.at(path),
      ...this.#optional("name", [...path, "name"]),
      ...this.#optional("playbook", [...path, "playbook"]),
      specialParameters: dkms === undefined ? {} : { imsRequireDkms: dkms },
      origin: this.#origin(raw, path),
    };
  }

  #origin(raw: RawLayer, path: Path): LayerOrigin {
    if ("git" in raw) {
      const git = [...path, "git"];
      return {
        ...this.#source.at(git),
        kind: "git",
        url: this.#text([...git, "url"]),
        reference: this.#reference(git),
      };
    }
    if ("source" in raw) {
      const source = [...path, "source"];
      return {
        ...this.#source.at(source),
        kind: "source",
        name: this.#text(source),
        reference: this.#reference(path),
      };
    }
    const product = [...path, "product"];
    const pinned = "branch" in raw.product || "commit" in raw.product;
    return {
      ...this.#source.at(product),
      kind: "product",
      name: this.#text([...product, "name"]),
      ...this.#optional("version", [...product, "version"]),
      ...(pinned && { reference: this.#reference(product) }),
    };
  }

  #image(raw: RawImage, path: Path): FileImage {
    return {
      ...this.#source.at(path),
      name: this.#late([...path, "name"]),
      ...("ref_name" in raw && this.#optional("refName", [...path, "ref_name"])),
      ...(raw.description !== undefined && { description: raw.description }),
      base: this.#base(raw, path),
      ...(raw.configuration !== undefined && {
        configuration: this.#late([...path, "configuration"]),
      }),
      groups: raw.configuration_group_names ?? [],
      ...(raw.if_exists !== undefined && { ifExists: raw.if_exists }),
    };
  }

  #base(raw: RawImage, path: Path): FileBase {
    if ("ims" in raw) {
      const ims = [...path, "ims"];
      const type = raw.ims.is_recipe ? "recipe" : "image";
      return { ...this.#source.at(ims), kind: "ims", type, target: this.#nameOrId(ims) };
    }
    const base = [...path, "base"];
    const place = this.#source.at(base);
    if ("image_ref" in raw.base) return { ...place, kind: "image_ref", reference: this.#text([...base, "image_ref"]) };
    if ("ims" in raw.base) {
      return {
        ...place,
        kind: "ims",
        type: raw.base.ims.type,
        target: this.#nameOrId([...base, "ims"]),
      };
    }
    const product = [...base, "product"];
    return {
      ...place,
      kind: "product",
      type: raw.base.product.type,
      name: this.#text([...product, "name"]),
      ...this.#optional("version", [...product, "version"]),
      filter: {
        ...this.#optional("prefix", [...product, "filter", "prefix"]),
        ...this.#optional("wildcard", [...product, "filter", "wildcard"]),
        ...this.#optional("arch", [...product, "filter", "arch"]),
      },
    };
  }

  #template(raw: RawSessionTemplate, path: Path): FileTemplate {
    const sets = [...path, "bos_parameters", "boot_sets"];
    const waiting = this.#anyWaiting(raw.bos_parameters.boot_sets, sets);
    return {
      ...this.#source.at(path),
      name: this.#late([...path, "name"]),
      image: this.#templateImage(raw, [...path, "image"]),
      configuration: this.#late([...path, "configuration"]),
      bootSets: {
        ...this.#source.at(sets),
        // The shape was checked before rendering, which changes nothing but the text of strings.
        sets: (waiting ? raw.bos_parameters.boot_sets : this.#rendered(raw.bos_parameters.boot_sets, sets)) as BootSets,
        waiting,
      },
      ...(raw.if_exists !== undefined && { ifExists: raw.if_exists }),
    };
  }

  #templateImage(raw: RawSessionTemplate, path: Path): FileTemplateImage {
    if (typeof raw.image === "string") return { kind: "either", ...this.#text(path) };
    if ("image_ref" in raw.image) return { kind: "image_ref", ...this.#text([...path, "image_ref"]) };
    return { kind: "ims", ...this.#nameOrId([...path, "ims"]) };
  }

  #nameOrId(path: Path): NameOrId {
    const by = valueAt(this.#source.value, [...path, "name"]) === undefined ? "id" : "name";
    return { ...this.#text([...path, by]), by };
  }

  #reference(path: Path): GitReference {
    const kind = valueAt(this.#source.value, [...path, "branch"]) === undefined ? "commit" : "branch";
    return { ...this.#text([...path, kind]), kind };
  }

  #optional<K extends string>(key: K, path: Path): { readonly [key in K]?: Text } {
    if (valueAt(this.#source.value, path) === undefined) return {};
    return { [key]: this.#text(path) } as { readonly [key in K]: Text };
  }

  #text(path: Path): Text {
    const text = readyText(this.#texts.at(path)) ?? String(valueAt(this.#source.value, path));
    return { ...this.#source.at(path), text };
  }

  #late(path: Path): LateText {
    return this.#texts.at(path) ?? this.#text(path);
  }

  #anyWaiting(value: unknown, path: Path): boolean {
    if (typeof value === "string") return readyText(this.#texts.at(path)) === undefined;
    return childrenOf(value).some(([key, child]) => this.#anyWaiting(child, [...path, key]));
  }

  #rendered(value: unknown, path: Path): unknown {
    if (typeof value === "string") return readyText(this.#texts.at(path)) ?? value;
    const children = childrenOf(value).map(([key, child]) => [key, this.#rendered(child, [...path, key])] as const);
    if (Array.isArray(value)) return children.map(([, child]) => child);
    return isMapping(value) ? Object.fromEntries(children) : value;
  }
}

function childrenOf(value: unknown): readonly (readonly [string | number, unknown])[] {
  return Array.isArray(value) ? [...value.entries()] : isMapping(value) ? Object.entries(value) : [];
}
