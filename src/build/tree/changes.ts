import { readdirSync, type BigIntStats } from "node:fs";
import { toBuffer, toText } from "./byte-paths.ts";
import { listTree } from "./list.ts";
import { isWhiteout, openStack } from "./stack.ts";
import { isOpaque } from "./xattrs.ts";

/** A path from the tree's root. */
export interface Change {
  readonly kind: "added" | "changed" | "removed";
  readonly path: string;
}

/**
 * What a layer does to the tree below it, sorted by path: `upper` is an overlayfs upper directory out of which
 * `pruneUnchanged` has taken what says nothing, and `lower` are the layers below it, absolute, the topmost first.
 * Folders that are there only because of what is in them are no change, and sockets are in no layer.
 */
export async function changesIn(upper: string, lower: readonly string[]): Promise<Change[]> {
  const below = openStack(lower);
  const changes: Change[] = [];
  for (const { path, place, stats, xattrs } of await listTree(upper)) {
    if (path === "" || stats.isSocket()) continue;
    const found = await below.topmost(path);
    const add = (kind: Change["kind"]) => void changes.push({ kind, path: `/${toText(path)}` });
    if (isWhiteout(stats)) add("removed");
    else if (found === undefined) add("added");
    else if (!stats.isDirectory() || isOpaque(xattrs) || !alike(stats, found.stats)) add("changed");
    // It was not taken out, so something is different about it.
    else if (readdirSync(toBuffer(place)).length === 0) add("changed");
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function alike(a: BigIntStats, b: BigIntStats): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}
