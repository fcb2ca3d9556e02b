/**
 * The shape of a SAT bootprep file, schema version 1.0.9 (Cray-HPE/sat, sat/data/schema/bootprep_schema.yaml), and of
 * what the product catalog says about a product. Only shape: what names mean, and whether they refer to anything, is
 * decided in references.ts.
 */
import { z } from "zod";
import { list, mapping, oneOf, oneWord, table, text, textOr, truth } from "./shape.ts";

/** Said of what may be a template; texts.ts has the list of these places. */
const jinja = (about: string) => text().describe(`${about} Can be a Jinja template.`);
const plain = (about: string) => text().describe(about);

const ifExists = oneWord(["skip", "overwrite", "abort"])
  .describe("What to do when one of this name exists: keep it, replace it, or stop before anything is made.")
  .optional();
const baseType = oneWord(["recipe", "image"]).describe(
  "Whether the base is built from a recipe or is an image already.",
);

const layerCommon = {
  name: jinja("What the layer is called.").optional(),
  playbook: jinja("The playbook to run; site.yml when not given.").optional(),
  special_parameters: mapping(
    {
      ims_require_dkms: truth().describe("Whether images that are configured with this layer need DKMS.").optional(),
    },
    { about: "What the layer needs of the build." },
  ).optional(),
};

const branch = jinja("A branch; the commit at its head is taken.");
const commit = jinja("A commit, by its hash.");

const gitUrl = jinja("Where the repository is. A path without a scheme starts at the folder of the file.");
const git = oneOf(
  {
    commit: mapping({ url: gitUrl, commit }, { about: "A repository at a commit." }),
    branch: mapping({ url: gitUrl, branch }, { about: "A repository at the head of a branch." }),
  },
  { url: gitUrl },
);

const layerVersion = jinja("The version of the product; the latest when not given, or when it is latest.");
const layerProductCommon = {
  name: plain("A product of the product catalog, which names its repository."),
  version: layerVersion.optional(),
};
const layerProduct = oneOf(
  {
    version: mapping(
      { ...layerProductCommon, version: layerVersion },
      { about: "A version of a product at the commit that the catalog names." },
    ),
    branch: mapping({ ...layerProductCommon, branch }, { about: "A product's repository at the head of a branch." }),
    commit: mapping({ ...layerProductCommon, commit }, { about: "A product's repository at a commit." }),
  },
  layerProductCommon,
);

const sourceCommon = { ...layerCommon, source: jinja("A source of CFS, which names the repository.") };
const layer = oneOf(
  {
    git: mapping({ ...layerCommon, git }, { about: "A layer of a git repository." }),
    product: mapping({ ...layerCommon, product: layerProduct }, { about: "A layer of a product's repository." }),
    source: oneOf(
      {
        branch: mapping({ ...sourceCommon, branch }, { about: "A layer of a source's repository." }),
        commit: mapping({ ...sourceCommon, commit }, { about: "A layer of a source's repository." }),
      },
      sourceCommon,
    ),
  },
  layerCommon,
);

// The contract leaves additional_inventory open to further keys.
const inventoryCommon = { name: jinja("What the inventory is called.").optional(), url: gitUrl };
const inventoryRules = { open: true, about: "A repository with an Ansible inventory for every layer." } as const;
const additionalInventory = oneOf(
  {
    branch: mapping({ ...inventoryCommon, branch }, inventoryRules),
    commit: mapping({ ...inventoryCommon, commit }, inventoryRules),
  },
  inventoryCommon,
);

const configuration = mapping(
  {
    name: jinja("The name of the configuration."),
    description: plain("For those who read the file; it is not kept.").optional(),
    layers: list(layer).describe("What is run, in this order."),
    additional_inventory: additionalInventory.optional(),
    if_exists: ifExists,
  },
  { about: "A configuration: playbooks at exact commits." },
);

const imsBase = oneOf(
  {
    name: mapping({ name: jinja("The name of the recipe or image."), type: baseType }),
    id: mapping({ id: jinja("The id of the recipe or image."), type: baseType }),
  },
  { type: baseType },
);

const productFilter = mapping(
  {
    prefix: jinja("What its name begins with.").optional(),
    wildcard: text({ nonEmpty: true })
      .describe("What its whole name looks like: * is anything, ? one character. Can be a Jinja template.")
      .optional(),
    arch: text({ nonEmpty: true })
      .describe("Its architecture, such as x86_64 or aarch64. Can be a Jinja template.")
      .optional(),
  },
  { notEmpty: true, about: "Which one of the product's recipes or images; exactly one has to fit." },
);

const productBase = mapping({
  name: plain("A product of the product catalog, which names its recipes and images."),
  version: jinja("The version of the product; the latest when not given.").optional(),
  type: baseType,
  filter: productFilter.optional(),
});

