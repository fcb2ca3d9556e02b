import { closeSync, lutimesSync, openSync, readdirSync, readlinkSync, readSync, rmdirSync, unlinkSync } from "node:fs";
import type { BigIntStats } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { isText, toBuffer, toBytePath, toText, type BytePath } from "./byte-paths.ts";
import { readLayer, type LayerReading } from "./layer-reading.ts";
import { isWhiteout, lookAt, openStack, wholeSeconds, type Found, type Stack } from "./stack.ts";
import { isOpaque, removeOpaque, xattrsOfTree, type Xattrs } from "./xattrs.ts";

/**
 * Takes out of an overlayfs upper directory what says nothing new, so that the same change is the same layer however
 * it came about: files, links and folders that are as the merged lower layers have them (kind, mode, owner, size,
 * time in whole seconds, content, extended attributes), and marks and sockets that hide what is not there: a layer's
 * name does not tell them, and on another tree they would hide something. A folder that lists the same names as below
 * gets the time that it has there: a temporary file that came and went leaves no trace.
 *
 * `upper` is not mounted and already normalised; `lower` are absolute folders, the topmost first. Of files linked to
 * each other all go or none. In doubt, what is there stays. What was read of the layer is then true of what is left.
 */
export async function pruneUnchanged(upper: string, lower: readonly string[], known?: LayerReading): Promise<void> {
  if (lower.length === 0) return;
  const { below, xattrs } = known ?? (await readLayer(upper, openStack(lower)));
  const tree = await readTree("", toBytePath(upper), below, xattrs);
  const nodes = flat(tree);
  const marked = nodes.filter(({ inside, xattrs, place }) => inside !== undefined && isOpaque(xattrs) && isText(place));
  await removeOpaque(marked.map(({ place }) => toText(place)));
  for (const { place } of marked) forget(place, "trusted.overlay.opaque", xattrs);
  const alike = nodes.filter((node): node is Pair => node.found !== undefined && sameAttributes(node, node.found));
  const lowerXattrs = await below.xattrsOf(alike.map(({ found }) => found));
  const unchanged = new Set<Node>();
  for (const node of alike) {
    if (!sameXattrs(node.xattrs, lowerXattrs.get(node.found.file))) continue;
    if (await sameContent(node)) unchanged.add(node);
  }
  for (const node of brokenGroups(nodes, unchanged)) unchanged.delete(node);
  for (const place of settle(tree, unchanged)) xattrs.delete(place);
}

function forget(place: BytePath, name: string, all: Map<BytePath, Xattrs>): void {
  const left = new Map([...(all.get(place) ?? [])].filter(([other]) => other !== name));
  if (left.size === 0) all.delete(place);
  else all.set(place, left);
}

/** Something in the upper directory, and what the layers below have in its place. */
interface Node {
  readonly place: BytePath;
  readonly stats: BigIntStats;
  readonly xattrs: Xattrs | undefined;
  readonly found: Found | undefined;
  /** What is in a folder; undefined for all else, and for a folder that hides what is below it. */
  readonly inside: readonly Node[] | undefined;
}
type Pair = Node & { readonly found: Found };

/** `path` is relative to the top, which is the empty path. */
async function readTree(
  path: BytePath,
  root: BytePath,
  below: Stack,
  xattrs: ReadonlyMap<BytePath, Xattrs>,
): Promise<Node> {
  const place = path === "" ? root : `${root}/${path}`;
  const stats = lookAt(place) as BigIntStats;
  const node = { place, stats, xattrs: xattrs.get(place), found: await below.topmost(path) };
  // In an opaque folder nothing of the lower layers is visible, so nothing in it can be left to them.
  const hides = isOpaque(node.xattrs) && node.found?.stats.isDirectory() === true;
  if (!stats.isDirectory() || hides) return { ...node, inside: undefined };
  const inside: Node[] = [];
  for (const name of readdirSync(toBuffer(place), { encoding: "latin1" })) {
    inside.push(await readTree(path === "" ? name : `${path}/${name}`, root, below, xattrs));
  }
  return { ...node, inside };
}

