import { isUtf8 } from "node:buffer";
import type { InventoryFile } from "../../image/index.ts";
import { toBuffer, type BytePath } from "../tree/byte-paths.ts";
import type { EntryKind } from "../tree/listing.ts";
import { nodesOf, type TreeNode } from "../tree/view.ts";
import type { Xattrs } from "../tree/xattrs.ts";
import { capabilityAttribute, capabilityText } from "./capabilities.ts";

export interface FileList {
  /** By path. */
  readonly files: InventoryFile[];
  /** Bytes of all regular files, hard links counted once. */
  readonly size: number;
}

/** Lists all of a tree, the root itself as "/". */
export function listFiles(root: TreeNode): FileList {
  const files: InventoryFile[] = [];
  const counted = new Set<string>();
  let size = 0;
  for (const { entry, layer } of nodesOf(root)) {
    files.push(described(entry));
    const inode = entry.inode === undefined ? `/${entry.path}` : `${layer.folder}:${entry.inode}`;
    if (!counted.has(inode)) size += entry.size;
    counted.add(inode);
  }
  return { files: files.sort((a, b) => (a.path < b.path ? -1 : 1)), size };
}

const kinds: Readonly<Record<EntryKind, InventoryFile["kind"]>> = {
  file: "file",
  folder: "directory",
  symlink: "symlink",
  "character-device": "character-device",
  "block-device": "block-device",
  fifo: "pipe",
};

/** Of entries that are kept with the listing of their layer, in which most of the next image's are too. */
const known = new WeakMap<TreeNode["entry"], InventoryFile>();

function described(entry: TreeNode["entry"]): InventoryFile {
  const file = known.get(entry) ?? describe(entry);
  known.set(entry, file);
  return file;
}

function describe({
  path,
  kind,
  mode,
  uid,
  gid,
  size,
  sha256,
  link,
  device,
  xattrs,
}: TreeNode["entry"]): InventoryFile {
  return {
    path: shown(`/${path}`),
    kind: kinds[kind],
    mode: mode.toString(8).padStart(4, "0"),
    uid,
    gid,
    ...(kind === "file" && { size }),
    ...(link !== undefined && { target: shown(link) }),
    ...(device !== undefined && { device: `${device.major}:${device.minor}` }),
    ...(sha256 !== undefined && { sha256 }),
    ...asFields(xattrs),
  };
}

/** A name is bytes; JSON holds only text. */
function shown(path: BytePath): string {
  const name = toBuffer(path);
  if (isUtf8(name)) return name.toString();
  const escape = (byte: number) => (byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`);
  return [...name].map(escape).join("");
}

function asFields(xattrs: Xattrs): Pick<InventoryFile, "capabilities" | "attributes"> {
  const texts = new Map([...xattrs].map(([name, value]) => [name, `0x${value.toString("hex")}`]));
  const capabilities = texts.get(capabilityAttribute);
  texts.delete(capabilityAttribute);
  return {
    ...(capabilities !== undefined && { capabilities: capabilityText(capabilities) }),
    ...(texts.size > 0 && { attributes: Object.fromEntries(texts) }),
  };
}
