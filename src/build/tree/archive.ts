import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readlinkSync, readSync, type BigIntStats } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { NetkilnError } from "../../lib/errors.ts";
import { toBuffer, toBytePath, toText, type BytePath } from "./byte-paths.ts";
import { readLayer, type LayerReading } from "./layer-reading.ts";
import { deviceOf, isWhiteout, lookAt, openStack, wholeSeconds, type Stack } from "./stack.ts";
import { blockSize, paddingOf, tarHeaders, type TarEntry } from "./tar.ts";
import { foreignToArchives, isOpaque, xattrsOfTree, type Xattrs } from "./xattrs.ts";

/** Large enough that a call costs little for its bytes, small enough that the event loop gets its turn. */
const chunkSize = 1 << 20;

/** Marks by which the OCI image layer specification says that something of a lower layer is gone. */
const whiteoutPrefix = ".wh.";
const opaqueMark = ".wh..wh..opq";

/**
 * A layer as the one canonical, uncompressed OCI layer archive that its content has
 * (application/vnd.oci.image.layer.v1.tar): its sha256 is the layer's diff id. `upper` is an overlayfs upper directory
 * that is not mounted, and `lower` the layers below it, absolute, the topmost first.
 *
 * A folder comes before what is in it, in it the marks of what is gone come first, then the names bytewise. Owners are
 * numbers, times whole seconds; extended attributes are those of the user and security namespaces and ACLs. Of files
 * linked to each other the first has the content. Sockets are left out: an archive has no word for them, and nobody
 * listens on them any more.
 *
 * Throws `invalid_input` for what an archive cannot say: names that begin with `.wh.`, and what overlayfs alone
 * understands (redirect, metacopy).
 */
export async function* archiveLayer(
  upper: string,
  lower: readonly string[],
  known?: LayerReading,
): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of layerPieces(upper, known ?? (await readLayer(upper, openStack(lower))))) {
    pieces.push(piece);
    size += piece.length;
    if (size < chunkSize) continue;
    yield Buffer.concat(pieces, size);
    pieces = [];
    size = 0;
    // Everything here is read in turn without giving the loop back: asynchronous reads of small files cost more.
    await setImmediate();
  }
  yield Buffer.concat(pieces, size);
}

/** The digest of a layer's archive, and its size in bytes, without writing it anywhere. */
export async function digestLayer(
  upper: string,
  lower: readonly string[],
  known?: LayerReading,
): Promise<{ readonly diffId: string; readonly size: number }> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of archiveLayer(upper, lower, known)) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { diffId: hash.digest("hex"), size };
}

interface Source {
  readonly root: BytePath;
  readonly below: Stack;
  /** By absolute path; what was looked at is taken out. */
  readonly xattrs: Map<BytePath, Xattrs>;
  /** The first path of each file that has several, by its inode. */
  readonly links: Map<bigint, BytePath>;
}

async function* layerPieces(upper: string, { below, xattrs }: LayerReading): AsyncGenerator<Buffer> {
  const root = toBytePath(upper);
  const source: Source = { root, below, xattrs: new Map(xattrs), links: new Map() };
  yield* folderPieces("", statsOf(root), source);
  for (const path of source.xattrs.keys()) {
    throw refusal(path.slice(root.length), "has extended attributes, and a name that is not UTF-8");
  }
  // Two blocks of zeros end an archive.
  yield Buffer.alloc(2 * blockSize);
}

