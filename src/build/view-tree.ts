import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { keepOfLayer } from "./keep-step.ts";
import { listingText, listLayer, parseListing } from "./tree/listing.ts";
import { viewLayers, type ListedLayer, type TreeNode } from "./tree/view.ts";
import type { Tree, Work } from "./work.ts";

/** What a finished tree shows, and of which layers. */
export interface TreeView {
  readonly root: TreeNode;
  /** The topmost first. */
  readonly layers: readonly (ListedLayer & { readonly diffId: string })[];
}

/** Worked out when somebody first asks. */
export type LazyView = () => Promise<TreeView>;

export function lazyView(tree: Pick<Tree, "layers">, work: Work): LazyView {
  let view: Promise<TreeView> | undefined;
  return () => (view ??= viewTree(tree, work));
}

/** By the listings of the layers, each of which is made once. */
async function viewTree(tree: Pick<Tree, "layers">, work: Work): Promise<TreeView> {
  const { context } = work;
  const layers = [];
  // What is undone and done again is the same layer twice.
  for (const diffId of new Set(tree.layers)) {
    const folder = join(context.layers.root, diffId);
    const { sha256 } = await keepOfLayer("listing", diffId, work, async () =>
      context.blobs.putBytes(listingText(await listLayer(folder, work.signal))),
    );
    const entries = parseListing(await readFile(context.blobs.path(sha256), "utf8"));
    layers.push({ diffId, folder, entries });
  }
  return { root: viewLayers(layers), layers };
}
