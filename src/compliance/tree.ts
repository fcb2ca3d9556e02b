import type { Stats } from "node:fs";

export type FileType = "file" | "directory" | "symlink" | "character-device" | "block-device" | "pipe" | "socket";

export interface TreeEntry {
  readonly name: string;
  /** Of the entry itself: a symbolic link is not followed. */
  readonly type: FileType;
}

/** What a tree's entry is, as far as somebody asks. */
export type FileStats = Pick<
  Stats,
  | "isFile"
  | "isDirectory"
  | "isSymbolicLink"
  | "isCharacterDevice"
  | "isBlockDevice"
  | "isFIFO"
  | "mode"
  | "uid"
  | "gid"
  | "size"
>;

/**
 * Reads of a root tree as a process inside it would see it: paths begin at the tree's root, symbolic links are
 * followed within the tree, and nothing above the root can be reached. What is not there is undefined; what is there
 * and cannot be read throws an Error. The tree must not be written to meanwhile.
 */
export interface TreeReader {
  lstat(path: string): Promise<FileStats | undefined>;
  stat(path: string): Promise<FileStats | undefined>;
  /** The text of a symbolic link; undefined also when `path` is no link. */
  readlink(path: string): Promise<string | undefined>;
  /** By name; undefined also when `path` is no directory. */
  readdir(path: string): Promise<readonly TreeEntry[] | undefined>;
  /** The content of a regular file as UTF-8, at most `readLimit` bytes. */
  readText(path: string): Promise<string | undefined>;
  /** Lower-case hexadecimal digest of a regular file. */
  digest(path: string, algorithm: "md5" | "sha256" | "sha512"): Promise<string | undefined>;
  /** The path without links, its last component kept as it is; undefined when the folder it is in is not there. */
  locate(path: string): Promise<string | undefined>;
  /** The path without links; undefined when nothing is there. */
  realpath(path: string): Promise<string | undefined>;
}

/**
 * Bytes of one file that are read into memory, at once: whoever reads does nothing else meanwhile. sysctl.d, units,
 * passwd and dpkg's status are far below.
 */
export const readLimit = 64 * 1024 * 1024;

export function typeOf(found: Omit<FileStats, "mode" | "uid" | "gid" | "size">): FileType {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  if (found.isSymbolicLink()) return "symlink";
  if (found.isCharacterDevice()) return "character-device";
  if (found.isBlockDevice()) return "block-device";
  return found.isFIFO() ? "pipe" : "socket";
}
