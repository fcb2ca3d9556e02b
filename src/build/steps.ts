import { readFile } from "node:fs/promises";
import type { BlobStore } from "../artifact/index.ts";
import type { GitStore, Layer, PinnedRepository } from "../configuration/index.ts";
import type { Image, ManualLayer, Recipe, RecipeLayer } from "../image/index.ts";
import { canonicalJson, sha256 } from "../lib/files.ts";
import { baseOf, type BaseSettings } from "./base/index.ts";
import { ansibleOptionInputs } from "./layer/ansible.ts";
import { playbookInputs } from "./layer/ansible-inputs.ts";
import { contentInput, filesInputs } from "./layer/files.ts";
import { releaseFiles } from "./layer/release.ts";
import type { StepStore } from "./store.ts";
import type { ToolVersions } from "./tools.ts";
import type { Foundation, ImageRequest, TreeStep } from "./types.ts";

export interface StepContext {
  readonly git: GitStore;
  readonly blobs: BlobStore;
  readonly steps: StepStore;
  readonly tools: ToolVersions;
  readonly settings: BaseSettings & { readonly packagesMaxAge: number };
}

/** The steps of an image's tree in order, each with the name of the image or recipe that it first belongs to. */
export async function treeSteps(
  request: ImageRequest,
  context: StepContext,
): Promise<[owner: string, epoch: number, step: TreeStep][]> {
  const { base, name, groups, configuration } = request;
  const { epoch } = rootTraits(base);
  const below = await foundationSteps(base, context);
  const layers = configuration?.layers ?? [];
  const own: TreeStep[] = request.manual === undefined ? [] : [{ kind: "manual", manual: request.manual }];
  for (const layer of layers) {
    const inventory = configuration?.additionalInventory;
    own.push({ kind: "ansible", layer, groups, inventory, options: request.ansible ?? {} });
  }
  own.push({ kind: "release", name, commits: [...commitsOf(base), ...layers] });
  return [...below, ...own.map((step): [string, number, TreeStep] => [name, epoch, step])];
}

/** The last recipe or image below: what it says holds for all that is made from it. */
export function rootTraits(base: Foundation): Pick<Image, "epoch" | "arch"> {
  switch (base.kind) {
    case "recipe":
      return base.recipe.spec;
    case "image":
      return base.image;
    case "request":
      return rootTraits(base.request.base);
  }
}

/** The image at the very bottom, when there is one. */
export function imageBelow(base: Foundation): (Foundation & { kind: "image" }) | undefined {
  switch (base.kind) {
    case "recipe":
      return base.below === undefined ? undefined : imageBelow(base.below);
    case "image":
      return base;
    case "request":
      return imageBelow(base.request.base);
  }
}

async function foundationSteps(
  base: Foundation,
  context: StepContext,
): Promise<[owner: string, epoch: number, step: TreeStep][]> {
  switch (base.kind) {
    case "image":
      return [];
    case "request":
      return treeSteps(base.request, context);
    case "recipe": {
      const below = base.below === undefined ? [] : await foundationSteps(base.below, context);
      const own = await recipeSteps(base.recipe, context);
      const { name, spec } = base.recipe;
      return [...below, ...own.map((step): [string, number, TreeStep] => [`recipe ${name}`, spec.epoch, step])];
    }
  }
}

/** The configuration layers that a base already has, in the order in which they were applied. */
export function commitsOf(base: Foundation): readonly Layer[] {
  switch (base.kind) {
    case "recipe":
      return base.below === undefined ? [] : commitsOf(base.below);
    case "image":
      return base.image.commits;
    case "request":
      return [...commitsOf(base.request.base), ...(base.request.configuration?.layers ?? [])];
  }
}

/** The layers of an image that were made by hand, the lowest first. */
export function manualLayersOf({ base, manual }: Pick<ImageRequest, "base" | "manual">): readonly ManualLayer[] {
  return [...manualLayersBelow(base), ...(manual === undefined ? [] : [manual])];
}

function manualLayersBelow(base: Foundation): readonly ManualLayer[] {
  switch (base.kind) {
    case "recipe":
      return base.below === undefined ? [] : manualLayersBelow(base.below);
    case "image":
      return base.image.manual ?? [];
    case "request":
      return manualLayersOf(base.request);
  }
}

async function recipeSteps(recipe: Recipe, context: StepContext): Promise<TreeStep[]> {
  const steps: TreeStep[] = [];
  if (baseOf(recipe, context.settings) !== undefined) steps.push({ kind: "lock", recipe }, { kind: "base", recipe });
  const { files, layers } = recipe.spec;
  if (files !== undefined) steps.push({ kind: "files", recipe, folder: files });
  for (const layer of layers) steps.push(await recipeLayerStep(recipe, layer, context));
  return steps;
}

