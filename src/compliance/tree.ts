import { createHash } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { lstat, open, readdir, readlink, realpath, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { lookAt, resolveRooted } from "../lib/rooted.ts";

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

/** Bytes of one file that are read into memory; sysctl.d, units, passwd and dpkg's status are far below. */
export const readLimit = 64 * 1024 * 1024;

/** `root` is a directory of this machine; it may itself be reached through links. */
export async function openTree(root: string): Promise<TreeReader> {
  const base = await realpath(root);
  const onHost = (path: string) => join(base, path);
  const resolve = (path: string, followLast: boolean) => resolveRooted(base, path, followLast);

  const openFile = async (path: string): Promise<FileHandle | undefined> => {
    const place = await resolve(path, true);
    if (place === undefined) return undefined;
    // Not to wait for a writer where a pipe is, and not to follow a link that was not there a moment ago.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const found = await lstat(onHost(place));
    if (!found.isFile()) throw new Error(`${path} is a ${typeOf(found)}, not a regular file`);
    return open(onHost(place), flags);
  };

  return {
    async lstat(path) {
      const place = await resolve(path, false);
      return place === undefined ? undefined : lookAt(onHost(place));
    },
    async stat(path) {
      const place = await resolve(path, true);
      return place === undefined ? undefined : lstat(onHost(place));
    },
    async readlink(path) {
      const place = await resolve(path, false);
      if (place === undefined || !(await lookAt(onHost(place)))?.isSymbolicLink()) return undefined;
      return readlink(onHost(place));
    },
    async readdir(path) {
      const place = await resolve(path, true);
      if (place === undefined || !(await lstat(onHost(place))).isDirectory()) return undefined;
      const entries = await readdir(onHost(place), { withFileTypes: true });
      return entries
        .map((entry) => ({ name: entry.name, type: typeOf(entry) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async readText(path) {
      const handle = await openFile(path);
      if (handle === undefined) return undefined;
      try {
        const { size } = await handle.stat();
        if (size > readLimit) throw new Error(`${path} has ${size} bytes, more than the ${readLimit} that are read`);
        return await handle.readFile("utf8");
      } finally {
        await handle.close();
      }
    },
    async digest(path, algorithm) {
      const handle = await openFile(path);
      if (handle === undefined) return undefined;
      const hash = createHash(algorithm);
      for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
      return hash.digest("hex");
    },
    locate: (path) => resolve(path, false),
    realpath: (path) => resolve(path, true),
  };
}

export function typeOf(found: Omit<FileStats, "mode" | "uid" | "gid" | "size">): FileType {
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  if (found.isSymbolicLink()) return "symlink";
  if (found.isCharacterDevice()) return "character-device";
  if (found.isBlockDevice()) return "block-device";
  return found.isFIFO() ? "pipe" : "socket";
}