function flat(node: Node): Node[] {
  return [node, ...(node.inside ?? []).flatMap(flat)];
}

function sameAttributes({ stats }: Node, found: Found): boolean {
  const fields = stats.isDirectory()
    ? (["mode", "uid", "gid"] as const)
    : (["mode", "uid", "gid", "size", "rdev"] as const);
  if (isWhiteout(stats) || fields.some((field) => stats[field] !== found.stats[field])) return false;
  // A folder's time is settled afterwards; attributes of a name that is no text cannot be asked for.
  return (stats.isDirectory() || wholeSeconds(stats) === wholeSeconds(found.stats)) && isText(found.file);
}

function sameXattrs(a: Xattrs | undefined, b: Xattrs | undefined): boolean {
  const [ofA, ofB] = [xattrsOfTree(a), xattrsOfTree(b)];
  return ofA.size === ofB.size && [...ofA].every(([name, value]) => ofB.get(name)?.equals(value) === true);
}

const compareSize = 1 << 18;

async function sameContent({ place, stats, found }: Pair): Promise<boolean> {
  if (stats.isSymbolicLink()) return readlink(place) === readlink(found.file);
  if (!stats.isFile()) return true;
  const files = [openSync(toBuffer(place), "r"), openSync(toBuffer(found.file), "r")] as const;
  const [a, b] = [Buffer.allocUnsafe(compareSize), Buffer.allocUnsafe(compareSize)];
  try {
    for (;;) {
      const [countA, countB] = [readSync(files[0], a), readSync(files[1], b)];
      if (countA !== countB || !a.subarray(0, countA).equals(b.subarray(0, countB))) return false;
      if (countA === 0) return true;
      await setImmediate();
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

function readlink(place: BytePath): BytePath {
  return readlinkSync(toBuffer(place), { encoding: "latin1" });
}

/** Unchanged files that have to stay, because other names of theirs are not unchanged or not linked below. */
function brokenGroups(nodes: readonly Node[], unchanged: ReadonlySet<Node>): Node[] {
  const linked = nodes.filter(({ stats }) => !stats.isDirectory() && stats.nlink > 1n && !isWhiteout(stats));
  return [...Map.groupBy(linked, ({ stats }) => stats.ino).values()].flatMap((group) => {
    const below = new Set(group.map(({ found }) => (found === undefined ? "" : `${found.layer}\0${found.stats.ino}`)));
    const whole = BigInt(group.length) === group[0]?.stats.nlink && below.size === 1;
    return whole && group.every((node) => unchanged.has(node)) ? [] : group;
  });
}

/** Removes what says nothing, from the innermost folder outwards; returns what is gone. */
function settle(tree: Node, unchanged: ReadonlySet<Node>): ReadonlySet<BytePath> {
  const gone = new Set<BytePath>();
  settleNode(tree, unchanged, gone, true);
  return gone;
}

function settleNode(node: Node, unchanged: ReadonlySet<Node>, gone: Set<BytePath>, isTop = false): void {
  const place = toBuffer(node.place);
  if (!node.stats.isDirectory()) {
    const goes = isWhiteout(node.stats) || node.stats.isSocket() ? node.found === undefined : unchanged.has(node);
    if (!goes) return;
    unlinkSync(place);
    gone.add(node.place);
    return;
  }
  if (node.inside === undefined) return;
  for (const part of node.inside) settleNode(part, unchanged, gone);
  const left = node.inside.filter((part) => !gone.has(part.place));
  const below = node.found?.stats.isDirectory() === true ? node.found.stats : undefined;
  const sameNames = below !== undefined && left.every((part) => part.found !== undefined && !isWhiteout(part.stats));
  // Also where nothing changes: taking something out of a folder gives it a new time.
  const time = wholeSeconds(sameNames ? below : node.stats);
  lutimesSync(place, time, time);
  if (isTop || left.length > 0 || !unchanged.has(node)) return;
  rmdirSync(place);
  gone.add(node.place);
}
