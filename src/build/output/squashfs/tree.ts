import { NetkilnError } from "../../../lib/errors.ts";
import { toText, type BytePath } from "../../tree/byte-paths.ts";
import type { TreeEntry } from "./entry.ts";

/** A file of any kind, which has one name or several. */
export interface Inode {
  readonly entry: TreeEntry;
  /** From 1, in the order in which they are written. */
  readonly number: number;
  /** Of a folder two and one for each folder in it; else the number of its names. */
  readonly links: number;
  /** What a folder holds, in the order of the names' bytes. */
  readonly children: readonly Child[];
  /** Number of the folder that a folder is in; that of the root is one that no inode has. */
  readonly parent: number;
}

export interface Child {
  readonly name: BytePath;
  readonly inode: Inode;
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] };
type Growing = Omit<Mutable<Inode>, "children"> & { children: { name: BytePath; inode: Growing }[] };

/**
 * The inodes of a tree, each after all that it holds. What is in one folder stands together, so that a folder's
 * listing needs few headers; the root is the last.
 */
export function orderTree(entries: readonly TreeEntry[]): readonly Inode[] {
  const root = connect(entries);
  const order: Growing[] = [];
  const put = (inode: Growing) => {
    // A file with several names has its place at the first of them.
    if (inode.number === 0) inode.number = order.push(inode);
  };
  const visit = (folder: Growing) => {
    folder.children.sort((a, b) => (a.name < b.name ? -1 : 1));
    const folders = folder.children.filter(({ inode }) => inode.entry.kind === "folder");
    for (const { inode } of folders) visit(inode);
    for (const { inode } of folder.children) put(inode);
    folder.links = 2 + folders.length;
  };
  visit(root);
  put(root);
  for (const folder of order) for (const { inode } of folder.children) inode.parent = folder.number;
  root.parent = order.length + 1;
  return order;
}

/** The root, with all others below. */
function connect(entries: readonly TreeEntry[]): Growing {
  const byPath = new Map<BytePath, Growing>();
  const byFile = new Map<string, Growing>();
  for (const entry of entries) {
    if (byPath.has(entry.path)) throw new NetkilnError("internal", `/${toText(entry.path)} is twice in the tree`);
    const known = entry.inode === undefined ? undefined : byFile.get(entry.inode);
    const inode = known ?? { entry, number: 0, links: 0, children: [], parent: 0 };
    inode.links += 1;
    if (entry.inode !== undefined) byFile.set(entry.inode, inode);
    byPath.set(entry.path, inode);
  }
  for (const [path, inode] of byPath) {
    if (path === "") continue;
    const slash = path.lastIndexOf("/");
    const folder = byPath.get(slash < 0 ? "" : path.slice(0, slash));
    if (folder?.entry.kind !== "folder") throw new NetkilnError("internal", `/${toText(path)} is in no folder`);
    folder.children.push({ name: path.slice(slash + 1), inode });
  }
  const root = byPath.get("");
  if (root?.entry.kind !== "folder") throw new NetkilnError("internal", "the tree has no root folder");
  return root;
}
