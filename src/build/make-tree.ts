import { chmod, chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { baseOf, familyOf } from "./base/index.ts";
import { lockText } from "./base/lock.ts";
import { alone, atStep, keepStep, type Made } from "./keep-step.ts";
import { chainWith, stepKey } from "./key.ts";
import { baseWorld, buildIdOf, makeLayer } from "./make-layer.ts";
import { normalise } from "./normalise.ts";
import { imageBelow } from "./steps.ts";
import { digestLayer } from "./tree/archive.ts";
import { pruneUnchanged } from "./tree/prune.ts";
import { readLayer } from "./tree/layer-reading.ts";
import { listLayer } from "./tree/listing.ts";
import { openStack } from "./tree/stack.ts";
import type { LayerStep, PlannedTreeStep, TreeStep } from "./types.ts";
import { keepListing, stackOf, readAhead } from "./view-tree.ts";
import type { Tree, Work } from "./work.ts";

/** Makes the tree, a layer for each step that changes it. */
export async function makeTree(work: Work): Promise<Tree> {
  const { plan } = work;
  const below = imageBelow(work.request.base)?.image;
  let tree: Tree = {
    layers: plan.baseLayers,
    chain: plan.baseChain,
    locks: below?.locks ?? {},
    steps: [],
    release: below && { name: below.name, buildId: below.buildId },
    base: undefined,
  };
  for (const planned of plan.tree) {
    if (planned.step.kind === "lock") await keepLock(planned, planned.step, work);
    else if (planned.step.kind === "manual") tree = await takeManual(planned, planned.step, tree, work);
    else tree = await keepLayer(planned, planned.step, tree, work);
  }
  return tree;
}

async function keepLayer(planned: PlannedTreeStep, step: LayerStep, below: Tree, work: Work): Promise<Tree> {
  const complete = step.kind === "base" ? await withLock(planned, step, work) : planned;
  const key = stepKey(complete.kind, complete.inputs, below.chain);
  const { layer, chain, downloads } = await keepStep(complete, below.chain, work, async (folder) => {
    const upper = join(folder, "tree");
    await makeUpper(upper, below, work);
    void readAhead(below, work);
    const downloads = await makeLayer({ step, planned: complete, key, below, upper, folder }, work);
    return { ...(await commit(upper, step, complete, below, work)), ...(downloads !== undefined && { downloads }) };
  });
  const tree = {
    ...below,
    steps: [...below.steps, { ...complete, key }],
    layers: layer === undefined ? below.layers : [layer, ...below.layers],
    chain,
    locks: {
      ...below.locks,
      ...lockOf(step, complete, work),
      ...(downloads !== undefined && { [complete.slot]: downloads }),
    },
  };
  return step.kind === "release"
    ? { ...tree, release: { name: step.name, buildId: buildIdOf(key) }, base: below.release }
    : tree;
}

/** The root of a layer is what the tree shows as its root, so it has to look as the one below. */
async function makeUpper(upper: string, below: Tree, { context }: Work): Promise<void> {
  const lower = below.layers.map((layer) => join(context.layers.root, layer));
  const root = await openStack(lower).topmost("");
  await mkdir(upper, { mode: 0o755 });
  if (root === undefined) return;
  await chown(upper, Number(root.stats.uid), Number(root.stats.gid));
  await chmod(upper, Number(root.stats.mode & 0o7777n));
}

/** Puts a layer on the tree that was made by hand. */
async function takeManual(
  planned: PlannedTreeStep,
  { manual: { layer } }: TreeStep & { kind: "manual" },
  below: Tree,
  work: Work,
): Promise<Tree> {
  const { chain } = await keepStep(planned, below.chain, work, async () => {
    if (await work.context.layers.has(layer)) return { chain: chainWith(below.chain, layer), layer };
    throw new NetkilnError("not_found", `the layer ${layer} is gone, and what was made by hand cannot be made again`);
  });
  const key = stepKey(planned.kind, planned.inputs, below.chain);
  return { ...below, steps: [...below.steps, { ...planned, key }], layers: [layer, ...below.layers], chain };
}

/** Makes what a step has changed into a layer that is named by its content; a step that changed nothing makes none. */
async function commit(
  upper: string,
  step: LayerStep,
  { inputs }: PlannedTreeStep,
  below: Tree,
  work: Work,
): Promise<Made> {
  const { layers } = work.context;
  const lower = [...below.layers, layers.empty].map((layer) => join(layers.root, layer));
  await normalise(upper, Number(inputs["epoch"]), step.kind === "base");
  const reading = await readLayer(upper, stackOf(below.layers, work.context));
  await pruneUnchanged(upper, lower, reading);
  if ((await readdir(upper)).length === 0) return { chain: below.chain };
  const { diffId } = await digestLayer(upper, lower, reading);
  // A base is large, and other steps go on while it is listed.
  if (step.kind !== "base") await keepListing(diffId, work, () => listLayer(upper, work.signal, reading));
  await layers.commit(upper, diffId);
  return { chain: chainWith(below.chain, diffId), layer: diffId };
}

/** Looks up what a base is to be made of, unless that is known and recent enough. */
async function keepLock(planned: PlannedTreeStep, step: TreeStep & { kind: "lock" }, work: Work): Promise<void> {
  const { context, journal, signal } = work;
  const { steps, settings, turns } = context;
  const family = planned.key ?? "";
  const once = (look: () => Promise<void>) =>
    turns.take(`lock ${family}`, () => alone(`lock ${family}`, context, signal, look));
  await once(async () => {
    if ((await steps.freshLock(family, settings.packagesMaxAge)) !== undefined) {
      return journal.report(planned, { state: "cached", why: [] });
    }
    await journal.report(planned, { state: "running", why: planned.why });
    const started = clock.now().getTime();
    const seconds = () => (clock.now().getTime() - started) / 1000;
    try {
      const digest = await context.layers.withWorkFolder((folder) => resolveLock(step, folder, work));
      await steps.putLock(family, digest, false);
      await journal.report(planned, { state: "done", seconds: seconds(), why: planned.why });
    } catch (error) {
      await journal.report(planned, { state: "failed", seconds: seconds(), why: planned.why });
      throw atStep(planned, error);
    }
  });
}

/** Finds out what a base is to be made of now, and keeps that; returns the digest of the lock. */
export async function resolveLock(
  step: TreeStep & { kind: "lock" },
  folder: string,
  work: Pick<Work, "context" | "journal" | "signal">,
): Promise<string> {
  const lock = await baseOf(step.recipe, work.context.settings)?.resolve(baseWorld(step, folder, work));
  if (lock === undefined) throw new NetkilnError("internal", `recipe ${step.recipe.name} has no base of its own`);
  return (await work.context.blobs.putBytes(lockText(lock))).sha256;
}

async function withLock(planned: PlannedTreeStep, step: LayerStep & { kind: "base" }, { context }: Work) {
  if (planned.inputs["lock"] !== undefined) return planned;
  const { steps, settings } = context;
  const lock = await steps.freshLock(familyOf(step.recipe, settings), settings.packagesMaxAge);
  return { ...planned, inputs: { ...planned.inputs, lock: lock ?? "" } };
}

function lockOf(step: LayerStep, { inputs }: PlannedTreeStep, { context }: Work): Tree["locks"] {
  const { lock } = inputs;
  return step.kind === "base" && lock !== undefined ? { [familyOf(step.recipe, context.settings)]: lock } : {};
}
