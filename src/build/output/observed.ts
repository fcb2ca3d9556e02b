import { createHash } from "node:crypto";
import {
  closeSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  lstatSync,
  type BigIntStats,
  type Dirent,
} from "node:fs";
import { lstat } from "node:fs/promises";
import { join, posix } from "node:path";
import { orUndefined, resolveRooted, type Look } from "../../lib/rooted.ts";
import type { Looks } from "./trace.ts";

type Kind = "file" | "folder" | "link" | "device" | "other";

/** What stood at one place of a tree. */
export type Place =
  | { readonly kind: "absent" }
  | {
      readonly kind: Kind;
      readonly mode: number;
      /** `UID:GID`. */
      readonly owner: string;
      /**
       * Nanoseconds, of all but folders: what is made from a tree has new folders, whose times it brings to the epoch,
       * and what is in a folder is told by its listing.
       */
      readonly time?: string;
      readonly size?: number;
      /** Of a file's content. */
      readonly sha256?: string;
      readonly target?: string;
      /** Number of a device. */
      readonly device?: number;
    };

/** What there was at every place that somebody looked at, and at every link and folder on the way to it. */
export interface Observed {
  /** By path, without links in it. */
  readonly places: Readonly<Record<string, Place>>;
  /** Names in each folder that was listed, with their kinds. */
  readonly folders: Readonly<Record<string, Readonly<Record<string, Kind>>>>;
}

/** Observes the tree below `root`; names are followed as by a process whose root it is. */
export async function observe(root: string, looks: Looks): Promise<Observed> {
  const seen = new Map<string, ReturnType<Look>>();
  const look: Look = (path) => {
    const known = seen.get(path) ?? orUndefined(lstat(path));
    seen.set(path, known);
    return known;
  };
  const resolve = (path: string) =>
    // Too many links: all of them were looked at, and whoever named the path got an error.
    resolveRooted(root, path, true, look).catch(() => undefined);
  await look(root);
  for (const path of looks.paths) await resolve(path);
  const listed = new Set<string>();
  for (const path of looks.folders) {
    const found = await resolve(path);
    if (found !== undefined && (await look(join(root, found)))?.isDirectory() === true) listed.add(found);
  }
  const places = [...seen.keys()].map((path) => (path === root ? "/" : path.slice(root.length))).sort();
  return {
    places: Object.fromEntries(places.map((path) => [path, lookAt(join(root, path))])),
    folders: Object.fromEntries([...listed].sort().map((path) => [path, namesIn(join(root, path))])),
  };
}

/**
 * Compares the tree below `root` with what was observed. Places are in the order of their paths, so of all places that
 * differ, a folder comes before what is in it: whenever a place is looked at here, no link is on the way to it.
 */
export function firstDifference(root: string, observed: Observed): string | undefined {
  for (const [path, before] of Object.entries(observed.places)) {
    const difference = compare(before, lookAt(join(root, path), before));
    if (difference !== undefined) return `${path} ${difference}`;
    const names = observed.folders[path];
    const change = names === undefined ? undefined : compareNames(names, namesIn(join(root, path)));
    if (change !== undefined) return `${posix.join(path, change.name)} ${change.how}`;
  }
  return undefined;
}

/** With `expected`, content that cannot be the same is not read. */
function lookAt(path: string, expected?: Place): Place {
  const stats = statsOf(path);
  if (stats === undefined) return { kind: "absent" };
  const kind = kindOf(stats);
  const common = { kind, mode: Number(stats.mode & 0o7777n), owner: `${stats.uid}:${stats.gid}` };
  if (kind === "folder") return common;
  const place = { ...common, time: String(stats.mtimeNs), size: Number(stats.size) };
  if (kind === "link") return { ...place, target: readlinkSync(path) };
  if (kind === "device") return { ...place, device: Number(stats.rdev) };
  const comparable = expected === undefined || ("size" in expected && expected.size === place.size);
  return kind === "file" && comparable ? { ...place, sha256: digest(path) } : place;
}

function statsOf(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    // Nothing can have a name that is too long.
    if ((error as NodeJS.ErrnoException).code === "ENAMETOOLONG") return undefined;
    throw error;
  }
}

type WithKind = Pick<Dirent, "isFile" | "isDirectory" | "isSymbolicLink" | "isCharacterDevice" | "isBlockDevice">;

function kindOf(found: WithKind): Kind {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "folder";
  if (found.isSymbolicLink()) return "link";
  return found.isCharacterDevice() || found.isBlockDevice() ? "device" : "other";
}

function namesIn(folder: string): Record<string, Kind> {
  const entries = readdirSync(folder, { withFileTypes: true });
  return Object.fromEntries(entries.map((entry) => [entry.name, kindOf(entry)] as const).sort(byName));
}

function byName([a]: readonly [string, Kind], [b]: readonly [string, Kind]): number {
  return a < b ? -1 : 1;
}

const buffer = Buffer.alloc(1 << 20);

function digest(path: string): string {
  const hash = createHash("sha256");
  const file = openSync(path, "r");
  try {
    for (;;) {
      const read = readSync(file, buffer, 0, buffer.length, null);
      if (read === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, read));
    }
  } finally {
    closeSync(file);
  }
}

function compare(before: Place, now: Place): string | undefined {
  if (before.kind === "absent") return now.kind === "absent" ? undefined : "is new";
  if (now.kind === "absent") return "is gone";
  if (before.kind !== now.kind) return `was a ${before.kind} and is a ${now.kind}`;
  const differing = (
    [
      ["size", "its size"],
      ["sha256", "its content"],
      ["target", "where it points"],
      ["device", "its number"],
      ["mode", "its mode"],
      ["owner", "its owner"],
      ["time", "its time"],
    ] as const
  ).find(([field]) => before[field] !== now[field]);
  return differing === undefined ? undefined : `changed (${differing[1]})`;
}

function compareNames(
  before: Readonly<Record<string, Kind>>,
  now: Readonly<Record<string, Kind>>,
): { name: string; how: string } | undefined {
  for (const name of [...new Set([...Object.keys(before), ...Object.keys(now)])].sort()) {
    const [was, is] = [before[name], now[name]];
    if (was === is) continue;
    return { name, how: was === undefined ? "is new" : is === undefined ? "is gone" : `was a ${was} and is a ${is}` };
  }
  return undefined;
}
