import { lstat, readdir, readFile, readlink } from "node:fs/promises";
import { constants, type Stats } from "node:fs";
import { join, posix } from "node:path";
import { run } from "../../lib/exec.ts";
import type { Digests } from "../../lib/files.ts";

/** A file that was made from a tree, and what of the tree was looked at to make it; paths without links in them. */
export interface Trace {
  /** The tree's layers, the topmost first. */
  readonly layers: readonly string[];
  readonly paths: readonly string[];
  readonly folders: readonly string[];
  readonly file: Digests;
}

/**
 * Says what makes another tree differ to whoever left the trace, in an operator's words; undefined when nothing does.
 * Only layers that one tree has and the other has not can make a difference, so only what is named in them is looked
 * at. In doubt there is a difference.
 */
export async function firstDifference(
  trace: Trace,
  layers: readonly string[],
  root: string,
): Promise<string | undefined> {
  const differing = [
    ...trace.layers.filter((layer) => !layers.includes(layer)),
    ...layers.filter((layer) => !trace.layers.includes(layer)),
  ];
  const seen = new Set(trace.paths);
  const listed = new Set(trace.folders);
  const below = new Set(trace.paths.flatMap(foldersAbove));
  for (const layer of differing) {
    if (await mayBeOpaque(join(root, layer))) return "a layer may hide whole folders of the layers below it";
    for (const path of await entriesOf(join(root, layer))) {
      const content = seen.has(path) || below.has(path);
      if (!content && !listed.has(posix.dirname(path))) continue;
      const before = await topmost(trace.layers, path, root);
      const now = await topmost(layers, path, root);
      // Of a name in a listed folder its kind is told with it; content matters where it was looked at.
      if (content ? await sameContent(before, now) : kindOf(before) === kindOf(now)) continue;
      return `${path} ${before === undefined ? "is new" : now === undefined ? "is gone" : "changed"}`;
    }
  }
  return undefined;
}

/** The bits of a mode that tell a file from a folder or a link. */
function kindOf(found: Found | undefined): number {
  return (found?.stats.mode ?? 0) & constants.S_IFMT;
}

function foldersAbove(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(2).map((_, index) => parts.slice(0, index + 2).join("/"));
}

/** Paths in the tree of all that a layer's folder holds, links not followed. */
async function entriesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map((entry) => join(entry.parentPath, entry.name).slice(folder.length));
}

/** An opaque folder hides what lower layers have in it; the mark is an extended attribute, which Node cannot read. */
async function mayBeOpaque(folder: string): Promise<boolean> {
  const { exitCode, stdout } = await run(
    ["getfattr", "--recursive", "--no-dereference", "--absolute-names", "--name=trusted.overlay.opaque", folder],
    // Exit code 1 says that some files have no such attribute.
    { okExitCodes: "any" },
  ).catch(() => ({ exitCode: 127, stdout: "" }));
  return exitCode > 1 || stdout.includes("trusted.overlay.opaque");
}

interface Found {
  readonly file: string;
  readonly stats: Stats;
}

/** What a tree has at a path: the topmost layer's word, unless a layer above says that it, or a folder above it, is gone. */
async function topmost(layers: readonly string[], path: string, root: string): Promise<Found | undefined> {
  for (const layer of layers) {
    for (const folder of foldersAbove(path)) {
      const stats = await lstat(join(root, layer, folder)).catch(() => undefined);
      if (stats !== undefined && !stats.isDirectory()) return undefined;
    }
    const file = join(root, layer, path);
    const stats = await lstat(file).catch(() => undefined);
    if (stats?.isCharacterDevice() === true && stats.rdev === 0) return undefined;
    if (stats !== undefined) return { file, stats };
  }
  return undefined;
}

async function sameContent(a: Found | undefined, b: Found | undefined): Promise<boolean> {
  if (a === undefined || b === undefined) return a === b;
  const same = (["mode", "uid", "gid"] as const).every((field) => a.stats[field] === b.stats[field]);
  if (!same) return false;
  // Of folders there are new ones in the initrd; files keep the time they have in the tree.
  if (!a.stats.isDirectory() && a.stats.mtimeMs !== b.stats.mtimeMs) return false;
  if (a.stats.isSymbolicLink()) return (await readlink(a.file)) === (await readlink(b.file));
  if (!a.stats.isFile()) return a.stats.isDirectory();
  return (
    a.file === b.file || (a.stats.size === b.stats.size && (await readFile(a.file)).equals(await readFile(b.file)))
  );
}
