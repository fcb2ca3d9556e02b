/** Our reading of a bootprep file against sat's own JSON schema: the same documents are accepted and refused. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { stringify } from "yaml";
import { bootprepExample, bootprepJsonSchema, readBootprep } from "../../src/bootprep/index.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
import { parseYaml } from "../../src/lib/yaml.ts";

const contract = resolve(import.meta.dirname, "../../../shared/contracts/bootprep_schema.yaml");
const skip = existsSync(contract) ? false : "the contract's file bootprep_schema.yaml is not here";

type Json = Record<string, unknown>;
type Case = readonly [name: string, document: unknown];

const git = { url: "u", branch: "b" };
const recipe = { ims: { name: "r", type: "recipe" } };
const configuration = (more: Json) => ({ configurations: [{ name: "c", layers: [], ...more }] });
const layer = (value: unknown) => configuration({ layers: [value] });
const image = (more: Json) => ({ images: [{ name: "i", ...more }] });
const template = (more: Json) => ({
  images: [{ name: "i", ref_name: "i", base: recipe }],
  session_templates: [
    {
      name: "t",
      image: { image_ref: "i" },
      configuration: "c",
      bos_parameters: { boot_sets: { x: {} } },
      ...more,
    },
  ],
});
const bootSet = (value: unknown) => template({ bos_parameters: { boot_sets: { x: value } } });

const accepted: readonly Case[] = [
  ["nothing", {}],
  ["empty sections", { schema_version: "1.0.9", configurations: [], images: [], session_templates: [] }],
  ["configuration without layers", configuration({ description: "d", if_exists: "skip" })],
  ["git branch", layer({ git })],
  ["git commit", layer({ name: "l", playbook: "p.yml", git: { url: "u", commit: "c" } })],
  ["dkms", layer({ git, special_parameters: { ims_require_dkms: false } })],
  ["no special parameters", layer({ git, special_parameters: {} })],
  ["product version", layer({ product: { name: "p", version: "1" } })],
  ["product branch", layer({ product: { name: "p", branch: "b" } })],
  ["product version and branch", layer({ product: { name: "p", version: "1", branch: "b" } })],
  ["product version and commit", layer({ product: { name: "p", version: "1", commit: "c" } })],
  ["source branch", layer({ source: "s", branch: "b" })],
  ["source commit", layer({ name: "n", playbook: "p", source: "s", commit: "c" })],
  ["inventory branch", configuration({ additional_inventory: { url: "u", branch: "b" } })],
  [
    "inventory with a key of its own",
    configuration({ additional_inventory: { url: "u", commit: "c", name: "n", x: 1 } }),
  ],
  ["recipe by name", image({ base: recipe, ref_name: "r", description: "d", if_exists: "abort" })],
  ["image by id", image({ base: { ims: { id: "x", type: "image" } } })],
  ["product image", image({ base: { product: { name: "p", type: "image" } } })],
  [
    "filters",
    image({
      base: {
        product: {
          name: "p",
          version: "1",
          type: "recipe",
          filter: { prefix: "", wildcard: "*", arch: "a" },
        },
      },
    }),
  ],
  ["configured image", image({ base: recipe, configuration: "c", configuration_group_names: [] })],
  ["groups alone", image({ base: recipe, configuration_group_names: ["Compute"] })],
  ["deprecated recipe", image({ ims: { is_recipe: true, name: "r" } })],
  [
    "deprecated image",
    image({
      ims: { is_recipe: false, id: "x" },
      configuration: "c",
      configuration_group_names: ["a"],
    }),
  ],
  ["template", template({ if_exists: "overwrite" })],
  ["template of an image's name", template({ image: { ims: { name: "x" } } })],
  ["template of an image's id", template({ image: { ims: { id: "x" } } })],
  ["deprecated text image", template({ image: "x" })],
  ["further parameters for BOS", template({ bos_parameters: { boot_sets: { x: {} }, other: 1 } })],
  [
    "whole boot set",
    bootSet({
      arch: "Other",
      kernel_parameters: "k",
      node_list: [],
      node_roles_groups: ["Compute"],
      node_groups: ["g"],
      rootfs_provider: "sbps",
      rootfs_provider_passthrough: "p",
      etag: "further key",
    }),
  ],
];

const refused: readonly Case[] = [
  ["a list", []],
  ["null", null],
  ["unknown section", { image: [] }],
  ["version as number", { schema_version: 1 }],
  ["section as mapping", { configurations: {} }],
  ["section as null", { images: null }],
  ["item as text", { session_templates: ["x"] }],
  ["configuration without name", { configurations: [{ layers: [] }] }],
  ["configuration without layers", { configurations: [{ name: "c" }] }],
  ["configuration with another key", configuration({ x: 1 })],
  ["name as number", configuration({ name: 1 })],
  ["description as number", configuration({ description: 1 })],
  ["unknown if_exists", configuration({ if_exists: "update" })],
  ["empty layer", layer({})],
  ["layer with only a name", layer({ name: "n" })],
  ["layer of two kinds", layer({ git, source: "s", branch: "b" })],
  ["layer with another key", layer({ git, playbok: "p" })],
  ["playbook as list", layer({ git, playbook: [] })],
  ["special parameters with another key", layer({ git, special_parameters: { x: true } })],
  ["dkms as text", layer({ git, special_parameters: { ims_require_dkms: "true" } })],
  ["git without url", layer({ git: { branch: "b" } })],
  ["git without reference", layer({ git: { url: "u" } })],
  ["git with both references", layer({ git: { ...git, commit: "c" } })],
  ["git with another key", layer({ git: { ...git, name: "n" } })],
  ["git as text", layer({ git: "u" })],
  ["product without name", layer({ product: { version: "1" } })],
  ["product with only a name", layer({ product: { name: "p" } })],
  ["product with both references", layer({ product: { name: "p", version: "1", branch: "b", commit: "c" } })],
  ["product version as number", layer({ product: { name: "p", version: 1.2 } })],
  ["product with another key", layer({ product: { name: "p", version: "1", x: "y" } })],
  ["source without reference", layer({ source: "s" })],
  ["source with both references", layer({ source: "s", branch: "b", commit: "c" })],
  ["source as mapping", layer({ source: { source_name: "s" }, branch: "b" })],
  ["git layer with a branch beside it", layer({ git, branch: "b" })],
  ["inventory without url", configuration({ additional_inventory: { branch: "b" } })],
  ["inventory without reference", configuration({ additional_inventory: { url: "u" } })],
  ["inventory with both references", configuration({ additional_inventory: { url: "u", branch: "b", commit: "c" } })],
  ["inventory name as number", configuration({ additional_inventory: { url: "u", branch: "b", name: 1 } })],
  ["image without base", image({})],
  ["image of both forms", image({ base: recipe, ims: { is_recipe: true, name: "r" } })],
  ["image with another key", image({ base: recipe, x: 1 })],
  ["empty base", image({ base: {} })],
  ["base of two kinds", image({ base: { ...recipe, image_ref: "x" } })],
  ["base with another key", image({ base: { ...recipe, x: 1 } })],
  ["ims without type", image({ base: { ims: { name: "r" } } })],
  ["ims with unknown type", image({ base: { ims: { name: "r", type: "disk" } } })],
  ["ims by both", image({ base: { ims: { name: "r", id: "x", type: "image" } } })],
  ["ims by neither", image({ base: { ims: { type: "image" } } })],
  ["product base without type", image({ base: { product: { name: "p" } } })],
  ["empty filter", image({ base: { product: { name: "p", type: "image", filter: {} } } })],
  ["empty wildcard", image({ base: { product: { name: "p", type: "image", filter: { wildcard: "" } } } })],
  ["empty arch", image({ base: { product: { name: "p", type: "image", filter: { arch: "" } } } })],
  ["filter with another key", image({ base: { product: { name: "p", type: "image", filter: { suffix: "s" } } } })],
  ["image_ref as number", image({ base: { image_ref: 1 } })],
  ["configuration without groups", image({ base: recipe, configuration: "c" })],
  ["groups as text", image({ base: recipe, configuration_group_names: "Compute" })],
  ["group as number", image({ base: recipe, configuration_group_names: [1] })],
  ["ref_name beside deprecated ims", image({ ims: { is_recipe: true, name: "r" }, ref_name: "x" })],
  ["deprecated ims without is_recipe", image({ ims: { name: "r" } })],
  ["deprecated configuration without groups", image({ ims: { is_recipe: true, name: "r" }, configuration: "c" })],
  ["is_recipe as text", image({ ims: { is_recipe: "yes please", name: "r" } })],
  ["template with another key", template({ x: 1 })],
  ["template image as number", template({ image: 5 })],
  ["template image of two kinds", template({ image: { image_ref: "i", ims: { name: "x" } } })],
  ["template image with type", template({ image: { ims: { name: "x", type: "image" } } })],
  ["template image by both", template({ image: { ims: { name: "x", id: "y" } } })],
  ["empty template image", template({ image: {} })],
  ["bos_parameters without boot sets", template({ bos_parameters: {} })],
  ["no boot set", template({ bos_parameters: { boot_sets: {} } })],
  ["boot sets as list", template({ bos_parameters: { boot_sets: [{}] } })],
  ["boot set as null", bootSet(null)],
  ["unknown arch", bootSet({ arch: "x86_64" })],
  ["kernel parameters as list", bootSet({ kernel_parameters: ["quiet"] })],
  ["nodes as text", bootSet({ node_list: "x1000" })],
  ["node as number", bootSet({ node_list: [1] })],
  ["roles as mapping", bootSet({ node_roles_groups: {} })],
  ["groups of a boot set as text", bootSet({ node_groups: "g" })],
  ["provider as number", bootSet({ rootfs_provider: 1 })],
  ["passthrough as boolean", bootSet({ rootfs_provider_passthrough: true })],
];

/** Accepted by the contract and refused by us, on purpose. */
const stricter: readonly (readonly [name: string, document: unknown, reason: string])[] = [
  ["newer version", { schema_version: "1.0.10" }, "the contract says so in words only; sat refuses it in code"],
  ["older major version", { schema_version: "0.9.0" }, "the contract says so in words only; sat refuses it in code"],
  ["version that is none", { schema_version: "latest" }, "sat refuses it in code"],
  [
    "a name twice",
    {
      configurations: [
        { name: "c", layers: [] },
        { name: "c", layers: [] },
      ],
    },
    "sat refuses it in code",
  ],
  [
    "image_ref to nothing",
    image({ base: { image_ref: "gone" } }),
    "a JSON schema cannot say it; sat refuses it in code",
  ],
  [
    "image based on itself",
    image({ ref_name: "a", base: { image_ref: "a" } }),
    "a JSON schema cannot say it; sat refuses it in code",
  ],
  [
    "empty name",
    configuration({ name: "" }),
    "nothing can be made under it; the CFS and IMS APIs would refuse it later",
  ],
  [
    "unknown variable",
    configuration({ name: "{{ nope }}" }),
    "templates are only text to the contract; sat would make an empty name",
  ],
  ["empty rootfs_provider", bootSet({ rootfs_provider: "" }), "sat refuses it in code"],
  [
    "both references, one of a wrong type",
    configuration({ additional_inventory: { url: "u", branch: "b", commit: 1 } }),
    "the contract's two forms are open, so a commit of a wrong type is an unknown key of the other form; meant is one or the other",
  ],
];

