import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { isWhiteout, lookAt, wholeSeconds } from "./stack.ts";
import { toBytePath } from "./byte-paths.ts";
import type { BigIntStats } from "node:fs";

/** More would say no more. */
const toldFiles = 200;

/** Says for two layer folders which paths differ, and in what; at most 200. */
export async function differingFiles(before: string, now: string): Promise<string[]> {
  const paths = new Set([...(await entriesOf(before)), ...(await entriesOf(now))]);
  const told: string[] = [];
  for (const path of [...paths].sort()) {
    if (told.length === toldFiles) break;
    const difference = await differenceAt(join(before, path), join(now, path));
    if (difference !== undefined) told.push(`/${path}: ${difference}`);
  }
  return told;
}

async function entriesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

async function differenceAt(before: string, now: string): Promise<string | undefined> {
  const [a, b] = [lookAt(toBytePath(before)), lookAt(toBytePath(now))];
  if (a === undefined || b === undefined) return a === undefined ? "is new" : "is gone";
  if (isWhiteout(a) !== isWhiteout(b) || kindOf(a) !== kindOf(b)) return "is of another kind";
  const parts = [
    a.mode !== b.mode && `mode (${modeOf(a)} -> ${modeOf(b)})`,
    (a.uid !== b.uid || a.gid !== b.gid) && `owner (${a.uid}:${a.gid} -> ${b.uid}:${b.gid})`,
    wholeSeconds(a) !== wholeSeconds(b) && `time (${wholeSeconds(a)} -> ${wholeSeconds(b)})`,
    !(await sameContent(a, before, now)) && "content",
  ].filter((part) => part !== false);
  return parts.length === 0 ? undefined : parts.join(", ");
}

const kindOf = ({ mode }: BigIntStats) => mode & 0o170000n;
const modeOf = ({ mode }: BigIntStats) => (mode & 0o7777n).toString(8).padStart(4, "0");

async function sameContent(stats: BigIntStats, before: string, now: string): Promise<boolean> {
  if (stats.isSymbolicLink()) return (await readlink(before)) === (await readlink(now));
  if (!stats.isFile()) return true;
  return (await readFile(before)).equals(await readFile(now));
}
