import { readdirSync, readlinkSync, type BigIntStats } from "node:fs";
import { toBuffer, toBytePath, type BytePath } from "./byte-paths.ts";
import { lookAt } from "./stack.ts";
import { readXattrs, type Xattrs } from "./xattrs.ts";

export interface Listed {
  /** Relative to the folder; empty for the folder itself. */
  readonly path: BytePath;
  /** Where it is on this machine. */
  readonly place: BytePath;
  readonly stats: BigIntStats;
  /** Target of a symbolic link. */
  readonly link: BytePath | undefined;
  /** All of them, also those of overlayfs. */
  readonly xattrs: Xattrs;
}

/** All that a folder holds, itself included and first, a folder before its content; links are not followed. */
export async function listTree(folder: string): Promise<Listed[]> {
  const root = toBytePath(folder);
  const xattrs = await readXattrs(folder);
  const listed: Listed[] = [];
  const pending: BytePath[] = [""];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const place = path === "" ? root : `${root}/${path}`;
    const stats = lookAt(place);
    if (stats === undefined) continue;
    const link = stats.isSymbolicLink() ? readlinkSync(toBuffer(place), { encoding: "latin1" }) : undefined;
    listed.push({ path, place, stats, link, xattrs: xattrs.get(place) ?? new Map() });
    if (!stats.isDirectory()) continue;
    const names = readdirSync(toBuffer(place), { encoding: "latin1" });
    for (const name of names) pending.push(path === "" ? name : `${path}/${name}`);
  }
  return listed;
}