/** `path` is relative and ends with "/"; the top is the empty path, which archives call "./". */
async function* folderPieces(path: BytePath, stats: BigIntStats, source: Source): AsyncGenerator<Buffer> {
  const folder = source.root + (path === "" ? "" : `/${path.slice(0, -1)}`);
  const marked = isOpaque(source.xattrs.get(folder));
  yield tarHeaders({
    ...common(stats),
    path: path === "" ? "./" : path,
    type: "folder",
    ...takeXattrs(folder, source),
  });
  // Overlayfs marks every folder that it makes; where there is nothing to hide, the mark would hide it for nothing.
  if (marked && (await source.below.topmost(path))?.stats.isDirectory() === true) yield mark(path + opaqueMark);
  const gone: BytePath[] = [];
  const there: [path: BytePath, stats: BigIntStats][] = [];
  for (const name of readdirSync(toBuffer(folder), { encoding: "latin1" }).sort()) {
    const inside = path + name;
    if (name.startsWith(whiteoutPrefix)) throw refusal(inside, `has a name that means a deletion in archives`);
    const found = statsOf(`${folder}/${name}`);
    if (!isWhiteout(found) && !found.isSocket()) {
      there.push([inside, found]);
      continue;
    }
    source.xattrs.delete(`${folder}/${name}`);
    if (isWhiteout(found)) gone.push(name);
    else if ((await source.below.topmost(inside)) !== undefined) gone.push(name);
  }
  for (const name of gone) yield mark(path + whiteoutPrefix + name);
  for (const [inside, found] of there) {
    if (found.isDirectory()) yield* folderPieces(`${inside}/`, found, source);
    else yield* entryPieces(inside, found, source);
  }
}

function* entryPieces(path: BytePath, stats: BigIntStats, source: Source): Generator<Buffer> {
  const place = `${source.root}/${path}`;
  const entry = { ...common(stats), path, ...takeXattrs(place, source) };
  const first = stats.nlink > 1n ? source.links.get(stats.ino) : undefined;
  if (first !== undefined) {
    // The attributes are those of the file, which has come already.
    yield tarHeaders({ ...entry, type: "hard link", link: first, xattrs: new Map() });
    return;
  }
  if (stats.nlink > 1n) source.links.set(stats.ino, path);
  if (stats.isFile()) {
    const size = Number(stats.size);
    yield tarHeaders({ ...entry, type: "file", size });
    yield* contentOf(place, size);
    yield Buffer.alloc(paddingOf(size));
  } else if (stats.isSymbolicLink()) {
    yield tarHeaders({ ...entry, type: "symbolic link", link: readlinkSync(toBuffer(place), { encoding: "latin1" }) });
  } else if (stats.isFIFO()) {
    yield tarHeaders({ ...entry, type: "fifo" });
  } else {
    const type = stats.isBlockDevice() ? "block device" : "character device";
    yield tarHeaders({ ...entry, type, device: deviceOf(stats.rdev) });
  }
}

function* contentOf(place: BytePath, size: number): Generator<Buffer> {
  if (size === 0) return;
  const file = openSync(toBuffer(place), "r");
  try {
    for (let left = size; left > 0;) {
      const part = Buffer.allocUnsafeSlow(Math.min(left, chunkSize));
      const count = readSync(file, part, 0, part.length, null);
      if (count === 0) throw new NetkilnError("internal", `${toText(place)} became shorter while it was read`);
      yield count === part.length ? part : part.subarray(0, count);
      left -= count;
    }
  } finally {
    closeSync(file);
  }
}

function common(stats: BigIntStats): Pick<TarEntry, "mode" | "uid" | "gid" | "mtime" | "size"> {
  return {
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: wholeSeconds(stats),
    size: 0,
  };
}

/** A mark says nothing but its name. */
function mark(path: BytePath): Buffer {
  return tarHeaders({ path, type: "file", mode: 0, uid: 0, gid: 0, mtime: 0, size: 0 });
}

function takeXattrs(place: BytePath, source: Source): { readonly xattrs: Xattrs } {
  const all = source.xattrs.get(place);
  source.xattrs.delete(place);
  const foreign = foreignToArchives(all);
  if (foreign !== undefined) {
    throw refusal(place.slice(source.root.length + 1), `depends on other layers (${foreign}), as overlayfs alone can`);
  }
  return { xattrs: xattrsOfTree(all) };
}

function statsOf(place: BytePath): BigIntStats {
  const stats = lookAt(place);
  if (stats === undefined) throw new NetkilnError("internal", `${toText(place)} went away while it was read`);
  return stats;
}

function refusal(path: BytePath, why: string): NetkilnError {
  return new NetkilnError("invalid_input", `/${toText(path).replace(/^\//, "")} ${why}: it cannot be in a layer`);
}
