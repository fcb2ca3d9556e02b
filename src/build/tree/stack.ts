import { lstatSync, readdirSync, type BigIntStats } from "node:fs";
import { toBuffer, toBytePath, type BytePath } from "./byte-paths.ts";
import { isOpaque, readXattrs } from "./xattrs.ts";

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
}

/** Folders of a layer, as paths in it, that hide what the layers below have in them; undefined when nobody knows. */
export type OpaqueFolders = (layer: string) => ReadonlySet<BytePath> | undefined;

/**
 * `layers` are absolute folders, the topmost first; they may not change while the stack is in use. What `opaque` knows
 * need not be read.
 */
export function openStack(layers: readonly string[], opaque: OpaqueFolders = () => undefined): Stack {
  // Overlayfs wants two layers at least, so there may be empty ones below.
  const lowest = layers.findLastIndex((layer) => readdirSync(layer).length > 0);
  let found: Promise<ReadonlySet<BytePath>> | undefined;
  /** Read when first asked for, and not in the lowest layer: by far the largest, it has nothing below to hide. */
  const opaqueFolders = () => (found ??= findOpaqueFolders(layers.slice(0, lowest), opaque));
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

async function findOpaqueFolders(layers: readonly string[], opaque: OpaqueFolders): Promise<ReadonlySet<BytePath>> {
  const found = new Set<BytePath>();
  const unknown: string[] = [];
  for (const layer of layers) {
    const known = opaque(layer);
    if (known === undefined) unknown.push(layer);
    for (const path of known ?? []) found.add(path === "" ? toBytePath(layer) : `${toBytePath(layer)}/${path}`);
  }
  if (unknown.length === 0) return found;
  for (const [path, xattrs] of await readXattrs(...unknown)) if (isOpaque(xattrs)) found.add(path);
  return found;
}
