import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { findOfLayer, keepOfLayer } from "./keep-step.ts";
import { openPack, type Pack } from "./output/squashfs/pack-index.ts";
import { listingText, listLayer, parseListing, type LayerEntry } from "./tree/listing.ts";
import { openStack, type KnownLayer, type Stack } from "./tree/stack.ts";
import type { BytePath } from "./tree/byte-paths.ts";
import { overlay, type ListedLayer, type TreeNode } from "./tree/view.ts";
import type { Xattrs } from "./tree/xattrs.ts";
import type { BuildContext, Tree, Work } from "./work.ts";

/** What a finished tree shows, and of which layers. */
export interface TreeView {
  readonly root: TreeNode;
  /** The topmost first. */
  readonly layers: readonly ViewedLayer[];
}

export type ViewedLayer = ListedLayer & { readonly diffId: string };

/** Worked out when somebody first asks. */
export type LazyView = () => Promise<TreeView>;

function lazyView(tree: Pick<Tree, "layers">, work: Work): LazyView {
  let view: Promise<TreeView> | undefined;
  return () => (view ??= viewTree(tree, work));
}

/** The view of a tree for all that look at it at once, which have one thread among them. */
export interface ViewInTurns {
  /** For the root image, whose turn comes first: what takes longest of a small change, its writing, is done elsewhere. */
  readonly root: LazyView;
  /** To be called when the root image does not need this thread any more, or not for a while. */
  readonly planned: () => void;
  /** For everybody else, from then on. */
  readonly others: LazyView;
}

export function viewInTurns(tree: Pick<Tree, "layers">, work: Work): ViewInTurns {
  const root = lazyView(tree, work);
  const { promise, resolve } = Promise.withResolvers<void>();
  return { root, planned: resolve, others: () => promise.then(root) };
}

/** By the listings of the layers, each of which is made once. */
async function viewTree({ layers }: Pick<Tree, "layers">, work: Work): Promise<TreeView> {
  const { context, signal } = work;
  const listed: ViewedLayer[] = [];
  // What is undone and done again is the same layer twice.
  for (const diffId of new Set(layers)) {
    const folder = join(context.layers.root, diffId);
    listed.push({ diffId, folder, entries: await keepListing(diffId, work, () => listLayer(folder, signal)) });
  }
  return { root: viewOf(listed, context), layers: listed };
}

/** The listing of a layer, which `list` makes where there is none. */
export async function keepListing(
  diffId: string,
  work: Work,
  list: () => Promise<readonly LayerEntry[]>,
): Promise<readonly LayerEntry[]> {
  const { context } = work;
  const { sha256 } = await keepOfLayer("listing", diffId, work, async () =>
    context.blobs.putBytes(listingText(await list())),
  );
  return readListing(diffId, sha256, context);
}

/** The tree of layers that are kept, the topmost first, without a mount. */
export function stackOf(diffIds: readonly string[], { layers, read }: Pick<BuildContext, "layers" | "read">): Stack {
  const folders = [...diffIds, layers.empty].map((name) => join(layers.root, name));
  return openStack(folders, (folder) => read.layers.get(folder));
}

async function readListing(
  diffId: string,
  sha256: string,
  { read, blobs, layers }: BuildContext,
): Promise<readonly LayerEntry[]> {
  const known = read.listings.get(sha256);
  if (known !== undefined) return known;
  const entries = parseListing(await readFile(blobs.path(sha256), "utf8"));
  read.listings.put(sha256, entries, entries.length);
  read.layers.put(join(layers.root, diffId), knownFrom(entries), 1);
  return entries;
}

function knownFrom(entries: readonly LayerEntry[]): KnownLayer {
  const opaque = new Set<BytePath>();
  const xattrs = new Map<BytePath, Xattrs>();
  for (const entry of entries) {
    if (entry.kind === "whiteout") continue;
    if (entry.opaque === true) opaque.add(entry.path);
    if (entry.xattrs.size > 0) xattrs.set(entry.path, entry.xattrs);
  }
  return { opaque, xattrs };
}

/** Begins with the view of as many of the lower layers as there is one of. */
function viewOf(layers: readonly ViewedLayer[], { read: { views } }: BuildContext): TreeNode {
  const keyFrom = (index: number) =>
    layers
      .slice(index)
      .map(({ diffId }) => diffId)
      .join(" ");
  let root: TreeNode | undefined;
  let known = 0;
  for (; known < layers.length && root === undefined; known += 1) root = views.get(keyFrom(known));
  const missing = root === undefined ? layers : layers.slice(0, known - 1);
  for (const layer of missing.toReversed()) root = overlay(root, layer);
  if (root === undefined) throw new Error("a tree has one layer at least");
  const weight = layers.reduce((sum, { entries }) => sum + entries.length, 0);
  if (missing.length > 0) views.put(keyFrom(0), root, weight);
  return root;
}

/** The index of the content pack with that digest. */
export function readPack(sha256: string, { read, blobs }: BuildContext): Pack {
  const known = read.packs.get(sha256);
  if (known !== undefined) return known;
  const pack = openPack(blobs.path(sha256));
  read.packs.put(sha256, pack, pack.contents.size);
  return pack;
}

/**
 * Reads what is kept of the layers of a tree on which a step is at work: packing will want it, and until the step's
 * tool is done this process has nothing to do. Makes nothing, and what fails here is told to who needs it.
 */
export async function readAhead({ layers }: Pick<Tree, "layers">, { context, signal }: Work): Promise<void> {
  try {
    const listed: ViewedLayer[] = [];
    for (const diffId of new Set(layers)) {
      const listing = await findOfLayer("listing", diffId, context);
      const content = await findOfLayer("content", diffId, context);
      if (listing === undefined || content === undefined || signal.aborted) return;
      readPack(content.sha256, context);
      const folder = join(context.layers.root, diffId);
      listed.push({ diffId, folder, entries: await readListing(diffId, listing.sha256, context) });
    }
    if (listed.length > 0) viewOf(listed, context);
  } catch {
    // Whoever needs it reads it again.
  }
}
