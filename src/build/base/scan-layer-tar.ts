import { ByteReader } from "../../lib/byte-reader.ts";
import { NetkilnError, type Problem } from "../../lib/errors.ts";
import { countOf } from "../../lib/text.ts";
import { isText, toText } from "../tree/byte-paths.ts";
import { readTar, type TarHeader, type TarType } from "../tree/tar-reader.ts";

/** What stands at a path; of links only that they are there counts. `layer` says which archive was there last. */
interface Place {
  readonly kind: "folder" | "symbolic link" | "other";
  layer: number;
  readonly children: Map<string, Place>;
}

/** What the archives that were scanned so far make together; begins empty. */
export interface ScannedTree {
  layers: number;
  readonly root: Place;
}

export function emptyTree(): ScannedTree {
  return { layers: 0, root: folder(0) };
}

export interface ScanOptions {
  /** What to call the archive in messages. */
  readonly name: string;
  /** What the layers below have made; the scanned archive is added to it. */
  readonly below: ScannedTree;
}

/** Paths are without "/" at either end; "" is the root. */
export interface ScannedLayer {
  readonly entries: number;
  /** Bytes of all files. */
  readonly size: number;
  /** What the layers below have and this one has as another thing; to be removed, with all in it, before unpacking. */
  readonly replaced: readonly string[];
  /** What this layer removes from the layers below; to be removed before unpacking, after `replaced`. */
  readonly removed: readonly string[];
  /** Folders out of which everything of the layers below is to be removed before unpacking. */
  readonly emptied: readonly string[];
}

const whiteout = ".wh.";
/** https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts */
const opaque = ".wh..wh..opq";
const shownProblems = 20;
const hint = "it has to be whole, and without sparse files; GNU tar, buildah and docker write such archives";

/**
 * Looks at every header of a layer of an OCI image, an uncompressed tar archive, up to its last byte, before anything
 * is unpacked: after it has returned, GNU tar can unpack the same bytes into a folder and cannot write outside of it.
 * Throws `invalid_input` with the entries that are absolute, leave the tree, go through a symbolic link, link to what
 * is not there, are devices, or are what layers do not have; and for archives that are damaged, cut off, or mean
 * different things to different readers.
 */
export async function scanLayerTar(
  stream: AsyncIterable<Uint8Array>,
  { name, below }: ScanOptions,
): Promise<ScannedLayer> {
  below.layers += 1;
  const scan: Scan = { tree: below, replaced: [], removed: [], emptied: [] };
  const problems: Problem[] = [];
  let entries = 0;
  let size = 0;
  for await (const header of readTar(new ByteReader(stream), { name, hint })) {
    entries += 1;
    size += header.size;
    const refusal = place(scan, header);
    if (refusal === undefined) continue;
    problems.push({ file: name, message: `entry ${JSON.stringify(toText(header.path))}: ${refusal}` });
    if (problems.length === shownProblems) break;
  }
  if (problems.length > 0) throw refused(name, problems);
  return { entries, size, replaced: scan.replaced, removed: scan.removed, emptied: scan.emptied };
}

function refused(name: string, problems: readonly Problem[]): NetkilnError {
  const some = (end: string) => problems.some(({ message }) => message.endsWith(end));
  const many = problems.length === shownProblems ? "at least " : "";
  const count = countOf(problems.length, "unsafe entry", "unsafe entries");
  const inside = "nothing of it was unpacked; pack the tree again with paths and links that stay inside it";
  return new NetkilnError("invalid_input", `${name} is refused: ${many}${count}`, {
    problems,
    hint: some(" device")
      ? "pack the tree again without its devices (tar --exclude='./dev/*'): a booting node makes its own"
      : some(foreign)
        ? hint
        : inside,
  });
}

interface Scan {
  readonly tree: ScannedTree;
  readonly replaced: string[];
  readonly removed: string[];
  readonly emptied: string[];
}

/** What GNU tar can put into an archive, and no layer has. */
const foreignTypes: readonly TarType[] = ["sparse file", "volume label"];
const foreign = ", which layers do not have";

/** An entry whose names are text, as paths of folders have to be that are removed before a layer is unpacked. */
interface LayerEntry extends TarHeader {
  readonly path: string;
  readonly link: string;
}

