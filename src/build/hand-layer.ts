import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { scaffoldFor } from "./make-layer.ts";
import { normalise } from "./normalise.ts";
import { exchangeOf, treeOf, writeScaffold, type Sandbox } from "./sandbox/sandbox.ts";
import { digestLayer } from "./tree/archive.ts";
import { changesIn, type Change } from "./tree/changes.ts";
import { openStack } from "./tree/stack.ts";
import { pruneUnchanged } from "./tree/prune.ts";
import { removeHistories } from "./shell-histories.ts";
import { sandboxOf, type BuildContext } from "./work.ts";

export type HandContext = Pick<BuildContext, "layers" | "settings" | "blobs">;

/** A tree that is changed by hand: an image's, or as much of one as there is. */
export type HandTree = Pick<Image, "name" | "layers" | "epoch" | "packageSource">;

/** Where its changes are, in a folder that is their own. */
export function upperOf(folder: string): string {
  return join(folder, "tree");
}

/** The tree's layers as folders, the topmost first. */
export function lowerOf({ layers }: Pick<HandTree, "layers">, context: Pick<HandContext, "layers">): string[] {
  return [...layers, context.layers.empty].map((layer) => join(context.layers.root, layer));
}

export async function requireLayers({ name, layers }: HandTree, context: Pick<HandContext, "layers">): Promise<void> {
  for (const layer of layers) {
    if (await context.layers.has(layer)) continue;
    throw new NetkilnError("not_found", `the layer ${layer} of the image ${name} is not here`, {
      hint: `build the image again: netkiln builds start ${name}`,
    });
  }
}

/**
 * The tree with a layer for changes on top, and what is lent to it meanwhile: sources of packages and name servers where
 * there is a network, and no daemons. Changes that are in the folder already are there again.
 */
export async function handSandbox(
  tree: HandTree,
  folder: string,
  { network, buildsKernelModules }: { readonly network: boolean; readonly buildsKernelModules: boolean },
  context: HandContext,
): Promise<Sandbox> {
  const upper = upperOf(folder);
  await mkdir(upper, { recursive: true, mode: 0o755 });
  const sandbox = sandboxOf(tree.layers, folder, context);
  const lent = join(folder, "scaffold");
  await rm(lent, { recursive: true, force: true });
  const nothing = { aptSources: [], aptOptions: [], resolvConf: undefined };
  const scaffold = network ? await scaffoldFor(tree.packageSource, context) : nothing;
  await writeScaffold(lent, { ...scaffold, buildsKernelModules }, openStack(lowerOf(tree, context)));
  await mkdir(exchangeOf(sandbox), { recursive: true });
  return {
    ...sandbox,
    ...{ lower: [lent, ...sandbox.lower], changes: { kind: "keep", upper }, devices: true, network },
  };
}

/** What was done by hand, without what is no change. */
export async function changesByHand(tree: HandTree, folder: string, context: HandContext): Promise<Change[]> {
  const upper = upperOf(folder);
  const lower = lowerOf(tree, context);
  await removeHistories(upper);
  await normalise(upper, tree.epoch, false);
  await pruneUnchanged(upper, lower);
  return changesIn(upper, lower);
}

/** Keeps what was done as a layer, and returns its diff ID, which is told before the changes leave the folder. */
export async function keepByHand(
  tree: HandTree,
  folder: string,
  context: HandContext,
  tell: (diffId: string) => Promise<void>,
): Promise<string> {
  const upper = upperOf(folder);
  const { diffId } = await digestLayer(upper, lowerOf(tree, context));
  await tell(diffId);
  await context.layers.commit(upper, diffId);
  return diffId;
}

export async function hasBash(sandbox: Sandbox): Promise<boolean> {
  const tree = treeOf(sandbox);
  return (await tree.topmost("usr/bin/bash")) !== undefined || (await tree.topmost("bin/bash")) !== undefined;
}
