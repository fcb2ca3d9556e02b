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
  let root: GrowingNode | undefined;
  for (const layer of layers.toReversed()) {
    for (const entry of layer.entries) {
      if (entry.path === "" && entry.kind !== "whiteout") root = { entry, layer, inside: insideOf(entry, root) };
      else if (root !== undefined) put(entry, layer, root);
    }
  }
  if (root === undefined) throw new Error("a tree has one layer at least, and a layer lists itself");
  sortInside(root);
  return root;
}

/** The same for layers that nobody has listed yet: absolute folders, the topmost first. */
export async function viewFolders(...folders: readonly string[]): Promise<TreeNode> {
  const layers: ListedLayer[] = [];
  for (const folder of folders) layers.push({ folder, entries: await listLayer(folder) });
  return viewLayers(layers);
}

function put(entry: LayerEntry, layer: ListedLayer, root: GrowingNode): void {
  const names = entry.path.split("/");
  const name = names.pop() ?? "";
  // A layer has every folder on the way to what it changes, and lists it before.
  const folder = names.reduce<GrowingNode | undefined>((node, part) => node?.inside?.get(part), root);
  if (folder?.inside === undefined)
    throw new Error(`the listing of ${layer.folder} has ${entry.path} before its folder`);
  if (entry.kind === "whiteout") folder.inside.delete(name);
  else folder.inside.set(name, { entry, layer, inside: insideOf(entry, folder.inside.get(name)) });
}

/** A folder shows what was in it before, unless it says that it hides that. */
function insideOf(entry: Entry, before: GrowingNode | undefined): GrowingNode["inside"] {
  if (entry.kind !== "folder") return undefined;
  return (entry.opaque === true ? undefined : before?.inside) ?? new Map();
}

function sortInside(node: GrowingNode): void {
  if (node.inside === undefined) return;
  node.inside = new Map([...node.inside].sort(([a], [b]) => (a < b ? -1 : 1)));
  for (const inner of node.inside.values()) sortInside(inner);
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
