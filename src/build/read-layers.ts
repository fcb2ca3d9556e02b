import { Recent } from "../lib/recent.ts";
import type { Pack } from "./output/squashfs/pack-index.ts";
import type { LayerEntry } from "./tree/listing.ts";
import type { KnownLayer } from "./tree/stack.ts";
import type { TreeNode } from "./tree/view.ts";

/** What this process has read of layers, which never change: the next image mostly stands on the same ones. */
export interface ReadLayers {
  /** By the digest of the blob. */
  readonly listings: Recent<readonly LayerEntry[]>;
  /** By the digest of the blob. */
  readonly packs: Recent<Pack>;
  /** By the diff IDs of all layers. */
  readonly views: Recent<TreeNode>;
  /** By the layer's own folder. */
  readonly layers: Recent<KnownLayer>;
}

/** Entries. One of a listing takes some 260 bytes, and as much again when an inventory tells of it. */
const keptEntries = 400_000;
const keptLayers = 10_000;

export function noneRead(): ReadLayers {
  return {
    listings: new Recent(keptEntries),
    packs: new Recent(keptEntries),
    views: new Recent(keptEntries),
    layers: new Recent(keptLayers),
  };
}
