import { readFile } from "node:fs/promises";
import { engineVersion } from "../compliance/index.ts";
import type { Recipe } from "../image/index.ts";
import { canonicalJson, sha256 } from "../lib/files.ts";
import { aptSources } from "./base/apt-sources.ts";
import { baseOf, familyOf, packageSourceOf, type BaseSettings } from "./base/index.ts";
import { erofsCompression } from "./output/erofs.ts";
import { squashfsInputs } from "./output/squashfs/image.ts";
import { ownDrivers } from "./output/roots.ts";
import { emptyChain, explain, slotOf, stepKey } from "./key.ts";
import { describeStep, imageBelow, treeSteps, type StepContext } from "./steps.ts";
import type {
  BuildPlan,
  ChecksFile,
  Foundation,
  ImageRequest,
  OutputKind,
  Planned,
  PlannedTreeStep,
  StepResult,
  TreeStep,
} from "./types.ts";

export interface PlanContext extends StepContext {
  readonly settings: BuildSettings;
  /** Whether what a result names is still there. */
  readonly isKept: (result: StepResult) => Promise<boolean>;
}

export interface BuildSettings extends BaseSettings {
  /** How long packages that were looked up once count as current, seconds. */
  readonly packagesMaxAge: number;
  /** zstd level of squashfs; higher is smaller and slower. */
  readonly squashfsLevel: number;
}

/**
 * Works out every step of an image, and whether it has to run, as far as that can be told before: a step on top of one
 * that runs is open until then. Runs nothing and changes nothing.
 */
export async function planBuild(request: ImageRequest, context: PlanContext): Promise<BuildPlan> {
  const inherited = traitsOf(request.base);
  const image = imageBelow(request.base)?.image;
  const baseChain = image?.chain ?? emptyChain;
  let below: string | undefined = baseChain;
  const tree: PlannedTreeStep[] = [];
  const slots = new Set<string>();
  for (const [owner, epoch, step] of await treeSteps(request, context)) {
    const planned = await planTreeStep(step, { owner, epoch, slots }, below, context);
    slots.add(planned.slot);
    tree.push(planned);
    if (step.kind !== "lock") below = (await resultOf(planned, context))?.chain;
  }
  const checks = await collectChecks(request, context);
  const gateInputs = {
    engine: engineVersion,
    ...Object.fromEntries(checks.map(({ file, text }) => [file, sha256(text)])),
  };
  return {
    name: request.name,
    baseLayers: image?.layers ?? [],
    baseChain,
    inherited,
    tree,
    checks,
    gate: await settle(
      { kind: "gate", title: "gate", slot: slotOf(request.name, "gate", "gate"), inputs: gateInputs },
      below,
      context,
    ),
    inventory: await settle(
      {
        kind: "inventory",
        title: "inventory",
        slot: slotOf(request.name, "inventory", "inventory"),
        inputs: { form: String(inventoryForm), rpm: context.tools.rpm },
      },
      below,
      context,
    ),
    outputs: await planOutputs(request, inherited, below, context),
  };
}

/** Where a step of the tree stands: in whose part of it, and after which places. */
interface Standing {
  readonly owner: string;
  readonly epoch: number;
  readonly slots: ReadonlySet<string>;
}

async function planTreeStep(
  step: TreeStep,
  { owner, epoch, slots }: Standing,
  below: string | undefined,
  context: PlanContext,
): Promise<PlannedTreeStep> {
  if (step.kind === "lock") return planLock(step.recipe, owner, context);
  const { title, inputs } = await describeStep(step, epoch, context);
  // A playbook can be applied twice.
  let slot = slotOf(owner, step.kind, title);
  for (let count = 2; slots.has(slot); count += 1) slot = slotOf(owner, step.kind, `${title} (${count})`);
  if (step.kind !== "base")
    return { ...(await settle({ kind: step.kind, title, slot, inputs }, below, context)), step };
  const lock = await context.steps.freshLock(familyOf(step.recipe, context.settings), context.settings.packagesMaxAge);
  const planned = { kind: step.kind, title, slot, inputs: lock === undefined ? inputs : { ...inputs, lock } };
  return { ...(await settle(planned, lock === undefined ? undefined : below, context)), step };
}

