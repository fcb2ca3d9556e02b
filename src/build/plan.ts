import { readFile } from "node:fs/promises";
import type { BlobStore } from "../artifact/index.ts";
import { engineVersion } from "../compliance/index.ts";
import type { GitStore, Layer, PinnedRepository } from "../configuration/index.ts";
import type { Recipe } from "../image/index.ts";
import { canonicalJson, sha256 } from "../lib/files.ts";
import { aptSources } from "./base/apt-sources.ts";
import { playbookInputs } from "./layer/ansible-inputs.ts";
import { overlayFiles } from "./layer/files.ts";
import { releaseFiles } from "./layer/release.ts";
import type { StepStore } from "./store.ts";
import type { ToolVersions } from "./tools.ts";
import type {
  BuildPlan,
  ChecksFile,
  ImageRequest,
  Planned,
  PlannedTreeStep,
  StepKind,
  StepResult,
  TreeStep,
} from "./types.ts";

/** Raised when the same inputs give other bytes than before, so that old results are not taken for new ones. */
export const formatVersion = 1;

export interface PlanContext {
  readonly git: GitStore;
  readonly blobs: BlobStore;
  readonly steps: StepStore;
  readonly tools: ToolVersions;
  readonly settings: BuildSettings;
  /** Whether what a result names is still there. */
  readonly isKept: (result: StepResult) => Promise<boolean>;
}

export interface BuildSettings {
  /** `deb` lines to build Debian trees from, instead of this host's own. */
  readonly aptSources?: readonly string[];
  /** How long packages that were fetched once count as current, seconds. */
  readonly packagesMaxAge: number;
  /** zstd level of squashfs; higher is smaller and slower. */
  readonly squashfsLevel: number;
}

/**
 * Works out every step of an image with its key, and whether it has to run. Runs nothing and changes nothing but the
 * moment at which packages count as fetched.
 */
export async function planBuild(request: ImageRequest, context: PlanContext): Promise<BuildPlan> {
  const root = rootOf(request);
  const inherited = root.kind === "recipe" ? fromRecipe(root.recipe) : root.image;
  const { epoch } = inherited;
  const tree: PlannedTreeStep[] = [];
  let parent = root.kind === "image" ? root.image.layers[0] : undefined;
  for (const [image, step] of await treeSteps(request, context)) {
    const { title, inputs } = await describe(step, epoch, context);
    const planned = await plan(step.kind, title, { ...inputs, epoch: String(epoch) }, parent, image, context);
    tree.push({ ...planned, step });
    parent = planned.key;
  }
  const top = parent ?? "";
  const checks = await collectChecks(request, context);
  const output = (kind: StepKind, title: string, inputs: Record<string, string>) =>
    plan(kind, title, inputs, top, request.name, context);
  const kernel =
    root.kind === "recipe" ? root.recipe.spec.kernel !== undefined : root.image.artifacts.kernel !== undefined;
  return {
    name: request.name,
    baseLayers: root.kind === "image" ? root.image.layers : [],
    baseIdentity: root.kind === "image" ? root.image.buildId : undefined,
    inherited,
    tree,
    checks,
    gate: await output("gate", "gate", {
      engine: engineVersion,
      ...Object.fromEntries(checks.map(({ file, text }) => [file, sha256(text)])),
    }),
    outputs: {
      rootfs: await output("rootfs", "rootfs (squashfs)", {
        "squashfs-tools": context.tools["squashfs-tools"],
        compression: `zstd ${context.settings.squashfsLevel}`,
      }),
      ...(kernel && {
        kernel: await output("kernel", "kernel", {}),
        initrd: await output("initrd", "initrd (dracut)", { options: canonicalJson(inherited.initrd ?? {}) }),
      }),
    },
  };
}

function fromRecipe({ name, digest, spec }: Recipe): BuildPlan["inherited"] {
  return {
    arch: spec.arch,
    recipe: { name, digest },
    packageSource: { suite: spec.suite, components: spec.components },
    initrd: spec.initrd,
    kernelParameters: spec.kernel?.parameters ?? "",
    epoch: spec.epoch,
  };
}

/** A hash of what was asked for: equal for two requests that mean the same image. */
export function fingerprintOf(plan: BuildPlan): string {
  return sha256(canonicalJson([plan.name, plan.gate.key, Object.values(plan.outputs).map((step) => step.key)]));
}

/** Why an operator should expect work, a line for each step that is not cached. */
export function stepsToRun(plan: BuildPlan): Planned[] {
  return [...plan.tree, plan.gate, ...Object.values(plan.outputs)].filter((step) => !step.cached);
}

function rootOf(request: ImageRequest): Exclude<ImageRequest["base"], { kind: "request" }> {
  return request.base.kind === "request" ? rootOf(request.base.request) : request.base;
}

/** The steps of the tree in order, each with the name of the image that it first belongs to. */
async function treeSteps(request: ImageRequest, context: PlanContext): Promise<[image: string, TreeStep][]> {
  const { base, name, groups, configuration } = request;
  const below = base.kind === "request" ? await treeSteps(base.request, context) : [];
  const own: TreeStep[] = base.kind === "recipe" ? await recipeSteps(base.recipe, context) : [];
  const layers = configuration?.layers ?? [];
  own.push(
    ...layers.map((layer): TreeStep => ({
      kind: "ansible",
      layer,
      groups,
      inventory: configuration?.additionalInventory,
    })),
  );
  own.push({ kind: "release", name, commits: [...commitsOf(base), ...layers] });
  return [...below, ...own.map((step): [string, TreeStep] => [name, step])];
}