function ours(document: unknown): boolean {
  try {
    readBootprep({ file: "f", text: stringify(document) });
    return true;
  } catch (error) {
    if (error instanceof NetkilnError) return false;
    throw error;
  }
}

test("our schema and the contract agree", { skip }, async (context) => {
  const theirs = compiled(readContract());
  const shown = compiled(bootprepJsonSchema() as unknown as Json);
  const check = ([name, document]: Case, wanted: { contract: boolean; shown: boolean; ours: boolean }) =>
    context.test(name, () => {
      const found = { contract: theirs(document), shown: shown(document), ours: ours(document) };
      assert.deepEqual(found, wanted, JSON.stringify(document));
    });
  for (const item of accepted) await check(item, { contract: true, shown: true, ours: true });
  for (const item of refused) await check(item, { contract: false, shown: false, ours: false });
  for (const [name, document, reason] of stricter) {
    await check([`${name}: ${reason}`, document], { contract: true, shown: true, ours: false });
  }
});

test("the schema that we show has every field of the contract, and no other", { skip }, () => {
  const contract = readContract();
  assert.deepEqual(fieldsOf(bootprepJsonSchema() as unknown as Json), fieldsOf(contract, contract));
});

test("our example is a bootprep file", { skip }, () => {
  const product = {
    name: "cos",
    version: "2.5.97",
    data: { configuration: { clone_url: "u" }, recipes: { r: { id: "1" } } },
  };
  const theirs = compiled(readContract());
  for (const products of [[], [product]]) {
    const text = bootprepExample({ products, recipes: [] });
    assert.deepEqual(readBootprep({ file: "f", text }).warnings, []);
    assert.ok(theirs(parseYaml(text, "f").value), text);
  }
});