const base = oneOf({
  ims: mapping({ ims: imsBase }, { about: "A recipe or an image that is there." }),
  product: mapping({ product: productBase }, { about: "A recipe or an image of a product." }),
  image_ref: mapping(
    { image_ref: plain("The ref_name of another image of this file.") },
    { about: "Another image of this file." },
  ),
});

const imageCommon = {
  name: jinja("The name of the image. {{base.name}} is the name of what it is made from."),
  description: plain("For those who read the file; it is not kept.").optional(),
  configuration: jinja("The configuration that the image is given.").optional(),
  configuration_group_names: list(text())
    .describe("The Ansible groups that the image is in while it is configured. Needed with a configuration.")
    .optional(),
  if_exists: ifExists,
};
const imageRules = { needs: [["configuration", "configuration_group_names"]] } as const;

const isRecipe = truth().describe("Whether it is a recipe or an image.");
/** The form of before schema 1.0.2, which `base` replaces. */
const deprecatedIms = oneOf(
  {
    name: mapping({ is_recipe: isRecipe, name: plain("The name of the recipe or image.") }),
    id: mapping({ is_recipe: isRecipe, id: plain("The id of the recipe or image.") }),
  },
  { is_recipe: isRecipe },
);

const image = oneOf(
  {
    base: mapping(
      {
        ...imageCommon,
        ref_name: plain("What other images and session templates of this file call it.").optional(),
        base,
      },
      { ...imageRules, about: "An image to make." },
    ),
    ims: mapping(
      { ...imageCommon, ims: deprecatedIms },
      { ...imageRules, deprecated: true, about: "An image to make, in the form that base has taken the place of." },
    ),
  },
  imageCommon,
);

const templateImage = textOr(
  text().meta({
    deprecated: true,
    description: "The name or the id of an image. Write image_ref or ims instead. Can be a Jinja template.",
  }),
  oneOf({
    ims: mapping(
      {
        ims: oneOf({
          name: mapping({ name: jinja("The name of an image.") }),
          id: mapping({ id: jinja("The id of an image.") }),
        }),
      },
      { about: "An image that is there." },
    ),
    image_ref: mapping(
      { image_ref: jinja("The ref_name of an image of this file.") },
      { about: "An image of this file." },
    ),
  }),
);

/** BOS takes further keys in a boot set; they are carried along as they are. */
const bootSet = mapping(
  {
    arch: oneWord(["X86", "ARM", "Other", "Unknown"])
      .describe("The architecture of the nodes; X86 when not given.")
      .optional(),
    kernel_parameters: jinja("Kernel parameters; they follow those of the image.").optional(),
    node_list: list(text()).describe("Nodes by their xnames.").optional(),
    node_roles_groups: list(text()).describe("Roles whose nodes are booted.").optional(),
    node_groups: list(text()).describe("Groups whose nodes are booted.").optional(),
    rootfs_provider: jinja("How the nodes get their root file system.").optional(),
    rootfs_provider_passthrough: jinja("What the provider is told besides.").optional(),
  },
  { open: true, about: "Nodes that boot the image, and how. Every text in it can be a Jinja template." },
);

const sessionTemplate = mapping(
  {
    name: jinja("The name of the session template. {{image.name}} is the name of its image."),
    image: templateImage,
    configuration: jinja("The configuration that the nodes are given when they have booted."),
    bos_parameters: mapping(
      { boot_sets: table(bootSet, "boot set", "Boot sets by their names.") },
      { open: true, about: "What BOS is told. Only boot_sets is read." },
    ),
    if_exists: ifExists,
  },
  { about: "A session template: which nodes boot which image." },
);

export const bootprepSchema = mapping(
  {
    schema_version: plain("The version of the schema that the file is written for; 1.0.0 when not given.").optional(),
    configurations: list(configuration).describe("The configurations to make.").optional(),
    images: list(image).describe("The images to make.").optional(),
    session_templates: list(sessionTemplate).describe("The session templates to make.").optional(),
  },
  { about: "What there should be: configurations, images and session templates." },
);

export type RawBootprepFile = z.output<typeof bootprepSchema>;
export type RawConfiguration = NonNullable<RawBootprepFile["configurations"]>[number];
export type RawLayer = RawConfiguration["layers"][number];
export type RawImage = NonNullable<RawBootprepFile["images"]>[number];
export type RawSessionTemplate = NonNullable<RawBootprepFile["session_templates"]>[number];

const imsResources = z.record(z.string(), z.looseObject({ id: z.string().optional() }).nullable()).nullish();

/** What the product catalog keeps under a version of a product, as far as bootprep files ask about it. */
export const productSchema = z.looseObject({
  configuration: z.looseObject({ clone_url: z.string().optional(), commit: z.string().optional() }).optional(),
  images: imsResources,
  recipes: imsResources,
});