export async function planLock(recipe: Recipe, owner: string, context: PlanContext): Promise<PlannedTreeStep> {
  const { settings, steps } = context;
  const key = familyOf(recipe, settings);
  const title = (baseOf(recipe, settings)?.title() ?? "base").replace(/^base/, "lock");
  const fresh = await steps.freshLock(key, settings.packagesMaxAge);
  const source = packageSourceOf(recipe);
  // A suite that no source has is told before anything is built.
  if (fresh === undefined && source !== undefined && "suite" in source) await aptSources(source, settings.aptSources);
  return {
    kind: "lock",
    title,
    slot: slotOf(owner, "lock", title),
    inputs: {},
    key,
    state: fresh === undefined ? "run" : "cached",
    why: fresh === undefined ? ["what the base is made of has not been looked up, or too long ago"] : [],
    step: { kind: "lock", recipe },
  };
}

/** Looks a step up, once what is below it is known. */
export async function settle(
  step: Pick<Planned, "kind" | "title" | "slot" | "inputs">,
  below: string | undefined,
  context: Pick<PlanContext, "steps" | "isKept">,
): Promise<Planned> {
  const before = await context.steps.last(step.slot);
  const expectedSeconds = before?.seconds;
  if (below === undefined) {
    // A lock that is to be looked up may well be the one of before.
    const lock = step.kind === "base" ? before?.inputs["lock"] : undefined;
    const why = explain({ ...(lock !== undefined && { lock }), ...step.inputs }, before?.inputs);
    return { ...step, key: undefined, state: why.length > 0 ? "run" : "open", why, expectedSeconds };
  }
  const key = stepKey(step.kind, step.inputs, below);
  const result = await context.steps.find(key);
  if (result !== undefined && (await context.isKept(result))) return { ...step, key, state: "cached", why: [] };
  const changes = explain(step.inputs, before?.inputs);
  const otherwise = result !== undefined ? "its result is gone" : "the tree below it changed";
  return { ...step, key, state: "run", why: changes.length > 0 ? changes : [otherwise], expectedSeconds };
}

async function planOutputs(
  request: ImageRequest,
  inherited: BuildPlan["inherited"],
  below: string | undefined,
  context: PlanContext,
): Promise<BuildPlan["outputs"]> {
  const { tools, settings } = context;
  const wanted = new Set(request.outputs ?? inherited.outputs);
  const planned: Partial<Record<OutputKind, Planned>> = {};
  const addOn = async (on: string | undefined, kind: OutputKind, title: string, inputs: Record<string, string>) => {
    planned[kind] = await settle({ kind, title, slot: slotOf(request.name, kind, title), inputs }, on, context);
  };
  const add = (kind: OutputKind, title: string, inputs: Record<string, string>) => addOn(below, kind, title, inputs);
  if (wanted.has("squashfs")) {
    await add("rootfs", "rootfs (squashfs)", squashfsInputs(settings.squashfsLevel));
  }
  if (wanted.has("erofs")) {
    const compression = (await erofsCompression()).join(" ");
    await add("erofs", "rootfs (erofs)", { "erofs-utils": tools["erofs-utils"], compression });
  }
  if (wanted.has("cpio.gz")) await add("cpio.gz", "rootfs (cpio.gz)", { gzip: tools.gzip });
  if (wanted.has("cpio.zst")) await add("cpio.zst", "rootfs (cpio.zst)", { zstd: tools.zstd });
  if (wanted.has("oci")) await add("oci", "OCI image", { epoch: String(inherited.epoch) });
  if (wanted.has("verity")) {
    // It is made from the file that another step leaves, so that is what is below it.
    const root = await resultOf(planned.rootfs ?? planned.erofs, context);
    await addOn(root?.file?.sha256, "verity", "verity tree", { cryptsetup: tools["cryptsetup-bin"] });
  }
  const { kernel, initrd } = request.given ?? {};
  if (!bootable(request.base)) return planned;
  if (kernel === undefined) await add("kernel", "kernel", {});
  if (initrd === undefined) {
    const options = canonicalJson(inherited.initrd ?? {});
    await add("initrd", "initrd (dracut)", { options, "drivers of every initrd": ownDrivers.join(" ") });
  }
  return planned;
}