function readContract(): Json {
  return parseYaml(readFileSync(contract, "utf8"), contract).value as Json;
}

function compiled(schema: Json): (document: unknown) => boolean {
  // The contract carries keys that are not JSON schema's (version, example).
  const validate = new Ajv2020({ strict: false }).compile(schema);
  return (document) => validate(document) as boolean;
}

/** Every field by its path, with all that the schema says about its values but words. */
function fieldsOf(schema: Json, root: Json = schema): Readonly<Record<string, readonly string[]>> {
  const fields = new Map<string, Set<string>>();
  const walk = (given: Json, path: string): void => {
    const reference = given["$ref"];
    const node = typeof reference === "string" ? resolved(reference, root) : given;
    const { type, enum: words, minLength, minProperties, dependentRequired, deprecated } = node;
    const isOpen = type === "object" && node["additionalProperties"] !== false;
    const facts = { type, words, minLength, minProperties, dependentRequired, deprecated, ...(isOpen && { isOpen }) };
    // A choice says nothing itself.
    if (type !== undefined) fields.set(path, (fields.get(path) ?? new Set()).add(JSON.stringify(facts)));
    for (const form of (node["oneOf"] ?? []) as Json[]) walk(form, path);
    for (const [key, value] of Object.entries((node["properties"] ?? {}) as Json))
      walk(value as Json, `${path}.${key}`);
    if (node["items"] !== undefined) walk(node["items"] as Json, `${path}[]`);
    if (typeof node["additionalProperties"] === "object") walk(node["additionalProperties"] as Json, `${path}.*`);
  };
  walk(schema, "");
  return Object.fromEntries(
    [...fields].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([path, facts]) => [path, [...facts].toSorted()]),
  );
}

function resolved(reference: string, root: Json): Json {
  const parts = reference.replace("#/", "").split("/");
  return parts.reduce((node, part) => node[part] as Json, root);
}

test("the version that we claim to know is the contract's", { skip }, async () => {
  const { currentSchemaVersion } = await import("../../src/bootprep/index.ts");
  const schema = parseYaml(readFileSync(contract, "utf8"), contract).value as Json;
  assert.equal(currentSchemaVersion, schema["version"]);
});
