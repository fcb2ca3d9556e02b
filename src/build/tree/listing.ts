import { createHash, hash } from "node:crypto";
import { closeSync, constants, openSync, readdirSync, readlinkSync, readSync, type BigIntStats } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { NetkilnError } from "../../lib/errors.ts";
import { toBuffer, toBytePath, toText, type BytePath } from "./byte-paths.ts";
import type { LayerReading } from "./layer-reading.ts";
import { deviceOf, isWhiteout, lookAt, wholeSeconds, type DeviceNumber } from "./stack.ts";
import { isOpaque, readXattrs, xattrsOfTree, type Xattrs } from "./xattrs.ts";

export type EntryKind = "file" | "folder" | "symlink" | "character-device" | "block-device" | "fifo";

/** Something that a layer puts into the tree. */
export interface Entry {
  /** Relative to the layer, whose own path is empty. */
  readonly path: BytePath;
  readonly kind: EntryKind;
  /** Permissions, with setuid, setgid and the sticky bit. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970. */
  readonly mtime: number;
  /** Bytes of a regular file, and 0 for all else. */
  readonly size: number;
  /** Of a regular file's content. */
  readonly sha256?: string;
  /** Target of a symbolic link. */
  readonly link?: BytePath;
  readonly device?: DeviceNumber;
  /** Those that belong to the tree. */
  readonly xattrs: Xattrs;
  /** Equal for the names of one file in this layer, and not there for a file with one name. */
  readonly inode?: number;
  /** A folder that hides what the layers below have in it. */
  readonly opaque?: true;
}

/** Says that something of the layers below is gone. */
export interface Whiteout {
  readonly path: BytePath;
  readonly kind: "whiteout";
}

export type LayerEntry = Entry | Whiteout;

/** Bytes read between two turns of the event loop: whoever lists a layer has a lease to renew meanwhile. */
const turnAfter = 8 << 20;
/** What looking at something costs, as bytes that are read in the same time. */
const bytesPerLook = 16 << 10;

/**
 * Lists what a layer holds, itself first, a folder before its content, names in it bytewise. `layer` is an overlayfs
 * upper directory that is not mounted and that nobody writes to. A socket counts as a whiteout: layers hold none, and
 * what it hides is gone. `signal` is looked at whenever the event loop has had its turn.
 */
export async function listLayer(
  layer: string,
  signal?: Pick<AbortSignal, "throwIfAborted">,
  known?: Pick<LayerReading, "xattrs">,
): Promise<LayerEntry[]> {
  const root = toBytePath(layer);
  const xattrs = known?.xattrs ?? (await readXattrs(layer));
  const entries: LayerEntry[] = [];
  const inodes = new Map<bigint, Entry>();
  let read = 0;
  const took = async (bytes: number) => {
    read += bytes;
    if (read < turnAfter) return;
    read = 0;
    await setImmediate();
    signal?.throwIfAborted();
  };
  const visit = async (path: BytePath): Promise<void> => {
    const place = path === "" ? root : `${root}/${path}`;
    const stats = lookAt(place);
    if (stats === undefined) throw new NetkilnError("internal", `${toText(place)} went away while it was read`);
    const entry = await describe(path, place, stats, xattrs.get(place), { inodes, took });
    entries.push(entry);
    await took(bytesPerLook);
    if (entry.kind !== "folder") return;
    const names = readdirSync(toBuffer(place), { encoding: "latin1" }).sort();
    for (const name of names) await visit(path === "" ? name : `${path}/${name}`);
  };
  await visit("");
  return entries;
}

interface Progress {
  /** The first name of each file that has several, by its number. */
  readonly inodes: Map<bigint, Entry>;
  /** Told how many bytes were read, gives the event loop its turn. */
  took(bytes: number): Promise<void>;
}

async function describe(
  path: BytePath,
  place: BytePath,
  stats: BigIntStats,
  xattrs: Xattrs | undefined,
  { inodes, took }: Progress,
): Promise<LayerEntry> {
  const kind = kindOf(stats);
  if (kind === "whiteout") return { path, kind };
  const common = {
    path,
    kind,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: wholeSeconds(stats),
    size: 0,
    xattrs: xattrsOfTree(xattrs),
  };
  if (kind === "folder") return isOpaque(xattrs) ? { ...common, opaque: true } : common;
  const first = stats.nlink > 1n ? inodes.get(stats.ino) : undefined;
  if (first !== undefined) return { ...first, path };
  const entry: Entry = {
    ...common,
    ...(stats.nlink > 1n && { inode: inodes.size }),
    ...(kind === "file" && { size: Number(stats.size), sha256: await digestOf(place, Number(stats.size), took) }),
    ...(kind === "symlink" && { link: readlinkSync(toBuffer(place), { encoding: "latin1" }) }),
    ...((kind === "character-device" || kind === "block-device") && { device: deviceOf(stats.rdev) }),
  };
  if (stats.nlink > 1n) inodes.set(stats.ino, entry);
  return entry;
}

function kindOf(stats: BigIntStats): LayerEntry["kind"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  if (stats.isSymbolicLink()) return "symlink";
  if (isWhiteout(stats) || stats.isSocket()) return "whiteout";
  if (stats.isCharacterDevice()) return "character-device";
  return stats.isBlockDevice() ? "block-device" : "fifo";
}

const buffer = Buffer.allocUnsafe(1 << 20);

/** Synchronous reads, as a layer has many small files: they cost half of what the same reads through promises do. */
async function digestOf(place: BytePath, size: number, took: Progress["took"]): Promise<string> {
  const file = openSync(toBuffer(place), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const first = readSync(file, buffer);
    if (first === size) return hash("sha256", buffer.subarray(0, first));
    const whole = createHash("sha256");
    for (let read = first; read > 0; read = readSync(file, buffer)) {
      // Digested before anybody else has a turn: there is one buffer for all.
      whole.update(buffer.subarray(0, read));
      await took(read);
    }
    return whole.digest("hex");
  } finally {
    closeSync(file);
  }
}

/** Raised when the same layer gives another listing than before. */
export const listingForm = "1";

type StoredEntry = (Omit<Entry, "xattrs"> & { readonly xattrs?: Readonly<Record<string, string>> }) | Whiteout;

/** A listing as text: the same layer gives the same. */
export function listingText(entries: readonly LayerEntry[]): string {
  return JSON.stringify(entries.map(toStored));
}

function toStored(entry: LayerEntry): StoredEntry {
  if (entry.kind === "whiteout") return entry;
  const { xattrs, ...rest } = entry;
  if (xattrs.size === 0) return rest;
  return { ...rest, xattrs: Object.fromEntries([...xattrs].map(([name, value]) => [name, value.toString("base64")])) };
}

/** Reads what `listingText` wrote. */
export function parseListing(text: string): LayerEntry[] {
  return (JSON.parse(text) as StoredEntry[]).map((entry) => {
    if (entry.kind === "whiteout") return entry;
    return { ...entry, xattrs: entry.xattrs === undefined ? noXattrs : xattrsFrom(entry.xattrs) };
  });
}

const noXattrs: Xattrs = new Map();

function xattrsFrom(stored: Readonly<Record<string, string>>): Xattrs {
  return new Map(Object.entries(stored).map(([name, value]) => [name, Buffer.from(value, "base64")]));
}