async function resultOf(planned: Planned | undefined, { steps }: PlanContext): Promise<StepResult | undefined> {
  return planned?.state === "cached" && planned.key !== undefined ? steps.find(planned.key) : undefined;
}

function bootable(base: Foundation): boolean {
  switch (base.kind) {
    case "recipe":
      return base.recipe.spec.kernel !== undefined || (base.below !== undefined && bootable(base.below));
    case "image":
      return base.image.artifacts.kernel !== undefined;
    case "request":
      return bootable(base.request.base);
  }
}

function traitsOf(base: Foundation): BuildPlan["inherited"] {
  switch (base.kind) {
    case "image": {
      // Not all of the image: what is published takes this over as its own.
      const { arch, recipe, packageSource, initrd, kernelParameters, epoch, outputs } = base.image;
      return { arch, recipe, packageSource, initrd, kernelParameters, epoch, outputs };
    }
    case "request":
      return traitsOf(base.request.base);
    case "recipe": {
      const { name, digest, spec } = base.recipe;
      const below = base.below === undefined ? undefined : traitsOf(base.below);
      return {
        arch: below?.arch ?? spec.arch,
        recipe: { name, digest },
        packageSource: packageSourceOf(base.recipe) ?? below?.packageSource,
        initrd: spec.initrd ?? below?.initrd,
        kernelParameters: spec.kernel?.parameters ?? below?.kernelParameters ?? "",
        epoch: spec.epoch,
        outputs: spec.outputs,
      };
    }
  }
}

/** Raised when the same tree gives another inventory than before. */
const inventoryForm = 2;

/** A hash of what was asked for: equal for two requests that mean the same image. */
export function fingerprintOf(plan: BuildPlan, { given = {}, own }: Pick<ImageRequest, "given" | "own">): string {
  const steps = [...allSteps(plan)].map(({ kind, inputs }) => [kind, inputs]);
  const parts = [plan.name, plan.baseChain, plan.inherited.kernelParameters, given, steps];
  return sha256(canonicalJson(own === undefined ? parts : [...parts, own]));
}

/** Every step of a build, in the order in which an operator sees them. */
export function allSteps(plan: BuildPlan): Planned[] {
  return [...plan.tree, plan.gate, plan.inventory, ...Object.values(plan.outputs)];
}

/**
 * The checks that an image has to pass: those of its recipe, of the images it is made from, and, for each layer, the
 * file in the repository's folder `checks` that is named after the playbook.
 */
async function collectChecks(request: ImageRequest, context: PlanContext): Promise<ChecksFile[]> {
  const checks = new Map<string, string>();
  for (const { file, text } of await checksBelow(request.base, context)) checks.set(file, text);
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

async function checksBelow(base: Foundation, context: PlanContext): Promise<ChecksFile[]> {
  const read = async (file: string, digest: string) => ({
    file,
    text: await readFile(context.blobs.path(digest), "utf8"),
  });
  switch (base.kind) {
    case "request":
      return collectChecks(base.request, context);
    case "image":
      return Promise.all(base.image.checks.map(({ file, sha256: digest }) => read(file, digest)));
    case "recipe": {
      const { files, spec } = base.recipe;
      const below = base.below === undefined ? [] : await checksBelow(base.below, context);
      const own = files.filter(({ path }) => spec.checks.includes(path));
      return [...below, ...(await Promise.all(own.map((file) => read(file.path, file.sha256))))];
    }
  }
}