/** Puts an entry into the tree; returns why it cannot be there. */
function place(scan: Scan, header: TarHeader): string | undefined {
  if (header.type.endsWith("device")) return `it is a ${header.type}`;
  if (foreignTypes.includes(header.type)) return `it is a ${header.type}${foreign}`;
  const odd = [header.path, header.link].find((name) => !isText(name));
  if (odd !== undefined) return `the name ${JSON.stringify(odd)} is not UTF-8`;
  const entry = { ...header, path: toText(header.path), link: toText(header.link) };
  const parts = partsOf(entry.path);
  if (typeof parts === "string") return parts;
  const last = parts.at(-1);
  if (last === undefined) return entry.type === "folder" ? undefined : "it stands for the root, and is no folder";
  if (parts.some((part) => part.startsWith(whiteout))) return hide(scan, parts, entry);
  const parent = walk(scan, parts.slice(0, -1), "make");
  if (typeof parent === "string") return parent;
  const kind = kindOf(scan, entry);
  if (typeof kind === "object") return kind.refusal;
  const found = parent?.children.get(last);
  const layer = scan.tree.layers;
  if (found?.kind === "folder" && kind === "folder") {
    found.layer = layer;
    return undefined;
  }
  if (found !== undefined) {
    // What an archive has made as a folder stays one, so that no later entry turns it into a link below others.
    if (found.layer === layer && (found.kind === "folder") !== (kind === "folder")) {
      return "it is there twice, as a folder and as something else";
    }
    if (found.layer < layer) scan.replaced.push(parts.join("/"));
  }
  parent?.children.set(last, { kind, layer, children: new Map() });
  return undefined;
}

function kindOf(scan: Scan, { type, link }: LayerEntry): Place["kind"] | { readonly refusal: string } {
  if (type === "folder" || type === "symbolic link") return type;
  if (type !== "hard link") return "other";
  const parts = partsOf(link);
  const shown = JSON.stringify(link);
  if (typeof parts === "string") return { refusal: `it is a hard link to ${shown}, and ${parts}` };
  const parent = walk(scan, parts.slice(0, -1), "look");
  if (typeof parent === "string") return { refusal: `it is a hard link to ${shown}, and ${parent}` };
  const target = parent?.children.get(parts.at(-1) ?? "");
  if (target === undefined) return { refusal: `it is a hard link to ${shown}, which is not there` };
  if (target.kind === "folder") return { refusal: `it is a hard link to the folder ${shown}` };
  // A hard link to a symbolic link is one.
  return target.kind;
}

function hide(scan: Scan, parts: readonly string[], { type, size }: LayerEntry): string | undefined {
  const last = parts.at(-1) ?? "";
  const hidden = last.slice(whiteout.length);
  if (!last.startsWith(whiteout)) return "it stands below a whiteout";
  if (type !== "file" || size !== 0) return "it is a whiteout, and no empty file";
  const all = last === opaque;
  if (!all && (hidden === "" || hidden === "." || hidden === ".." || hidden.startsWith(whiteout))) {
    return "it is a whiteout of no name";
  }
  const above = parts.slice(0, -1);
  const parent = walk(scan, above, "look");
  if (typeof parent === "string") return parent;
  (all ? scan.emptied : scan.removed).push((all ? above : [...above, hidden]).join("/"));
  if (parent === undefined) return undefined;
  for (const name of all ? [...parent.children.keys()] : [hidden]) forget(parent, name, scan.tree.layers);
  return undefined;
}

/** Removes what layers below have made; what the same layer has made stays, wherever in it the whiteout stands. */
function forget(parent: Place, name: string, layer: number): void {
  const found = parent.children.get(name);
  if (found === undefined) return;
  for (const child of [...found.children.keys()]) forget(found, child, layer);
  if (found.layer < layer) parent.children.delete(name);
}

/** The folder at a path, through real folders only; undefined when it is not there, a text when it cannot be. */
function walk(scan: Scan, parts: readonly string[], missing: "make" | "look"): Place | string | undefined {
  let here = scan.tree.root;
  for (const [index, part] of parts.entries()) {
    const shown = JSON.stringify(parts.slice(0, index + 1).join("/"));
    let next = here.children.get(part);
    if (next === undefined) {
      if (missing === "look") return undefined;
      next = folder(scan.tree.layers);
      here.children.set(part, next);
    }
    if (next.kind === "symbolic link") return `the path goes through the symbolic link ${shown}`;
    if (next.kind === "other") return `the path goes through ${shown}, which is no folder`;
    if (missing === "make") next.layer = scan.tree.layers;
    here = next;
  }
  return here;
}

function folder(layer: number): Place {
  return { kind: "folder", layer, children: new Map() };
}

/** The parts of a path inside the tree, or why it is none. */
function partsOf(path: string): string[] | string {
  if (path === "") return "it has no name";
  if (path.startsWith("/")) return "its path is absolute";
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? 'its path has ".."' : parts;
}
