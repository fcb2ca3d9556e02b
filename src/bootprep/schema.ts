/**
 * The shape of a SAT bootprep file, schema version 1.0.9 (Cray-HPE/sat, sat/data/schema/bootprep_schema.yaml).
 * Only shape: what names mean, and whether they refer to anything, is decided in references.ts.
 */
import { z } from "zod";
import { list, mapping, oneOf, oneWord, table, text, textOr, truth } from "./shape.ts";

export const currentSchemaVersion = "1.0.9";

const ifExists = oneWord(["skip", "overwrite", "abort"]).optional();
const baseType = oneWord(["recipe", "image"]);

const layerCommon = {
  name: text().optional(),
  playbook: text().optional(),
  special_parameters: mapping({ ims_require_dkms: truth().optional() }).optional(),
};

const git = oneOf(
  {
    commit: mapping({ url: text(), commit: text() }),
    branch: mapping({ url: text(), branch: text() }),
  },
  { url: text() },
);

const layerProductCommon = { name: text(), version: text().optional() };
const layerProduct = oneOf(
  {
    version: mapping({ name: text(), version: text() }),
    branch: mapping({ ...layerProductCommon, branch: text() }),
    commit: mapping({ ...layerProductCommon, commit: text() }),
  },
  layerProductCommon,
);

const sourceCommon = { ...layerCommon, source: text() };
const layer = oneOf(
  {
    git: mapping({ ...layerCommon, git }),
    product: mapping({ ...layerCommon, product: layerProduct }),
    source: oneOf(
      {
        branch: mapping({ ...sourceCommon, branch: text() }),
        commit: mapping({ ...sourceCommon, commit: text() }),
      },
      sourceCommon,
    ),
  },
  layerCommon,
);

// The contract leaves additional_inventory open to further keys.
const inventoryCommon = { name: text().optional(), url: text() };
const additionalInventory = oneOf(
  {
    branch: mapping({ ...inventoryCommon, branch: text() }, { open: true }),
    commit: mapping({ ...inventoryCommon, commit: text() }, { open: true }),
  },
  inventoryCommon,
);

const configuration = mapping({
  name: text(),
  description: text().optional(),
  layers: list(layer),
  additional_inventory: additionalInventory.optional(),
  if_exists: ifExists,
});

const imsBase = oneOf(
  { name: mapping({ name: text(), type: baseType }), id: mapping({ id: text(), type: baseType }) },
  { type: baseType },
);

const productFilter = mapping(
  {
    prefix: text().optional(),
    wildcard: text({ nonEmpty: true }).optional(),
    arch: text({ nonEmpty: true }).optional(),
  },
  { notEmpty: true },
);

const base = oneOf({
  ims: mapping({ ims: imsBase }),
  product: mapping({
    product: mapping({
      name: text(),
      version: text().optional(),
      type: baseType,
      filter: productFilter.optional(),
    }),
  }),
  image_ref: mapping({ image_ref: text() }),
});

const imageCommon = {
  name: text(),
  description: text().optional(),
  configuration: text().optional(),
  configuration_group_names: list(text()).optional(),
  if_exists: ifExists,
};
const imageRules = { needs: [["configuration", "configuration_group_names"]] } as const;

/** The form of before schema 1.0.2, which `base` replaces. */
const deprecatedIms = oneOf(
  {
    name: mapping({ is_recipe: truth(), name: text() }),
    id: mapping({ is_recipe: truth(), id: text() }),
  },
  { is_recipe: truth() },
);

const image = oneOf(
  {
    base: mapping({ ...imageCommon, ref_name: text().optional(), base }, imageRules),
    ims: mapping({ ...imageCommon, ims: deprecatedIms }, imageRules),
  },
  imageCommon,
);

// A plain string is the deprecated form.
const templateImage = textOr(
  oneOf({
    ims: mapping({ ims: oneOf({ name: mapping({ name: text() }), id: mapping({ id: text() }) }) }),
    image_ref: mapping({ image_ref: text() }),
  }),
);

/** BOS takes further keys in a boot set; they are carried along as they are. */
const bootSet = mapping(
  {
    arch: oneWord(["X86", "ARM", "Other", "Unknown"]).optional(),
    kernel_parameters: text().optional(),
    node_list: list(text()).optional(),
    node_roles_groups: list(text()).optional(),
    node_groups: list(text()).optional(),
    rootfs_provider: text().optional(),
    rootfs_provider_passthrough: text().optional(),
  },
  { open: true },
);

const sessionTemplate = mapping({
  name: text(),
  image: templateImage,
  configuration: text(),
  bos_parameters: mapping({ boot_sets: table(bootSet, "boot set") }, { open: true }),
  if_exists: ifExists,
});

export const bootprepSchema = mapping({
  schema_version: text().optional(),
  configurations: list(configuration).optional(),
  images: list(image).optional(),
  session_templates: list(sessionTemplate).optional(),
});

export type RawBootprepFile = z.output<typeof bootprepSchema>;
export type RawConfiguration = NonNullable<RawBootprepFile["configurations"]>[number];
export type RawLayer = RawConfiguration["layers"][number];
export type RawImage = NonNullable<RawBootprepFile["images"]>[number];
export type RawSessionTemplate = NonNullable<RawBootprepFile["session_templates"]>[number];

/**
 * Whether a file of schema `version` can be read by one that knows `current` (both MAJOR.MINOR.PATCH), by the rules
 * in the contract's description of schema_version. An absent version means 1.0.0, as in sat.
 */
export function checkSchemaVersion(
  version: string,
  current: string = currentSchemaVersion,
): {
  readonly verdict: "ok" | "warning" | "mistake";
  readonly message: string;
  readonly hint?: string;
} {
  const theirs = parseVersion(version);
  const [major = 0, minor = 0, patch = 0] = parseVersion(current) ?? [];
  if (theirs === undefined) {
    return {
      verdict: "mistake",
      message: `"${version}" is not a version`,
      hint: `write it as in ${current}`,
    };
  }
  const [theirMajor = 0, theirMinor = 0, theirPatch = 0] = theirs;
  const newer = theirMajor - major || theirMinor - minor || theirPatch - patch;
  if (newer > 0) {
    const hint =
      "it may hold keys that this version does not know; upgrade netkiln, or write the file for the older schema";
    return {
      verdict: "mistake",
      message: `${version} is newer than ${current}, the newest that is understood`,
      hint,
    };
  }
  if (theirMajor < major) {
    const hint = `rewrite the file for schema ${current}`;
    return {
      verdict: "mistake",
      message: `${version} is of an older major version than ${current}`,
      hint,
    };
  }
  if (theirMinor < minor) {
    return {
      verdict: "warning",
      message: `${version} is older than ${current}; some keys may mean something else now`,
    };
  }
  return { verdict: "ok", message: "" };
}

function parseVersion(version: string): readonly number[] | undefined {
  const match = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/.exec(version);
  return match === null ? undefined : match.slice(1, 4).map(Number);
}
