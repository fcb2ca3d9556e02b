import { createHash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { readLimit, typeOf, type FileStats, type TreeReader } from "../../compliance/index.ts";
import { resolvePlace } from "../../lib/rooted.ts";
import { toBuffer, toBytePath, toText } from "./byte-paths.ts";
import type { EntryKind } from "./listing.ts";
import { nodeAt, placeOf, type TreeNode } from "./view.ts";

/** Reads of a tree of which only the listings of its layers are known, without a mount. */
export function readerOf(root: TreeNode): TreeReader {
  const at = (path: string) => nodeAt(root, toBytePath(path));
  const places = {
    lstat: async (path: string) => statsOf(at(path)),
    readlink: async (path: string) => toText(at(path)?.entry.link ?? ""),
  };
  const find = async (path: string, followLast: boolean) => {
    const place = await resolvePlace(places, path, followLast);
    return place === undefined ? undefined : at(place);
  };
  const findFile = async (path: string) => {
    const node = await find(path, true);
    const stats = statsOf(node);
    if (node === undefined || stats === undefined) return undefined;
    if (!stats.isFile()) throw new Error(`${path} is a ${typeOf(stats)}, not a regular file`);
    return node;
  };
  return {
    lstat: async (path) => statsOf(await find(path, false)),
    stat: async (path) => statsOf(await find(path, true)),
    readlink: async (path) => {
      const link = (await find(path, false))?.entry.link;
      return link === undefined ? undefined : toText(link);
    },
    readdir: async (path) => {
      const folder = await find(path, true);
      if (folder?.inside === undefined) return undefined;
      return [...folder.inside]
        .map(([name, node]) => ({ name: toText(name), type: typeOf(ofKind(node)) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    readText: async (path) => {
      const file = await findFile(path);
      if (file === undefined) return undefined;
      const { size } = file.entry;
      if (size > readLimit) throw new Error(`${path} has ${size} bytes, more than the ${readLimit} that are read`);
      // Many small files are read in a row; through promises each would cost several times as much.
      return readFileSync(toBuffer(placeOf(file)), "utf8");
    },
    digest: async (path, algorithm) => {
      const file = await findFile(path);
      if (file === undefined || algorithm === "sha256") return file?.entry.sha256;
      const hash = createHash(algorithm);
      for await (const chunk of createReadStream(toBuffer(placeOf(file)))) hash.update(chunk as Buffer);
      return hash.digest("hex");
    },
    locate: (path) => resolvePlace(places, path, false),
    realpath: (path) => resolvePlace(places, path, true),
  };
}

function statsOf(node: TreeNode | undefined): FileStats | undefined {
  return node && ofKind(node);
}

function ofKind({ entry: { kind, mode, uid, gid, size } }: TreeNode): FileStats {
  const is = (what: EntryKind) => () => kind === what;
  return {
    isFile: is("file"),
    isDirectory: is("folder"),
    isSymbolicLink: is("symlink"),
    isCharacterDevice: is("character-device"),
    isBlockDevice: is("block-device"),
    isFIFO: is("fifo"),
    ...{ mode, uid, gid, size },
  };
}
