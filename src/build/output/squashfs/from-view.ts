import { nodesOf, placeIn, type ListedLayer, type TreeNode } from "../../tree/view.ts";
import type { TreeEntry } from "./entry.ts";
import type { ContentFile } from "./plan-blocks.ts";

/** All contents of a layer, also those that a layer above it hides: another tree shows them. */
export function contentsOf(layer: ListedLayer): ContentFile[] {
  return layer.entries.flatMap((entry) =>
    entry.kind === "file" && entry.sha256 !== undefined
      ? [{ sha256: entry.sha256, size: entry.size, place: placeIn(layer, entry.path) }]
      : [],
  );
}

/** What of a tree becomes an image. */
export function imageEntries(root: TreeNode): TreeEntry[] {
  return [...nodesOf(root)].map(({ entry, layer }) => {
    const { inode, opaque: _opaque, ...rest } = entry;
    // Numbers of one layer say nothing of another.
    return { ...rest, ...(inode !== undefined && { inode: `${inode} ${layer.folder}` }) };
  });
}