async function recipeLayerStep(recipe: Recipe, layer: RecipeLayer, context: StepContext): Promise<TreeStep> {
  /** What is fetched counts as current for a while, and for all who fetch the same. */
  const stamp = () =>
    context.steps.snapshot(sha256(canonicalJson([recipe.name, layer])), context.settings.packagesMaxAge);
  const { packages, files, script, playbook, network } = layer;
  if (packages !== undefined) return { kind: "packages", recipe, packages, stamp: await stamp() };
  if (files !== undefined) return { kind: "files", recipe, folder: files };
  if (script !== undefined) {
    return { kind: "script", recipe, layer: { ...layer, script }, stamp: network === true ? await stamp() : undefined };
  }
  const { groups = [], extra_vars: extraVars, secrets } = layer;
  const options = { ...(extraVars !== undefined && { extraVars }), ...(secrets !== undefined && { secrets }) };
  return { kind: "playbook", recipe, playbook: playbook ?? "", groups, options };
}

/** What operators call a step, and all that its key is made of beside the tree below it. */
export async function describeStep(
  step: Exclude<TreeStep, { kind: "lock" }>,
  epoch: number,
  context: StepContext,
): Promise<{ title: string; inputs: Record<string, string> }> {
  const { title, inputs } = await describe(step, context);
  return { title, inputs: { ...inputs, epoch: String(epoch) } };
}

async function describe(
  step: Exclude<TreeStep, { kind: "lock" }>,
  context: StepContext,
): Promise<{ title: string; inputs: Readonly<Record<string, string>> }> {
  switch (step.kind) {
    case "base": {
      const base = baseOf(step.recipe, context.settings);
      return { title: base?.title() ?? "base", inputs: (await base?.inputs()) ?? {} };
    }
    case "files":
      return {
        title: step.folder === step.recipe.spec.files ? "files" : `files ${step.folder}`,
        inputs: filesInputs(step.recipe, step.folder),
      };
    case "packages":
      return {
        title: `packages ${step.packages.slice(0, 3).join(" ")}${step.packages.length > 3 ? " ..." : ""}`,
        inputs: { packages: step.packages.join(" "), "packages as of": step.stamp },
      };
    case "script": {
      const file = step.recipe.files.find(({ path }) => path === step.layer.script);
      return {
        title: `script ${step.layer.script}`,
        inputs: {
          [step.layer.script]: file?.sha256 ?? "",
          ...(step.stamp !== undefined && { "network as of": step.stamp }),
        },
      };
    }
    case "ansible":
      return {
        title: `layer ${step.layer.playbook}`,
        inputs: { ...(await ansibleInputs(step, context)), ...ansibleOptionInputs(step.options) },
      };
    case "playbook":
      return {
        title: `layer ${step.playbook}`,
        inputs: { ...(await playbookInputsOf(step, context)), ...ansibleOptionInputs(step.options) },
      };
    case "manual":
      return { title: `manual (${step.manual.by})`, inputs: { layer: step.manual.layer } };
    case "release": {
      const contents = await Promise.all((await releaseFiles()).map(([source]) => readFile(source, "utf8")));
      return {
        title: `release ${step.name}`,
        inputs: {
          name: step.name,
          commits: step.commits.map((layer) => `${layer.playbook}@${layer.commit}`).join(" "),
          "node files": sha256(contents.join("\0")),
        },
      };
    }
  }
}

/** Of a playbook in a recipe. */
async function playbookInputsOf(
  { recipe, playbook, groups }: TreeStep & { kind: "playbook" },
  { blobs, tools }: StepContext,
): Promise<Record<string, string>> {
  const files = new Map(recipe.files.map((file) => [file.path, file]));
  const read = await playbookInputs(playbook, [...files.keys()], (path) =>
    readFile(blobs.path(files.get(path)?.sha256 ?? ""), "utf8"),
  );
  const counted = recipe.files.filter(({ path }) => read.paths.includes(path));
  return {
    playbook,
    groups: groups.join(" "),
    "ansible-core": tools["ansible-core"],
    ansible: tools.ansible,
    ...Object.fromEntries(counted.map((file) => [file.path, contentInput(file)])),
  };
}

async function ansibleInputs(
  { layer, groups, inventory }: TreeStep & { kind: "ansible" },
  context: StepContext,
): Promise<Record<string, string>> {
  const files = await context.git.files(layer.url, layer.commit);
  const read = await playbookInputs(
    layer.playbook,
    files.map((file) => file.path),
    (path) => context.git.read(layer.url, layer.commit, path),
  );
  const counted = new Set(read.paths);
  return {
    playbook: layer.playbook,
    groups: groups.join(" "),
    "ansible-core": context.tools["ansible-core"],
    ansible: context.tools.ansible,
    ...(layer.specialParameters?.imsRequireDkms === true && { ims_require_dkms: "true" }),
    ...(inventory !== undefined && { "additional inventory": await contentOf(inventory, context) }),
    ...Object.fromEntries(
      files.filter((file) => counted.has(file.path)).map((file) => [file.path, `${file.blob} ${file.mode}`]),
    ),
  };
}

/** All files of a repository at its commit: which of them an inventory makes Ansible read is not told by their text. */
async function contentOf({ url, commit }: PinnedRepository, context: StepContext): Promise<string> {
  return sha256(canonicalJson(await context.git.files(url, commit)));
}
