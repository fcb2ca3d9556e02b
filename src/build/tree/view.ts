import { toBytePath, type BytePath } from "./byte-paths.ts";
import { listLayer, type Entry, type LayerEntry } from "./listing.ts";

/** A layer and what it holds. */
export interface ListedLayer {
  /** Where it is on this machine, absolute. */
  readonly folder: string;
  readonly entries: readonly LayerEntry[];
}

/** Something in a tree. */
export interface TreeNode {
  /** As its layer has it; its `path` is the one that it has in the tree. */
  readonly entry: Entry;
  /** The layer that it is from. */
  readonly layer: ListedLayer;
  /** What is in a folder, by name, names bytewise; undefined for all else. */
  readonly inside: ReadonlyMap<BytePath, TreeNode> | undefined;
}

type GrowingNode = { entry: Entry; layer: ListedLayer; inside: Map<BytePath, GrowingNode> | undefined };

/**
 * What overlayfs would show of layers on top of each other, worked out from their listings alone. `layers` are in the
 * order of a tree's layers, the topmost first; there is at least one.
 */
export function viewLayers(layers: readonly ListedLayer[]): TreeNode {
  let root: TreeNode | undefined;
  for (const layer of layers.toReversed()) root = overlay(root, layer);
  if (root === undefined) throw new Error("a tree has one layer at least");
  return root;
}

/** What a tree shows with one more layer on it. The tree below stays as it is; what the layer leaves alone is shared. */
export function overlay(below: TreeNode | undefined, layer: ListedLayer): TreeNode {
  let root: GrowingNode | undefined;
  const folders: Folders = { made: new Set(), grown: new Set() };
  for (const entry of layer.entries) {
    if (root !== undefined) put(entry, layer, root, folders);
    // A layer lists itself first.
    else if (entry.kind !== "whiteout") root = make(entry, layer, below, folders);
  }
  if (root === undefined) throw new Error(`the listing of ${layer.folder} lacks the layer itself`);
  for (const node of folders.grown)
    node.inside = new Map([...(node.inside ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)));
  return root;
}

/** The same for layers that nobody has listed yet: absolute folders, the topmost first. */
export async function viewFolders(...folders: readonly string[]): Promise<TreeNode> {
  const layers: ListedLayer[] = [];
  for (const folder of folders) layers.push({ folder, entries: await listLayer(folder) });
  return viewLayers(layers);
}

interface Folders {
  /** Those of the new tree alone. */
  readonly made: Set<TreeNode>;
  /** Those whose names are no longer in their order. */
  readonly grown: Set<GrowingNode>;
}

function put(entry: LayerEntry, layer: ListedLayer, root: GrowingNode, folders: Folders): void {
  const names = entry.path.split("/");
  const name = names.pop() ?? "";
  const folder = names.reduce<GrowingNode | undefined>((node, part) => node?.inside?.get(part), root);
  // A layer has every folder on the way to what it changes, and lists it before.
  if (folder?.inside === undefined || !folders.made.has(folder))
    throw new Error(`the listing of ${layer.folder} has ${entry.path} before its folder`);
  if (entry.kind === "whiteout") return void folder.inside.delete(name);
  const before = folder.inside.get(name);
  if (before === undefined) folders.grown.add(folder);
  folder.inside.set(name, make(entry, layer, before, folders));
}

function make(entry: Entry, layer: ListedLayer, before: TreeNode | undefined, { made }: Folders): GrowingNode {
  const node = { entry, layer, inside: insideOf(entry, before) };
  if (node.inside !== undefined) made.add(node);
  return node;
}

/** A folder shows what was in it before, unless it says that it hides that. */
function insideOf(entry: Entry, before: TreeNode | undefined): GrowingNode["inside"] {
  if (entry.kind !== "folder") return undefined;
  return new Map(entry.opaque === true ? undefined : (before as GrowingNode | undefined)?.inside);
}

/** All of a tree, a folder before its content. */
export function* nodesOf(node: TreeNode): Generator<TreeNode> {
  yield node;
  for (const inner of node.inside?.values() ?? []) yield* nodesOf(inner);
}

/** Where the tree itself has a path, no link followed; undefined when there is nothing. */
export function nodeAt(root: TreeNode, path: BytePath): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const part of path.split("/")) {
    if (part !== "") node = node?.inside?.get(part);
  }
  return node;
}

/** Where a node's content is on this machine; nothing on the way to it is a link. */
export function placeOf({ entry, layer }: TreeNode): BytePath {
  return placeIn(layer, entry.path);
}

export function placeIn({ folder }: ListedLayer, path: BytePath): BytePath {
  return `${toBytePath(folder)}/${path}`;
}
