import { lstatSync, readdirSync, type BigIntStats } from "node:fs";
import { toBuffer, toBytePath, toText, type BytePath } from "./byte-paths.ts";
import { isOpaque, readXattrs, readXattrsOf, type Xattrs } from "./xattrs.ts";

/** What a tree has at a path. */
export interface Found {
  /** The layer that says so. */
  readonly layer: string;
  /** Where it is on this machine. */
  readonly file: BytePath;
  readonly stats: BigIntStats;
}

/** Layers on top of each other, looked at as overlayfs would show them, without a mount. */
export interface Stack {
  /**
   * What the tree has at a path (relative, or from the tree's root), a link itself and not its target; undefined when
   * there is nothing, also because an upper layer says that it, or a folder above it, is gone or is no folder.
   */
  topmost(path: BytePath): Promise<Found | undefined>;
  /** Extended attributes of what was found, by its file; those that belong to the tree are among them. */
  xattrsOf(found: readonly Found[]): Promise<ReadonlyMap<BytePath, Xattrs>>;
}

/** What is known of a layer that never changes. */
export interface KnownLayer {
  /** Folders, as paths in the layer, that hide what the layers below have in them. */
  readonly opaque: ReadonlySet<BytePath>;
  /** Those of the tree, by path in the layer, of whatever has any. */
  readonly xattrs: ReadonlyMap<BytePath, Xattrs>;
}

/** Undefined when nobody knows. */
export type KnownLayers = (layer: string) => KnownLayer | undefined;

/**
 * `layers` are absolute folders, the topmost first; they may not change while the stack is in use. What is `known` need
 * not be read, which takes a process.
 */
export function openStack(layers: readonly string[], known: KnownLayers = () => undefined): Stack {
  // Overlayfs wants two layers at least, so there may be empty ones below.
  const lowest = layers.findLastIndex((layer) => readdirSync(layer).length > 0);
  let found: Promise<ReadonlySet<BytePath>> | undefined;
  /** Read when first asked for, and not in the lowest layer: by far the largest, it has nothing below to hide. */
  const opaqueFolders = () => (found ??= findOpaqueFolders(layers.slice(0, lowest), known));
  return {
    topmost: async (path) => {
      const parts = path.split("/").filter((part) => part !== "");
      for (const [index, layer] of layers.entries()) {
        let here = toBytePath(layer);
        let hides = false;
        let stats = lookAt(here);
        for (const part of parts) {
          if (stats === undefined) break;
          if (!stats.isDirectory()) return undefined;
          if (index < lowest) hides ||= (await opaqueFolders()).has(here);
          here = `${here}/${part}`;
          stats = lookAt(here);
        }
        if (stats !== undefined) return isWhiteout(stats) ? undefined : { layer, file: here, stats };
        if (hides) return undefined;
      }
      return undefined;
    },
    xattrsOf: async (found) => {
      // Asked once: it may be forgotten while others are read.
      const knownOf = new Map(found.map(({ layer }) => [layer, known(layer)]));
      const unknown = found.filter(({ layer }) => knownOf.get(layer) === undefined);
      const xattrs = new Map(unknown.length > 0 ? await readXattrsOf(unknown.map(({ file }) => toText(file))) : []);
      for (const { layer, file } of found) {
        const ofFile = knownOf.get(layer)?.xattrs.get(file.slice(toBytePath(layer).length + 1));
        if (ofFile !== undefined) xattrs.set(file, ofFile);
      }
      return xattrs;
    },
  };
}

export function lookAt(path: BytePath): BigIntStats | undefined {
  return lstatSync(toBuffer(path), { bigint: true, throwIfNoEntry: false });
}

/** As overlayfs marks what is gone: a character device 0:0. */
export function isWhiteout(stats: BigIntStats): boolean {
  return stats.rdev === 0n && stats.isCharacterDevice();
}

/** Times before 1970 count downwards, and a part of a second belongs to the second that it follows. */
export function wholeSeconds({ mtimeNs }: BigIntStats): number {
  const seconds = mtimeNs / 1_000_000_000n;
  return Number(mtimeNs % 1_000_000_000n < 0n ? seconds - 1n : seconds);
}

export interface DeviceNumber {
  readonly major: number;
  readonly minor: number;
}

/** As the kernel's new_encode_dev() puts the two numbers into one, and glibc's extension of it. */
export function deviceOf(rdev: bigint): DeviceNumber {
  return {
    major: Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)),
    minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)),
  };
}

async function findOpaqueFolders(layers: readonly string[], known: KnownLayers): Promise<ReadonlySet<BytePath>> {
  const found = new Set<BytePath>();
  const unknown: string[] = [];
  for (const layer of layers) {
    const opaque = known(layer)?.opaque;
    if (opaque === undefined) unknown.push(layer);
    for (const path of opaque ?? []) found.add(path === "" ? toBytePath(layer) : `${toBytePath(layer)}/${path}`);
  }
  if (unknown.length === 0) return found;
  for (const [path, xattrs] of await readXattrs(...unknown)) if (isOpaque(xattrs)) found.add(path);
  return found;
}