/** The configuration layers that a base already has, in the order in which they were applied. */
export function commitsOf(base: ImageRequest["base"]): readonly Layer[] {
  if (base.kind === "recipe") return [];
  if (base.kind === "request") return [...commitsOf(base.request.base), ...(base.request.configuration?.layers ?? [])];
  return base.image.commits;
}

async function recipeSteps(recipe: Recipe, context: PlanContext): Promise<TreeStep[]> {
  const { spec } = recipe;
  const packages = [spec.suite, spec.arch, spec.variant, spec.components, spec.packages, spec.kernel?.package];
  const snapshot = await context.steps.snapshot(sha256(canonicalJson(packages)), context.settings.packagesMaxAge);
  const base: TreeStep = { kind: "base", recipe, snapshot };
  return overlayFiles(recipe).length === 0 ? [base] : [base, { kind: "files", recipe }];
}

async function describe(
  step: TreeStep,
  epoch: number,
  context: PlanContext,
): Promise<{ title: string; inputs: Record<string, string> }> {
  switch (step.kind) {
    case "base": {
      const { spec } = step.recipe;
      const sources = await aptSources(spec, context.settings.aptSources);
      return {
        title: `base (${spec.distribution} ${spec.suite})`,
        inputs: {
          suite: spec.suite,
          arch: spec.arch,
          variant: spec.variant,
          components: spec.components.join(" "),
          packages: spec.packages.join(" "),
          "kernel package": spec.kernel?.package ?? "none",
          exclude: spec.exclude.join(" "),
          "package sources": sha256(canonicalJson(sources)),
          "packages as of": step.snapshot,
          mmdebstrap: context.tools.mmdebstrap,
        },
      };
    }
    case "files":
      return {
        title: "files",
        inputs: Object.fromEntries(
          overlayFiles(step.recipe).map((file) => [file.path, `${file.sha256}${file.executable ? " x" : ""}`]),
        ),
      };
    case "ansible":
      return { title: `layer ${step.layer.playbook}`, inputs: await ansibleInputs(step, context) };
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

async function ansibleInputs(
  { layer, groups, inventory }: TreeStep & { kind: "ansible" },
  context: PlanContext,
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
    ...(inventory !== undefined && { "additional inventory": await contentOf(inventory, context) }),
    ...Object.fromEntries(
      files.filter((file) => counted.has(file.path)).map((file) => [file.path, `${file.blob} ${file.mode}`]),
    ),
  };
}

/** All files of a repository at its commit: which of them an inventory makes Ansible read is not told by their text. */
async function contentOf({ url, commit }: PinnedRepository, context: PlanContext): Promise<string> {
  return sha256(canonicalJson(await context.git.files(url, commit)));
}

/**
 * The checks that an image has to pass: those of its recipe, of the images it is made from, and, for each layer, the
 * file in the repository's folder `checks` that is named after the playbook.
 */
async function collectChecks(request: ImageRequest, context: PlanContext): Promise<ChecksFile[]> {
  const checks = new Map<string, string>();
  const { base } = request;
  if (base.kind === "request") {
    for (const { file, text } of await collectChecks(base.request, context)) checks.set(file, text);
  } else {
    const inherited =
      base.kind === "image"
        ? base.image.checks
        : base.recipe.files
            .filter((file) => base.recipe.spec.checks.includes(file.path))
            .map((file) => ({ ...file, file: file.path }));
    for (const { file, sha256: digest } of inherited)
      checks.set(file, await readFile(context.blobs.path(digest), "utf8"));
  }
  for (const layer of request.configuration?.layers ?? []) {
    const stem = layer.playbook.replace(/^.*\//, "").replace(/\.ya?ml$/, "");
    const names = new Set([`checks/${stem}.yml`, `checks/${stem}.yaml`]);
    for (const file of await context.git.files(layer.url, layer.commit)) {
      if (!names.has(file.path)) continue;
      const text = await context.git.read(layer.url, layer.commit, file.path);
      const taken = checks.has(file.path) && checks.get(file.path) !== text;
      checks.set(taken ? `${file.path}@${layer.commit.slice(0, 12)}` : file.path, text);
    }
  }
  return [...checks].map(([file, text]) => ({ file, text }));
}

async function plan(
  kind: StepKind,
  title: string,
  inputs: Readonly<Record<string, string>>,
  parent: string | undefined,
  image: string,
  context: PlanContext,
): Promise<Planned> {
  const key = sha256(canonicalJson({ formatVersion, kind, parent, inputs }));
  const result = await context.steps.find(key);
  const cached = result !== undefined && (await context.isKept(result));
  const why = cached ? [] : explain(inputs, await context.steps.lastInputs(slotOf(image, kind, title)));
  return { kind, title, key, inputs, cached, why };
}

/** The place of a step in an image; results at the same place are compared to tell what changed. */
export function slotOf(image: string, kind: StepKind, title: string): string {
  return `${image}/${kind}/${title}`;
}

/** Tells two sets of inputs apart, in an operator's words. */
export function explain(
  now: Readonly<Record<string, string>>,
  before: Readonly<Record<string, string>> | undefined,
): string[] {
  if (before === undefined) return ["not built before"];
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])].sort();
  const changes = names.flatMap((name) => {
    const [from, to] = [before[name], now[name]];
    if (from === to) return [];
    if (from === undefined) return [`${name} is new`];
    if (to === undefined) return [`${name} is gone`];
    return [`${name} changed (${brief(from)} -> ${brief(to)})`];
  });
  return changes.length > 0 ? changes : ["the step below it changed"];
}

function brief(value: string): string {
  if (/^[0-9a-f]{40,64}/.test(value)) return value.slice(0, 8);
  return value.length > 40 ? `${value.slice(0, 37)}...` : value;
}
