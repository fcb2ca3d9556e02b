import { posix } from "node:path";
import { resolvePlace } from "../../lib/rooted.ts";
import { toBytePath, toText } from "../tree/byte-paths.ts";
import type { EntryKind } from "../tree/listing.ts";
import { nodeAt, type TreeNode } from "../tree/view.ts";
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
       * Seconds, of all but folders: what is made from a tree has new folders, whose times it brings to the epoch, and
       * what is in a folder is told by its listing.
       */
      readonly time?: number;
      readonly size?: number;
      /** Of a file's content. */
      readonly sha256?: string;
      readonly target?: string;
      /** `MAJOR:MINOR` of a device. */
      readonly device?: string;
    };

/** What there was at every place that somebody looked at, and at every link and folder on the way to it. */
export interface Observed {
  /** By path, without links in it. */
  readonly places: Readonly<Record<string, Place>>;
  /** Names in each folder that was listed, with their kinds. */
  readonly folders: Readonly<Record<string, Readonly<Record<string, Kind>>>>;
}

/** Observes a tree; names are followed as by a process whose root it is. */
export async function observe(root: TreeNode, looks: Looks): Promise<Observed> {
  const seen = new Set(["/"]);
  const places = {
    lstat: async (path: string) => {
      seen.add(path);
      const kind = nodeAt(root, toBytePath(path))?.entry.kind;
      return kind && { isDirectory: () => kind === "folder", isSymbolicLink: () => kind === "symlink" };
    },
    readlink: async (path: string) => toText(nodeAt(root, toBytePath(path))?.entry.link ?? ""),
  };
  const resolve = (path: string) =>
    // Too many links: all of them were looked at, and whoever named the path got an error.
    resolvePlace(places, path, true).catch(() => undefined);
  for (const path of looks.paths) await resolve(path);
  const listed = new Map<string, Record<string, Kind>>();
  for (const path of looks.folders) {
    const found = await resolve(path);
    const names = found === undefined ? undefined : namesIn(found, root);
    if (found !== undefined && names !== undefined) listed.set(found, names);
  }
  return {
    places: Object.fromEntries([...seen].sort().map((path) => [path, lookAt(path, root)])),
    folders: Object.fromEntries([...listed].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/**
 * Says what makes a tree differ from the one that was observed, in an operator's words: the first place in the order
 * of paths and how it differs; undefined when it is the same wherever somebody had looked. Of all places that differ, a
 * folder comes before what is in it: whenever a place is looked at here, no link is on the way to it.
 */
export function firstDifference(root: TreeNode, observed: Observed): string | undefined {
  for (const [path, before] of Object.entries(observed.places)) {
    const difference = compare(before, lookAt(path, root));
    if (difference !== undefined) return `${path} ${difference}`;
    const names = observed.folders[path];
    const change = names === undefined ? undefined : compareNames(names, namesIn(path, root) ?? {});
    if (change !== undefined) return `${posix.join(path, change.name)} ${change.how}`;
  }
  return undefined;
}

function lookAt(path: string, root: TreeNode): Place {
  const entry = nodeAt(root, toBytePath(path))?.entry;
  if (entry === undefined) return { kind: "absent" };
  const kind = kindOf(entry.kind);
  const common = { kind, mode: entry.mode, owner: `${entry.uid}:${entry.gid}` };
  if (kind === "folder") return common;
  return {
    ...common,
    time: entry.mtime,
    size: entry.link?.length ?? entry.size,
    ...(entry.sha256 !== undefined && { sha256: entry.sha256 }),
    ...(entry.link !== undefined && { target: toText(entry.link) }),
    ...(entry.device !== undefined && { device: `${entry.device.major}:${entry.device.minor}` }),
  };
}

function kindOf(kind: EntryKind): Kind {
  switch (kind) {
    case "file":
    case "folder":
      return kind;
    case "symlink":
      return "link";
    case "fifo":
      return "other";
    case "character-device":
    case "block-device":
      return "device";
  }
}

/** Undefined when it is no folder. */
function namesIn(path: string, root: TreeNode): Record<string, Kind> | undefined {
  const inside = nodeAt(root, toBytePath(path))?.inside;
  if (inside === undefined) return undefined;
  return Object.fromEntries([...inside].map(([name, { entry }]) => [toText(name), kindOf(entry.kind)]));
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
    const kindIn = (names: typeof before) => (Object.hasOwn(names, name) ? names[name] : undefined);
    const [was, is] = [kindIn(before), kindIn(now)];
    if (was === is) continue;
    return { name, how: was === undefined ? "is new" : is === undefined ? "is gone" : `was a ${was} and is a ${is}` };
  }
  return undefined;
}
