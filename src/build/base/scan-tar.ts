import { NetkilnError, type Problem } from "../../lib/errors.ts";
import { countOf } from "../../lib/yaml.ts";
import { readTarEntries, type TarEntry } from "./tar-headers.ts";

/** What stands at a path; of links only that they are there counts. `layer` says which archive was there last. */
interface Place {
  readonly kind: "directory" | "symlink" | "other";
  layer: number;
  readonly children: Map<string, Place>;
}

/** What the archives that were scanned so far make together; begins empty. */
export interface ScannedTree {
  layers: number;
  readonly root: Place;
}

export function emptyTree(): ScannedTree {
  return { layers: 0, root: directory(0) };
}

export interface ScanOptions {
  /** Whether `.wh.NAME` and `.wh..wh..opq` mean what they do in layers of OCI images, or are plain files. */
  readonly whiteouts: boolean;
  /** What to call the archive in messages. */
  readonly name?: string;
  /** What the layers below have made; the scanned archive is added to it. */
  readonly below?: ScannedTree;
}

/** Paths are without "/" at either end; "" is the root. */
export interface ScannedTar {
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

/**
 * Looks at every header of an uncompressed tar archive, up to its last byte, before anything is unpacked: after it has
 * returned, GNU tar can unpack the same bytes into a folder and cannot write outside of it. Throws `invalid_input`
 * with the entries that are absolute, leave the tree, go through a symbolic link, link to what is not there, or are
 * devices; and for archives that are damaged, cut off, or mean different things to different readers.
 */
export async function scanTar(stream: AsyncIterable<Uint8Array>, options: ScanOptions): Promise<ScannedTar> {
  const { name = "the archive", whiteouts, below = emptyTree() } = options;
  below.layers += 1;
  const scan = { tree: below, replaced: [], removed: [], emptied: [] } as Scan;
  const problems: Problem[] = [];
  let entries = 0;
  let size = 0;
  try {
    for await (const entry of readTarEntries(stream)) {
      entries += 1;
      size += entry.size;
      const refusal = place(scan, entry, whiteouts);
      if (refusal === undefined) continue;
      problems.push({ file: name, message: `entry ${JSON.stringify(entry.path)}: ${refusal}` });
      if (problems.length === shownProblems) break;
    }
  } catch (error) {
    // A stream that fails has its own words: of a file that cannot be read, of somebody who has stopped it.
    const own = !(error instanceof Error) || error instanceof NetkilnError || "syscall" in error;
    if (own || error.name === "AbortError") throw error;
    throw new NetkilnError("invalid_input", `${name} is no tar archive, or a damaged one: ${error.message}`, {
      hint: "it has to be whole, and without sparse files; GNU tar, buildah and docker write such archives",
    });
  }
  if (problems.length > 0) throw refused(name, problems);
  return { entries, size, replaced: scan.replaced, removed: scan.removed, emptied: scan.emptied };
}

function refused(name: string, problems: readonly Problem[]): NetkilnError {
  const devices = problems.some(({ message }) => message.endsWith(" device"));
  const many = problems.length === shownProblems ? "at least " : "";
  const count = countOf(problems.length, "unsafe entry", "unsafe entries");
  return new NetkilnError("invalid_input", `${name} is refused: ${many}${count}`, {
    problems,
    hint: devices
      ? "pack the tree again without its devices (tar --exclude='./dev/*'): a booting node makes its own"
      : "nothing of it was unpacked; pack the tree again with paths and links that stay inside it",
  });
}

interface Scan {
  readonly tree: ScannedTree;
  readonly replaced: string[];
  readonly removed: string[];
  readonly emptied: string[];
}

/** Puts an entry into the tree; returns why it cannot be there. */
function place(scan: Scan, entry: TarEntry, whiteouts: boolean): string | undefined {
  if (entry.type.endsWith("device")) return `it is a ${entry.type}`;
  const parts = partsOf(entry.path);
  if (typeof parts === "string") return parts;
  const last = parts.at(-1);
  if (last === undefined) return entry.type === "directory" ? undefined : "it stands for the root, and is no folder";
  if (whiteouts && parts.some((part) => part.startsWith(whiteout))) return hide(scan, parts, entry);
  const parent = walk(scan, parts.slice(0, -1), "make");
  if (typeof parent === "string") return parent;
  const kind = kindOf(scan, entry);
  if (kind !== "directory" && kind !== "symlink" && kind !== "other") return kind.refusal;
  const found = parent?.children.get(last);
  const layer = scan.tree.layers;
  if (found?.kind === "directory" && kind === "directory") {
    found.layer = layer;
    return undefined;
  }
  if (found !== undefined) {
    // What an archive has made as a folder stays one, so that no later entry turns it into a link below others.
    if (found.layer === layer && (found.kind === "directory") !== (kind === "directory")) {
      return "it is there twice, as a folder and as something else";
    }
    if (found.layer < layer) scan.replaced.push(parts.join("/"));
  }
  parent?.children.set(last, { kind, layer, children: new Map() });
  return undefined;
}

function kindOf(scan: Scan, { type, link }: TarEntry): Place["kind"] | { readonly refusal: string } {
  if (type === "directory" || type === "symlink") return type;
  if (type !== "link") return "other";
  const parts = partsOf(link);
  const shown = JSON.stringify(link);
  if (typeof parts === "string") return { refusal: `it is a hard link to ${shown}, and ${parts}` };
  const parent = walk(scan, parts.slice(0, -1), "look");
  if (typeof parent === "string") return { refusal: `it is a hard link to ${shown}, and ${parent}` };
  const target = parent?.children.get(parts.at(-1) ?? "");
  if (target === undefined) return { refusal: `it is a hard link to ${shown}, which is not there` };
  if (target.kind === "directory") return { refusal: `it is a hard link to the folder ${shown}` };
  // A hard link to a symbolic link is one.
  return target.kind;
}

function hide(scan: Scan, parts: readonly string[], { type, size }: TarEntry): string | undefined {
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
      next = directory(scan.tree.layers);
      here.children.set(part, next);
    }
    if (next.kind === "symlink") return `the path goes through the symbolic link ${shown}`;
    if (next.kind === "other") return `the path goes through ${shown}, which is no folder`;
    if (missing === "make") next.layer = scan.tree.layers;
    here = next;
  }
  return here;
}

function directory(layer: number): Place {
  return { kind: "directory", layer, children: new Map() };
}

/** The parts of a path inside the tree, or why it is none. */
function partsOf(path: string): string[] | string {
  if (path === "") return "it has no name";
  if (path.startsWith("/")) return "its path is absolute";
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? 'its path has ".."' : parts;
}
