/** What something is, as listings of layers and images call it; a socket too, which neither holds. */
import type { TreeEntry } from "../../src/build/output/squashfs/entry.ts";
import type { Listed } from "../../src/build/tree/list.ts";

export function kindOf({ stats }: Listed): TreeEntry["kind"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  if (stats.isSymbolicLink()) return "symlink";
  if (stats.isFIFO()) return "fifo";
  if (stats.isSocket()) return "socket";
  return stats.isBlockDevice() ? "block-device" : "character-device";
}
