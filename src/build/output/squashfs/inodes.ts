import { NetkilnError } from "../../../lib/errors.ts";
import { toBuffer, toText } from "../../tree/byte-paths.ts";
import { encodeIndex, type Listing } from "./directories.ts";
import type { TreeEntry } from "./entry.ts";
import { dataBlockSize, encodeWords, littleEndian, max32, none, type Field } from "./format.ts";
import type { PlacedContent } from "./place-contents.ts";
import type { Inode } from "./tree.ts";

/** Numbers of the basic types; that of the extended one, with room for more, is greater by seven. */
const types = {
  folder: 1,
  file: 2,
  symlink: 3,
  "block-device": 4,
  "character-device": 5,
  fifo: 6,
  socket: 7,
} as const satisfies Record<TreeEntry["kind"], number>;
const extended = 7;

export function basicType(kind: TreeEntry["kind"]): number {
  return types[kind];
}

/** What an inode refers to in other tables. */
export interface Surroundings {
  /** Numbers in the table of ids. */
  readonly owner: number;
  readonly group: number;
  /** Number of its set of extended attributes, or `none`. */
  readonly xattrs: number;
  /** Of a folder. */
  readonly listing?: Listing;
  /** Of a regular file that is not empty. */
  readonly content?: PlacedContent;
}

/** An inode as it is stored, in the basic form where that has room for it. */
export function encodeInode(inode: Inode, around: Surroundings): Buffer {
  const { entry } = inode;
  const body = encodeBody(inode, around);
  const type = types[entry.kind] + (body.extended ? extended : 0);
  const fields: Field[] = [
    [2, type],
    [2, entry.mode & 0o7777],
    [2, around.owner],
    [2, around.group],
  ];
  return Buffer.concat([littleEndian(...fields, [4, storedTime(entry)], [4, inode.number]), ...body.parts]);
}

interface Body {
  readonly extended: boolean;
  readonly parts: readonly Buffer[];
}

function encodeBody(inode: Inode, around: Surroundings): Body {
  const { entry, links } = inode;
  if (entry.kind === "folder") return encodeFolder(inode, around);
  if (entry.kind === "file") return encodeFile(inode, around);
  const withXattrs = around.xattrs !== none;
  const last = withXattrs ? [littleEndian([4, around.xattrs])] : [];
  if (entry.kind === "symlink") {
    const target = toBuffer(entry.link ?? "");
    return { extended: withXattrs, parts: [littleEndian([4, links], [4, target.length]), target, ...last] };
  }
  const isPipe = entry.kind === "fifo" || entry.kind === "socket";
  const device: Field[] = isPipe ? [] : [[4, deviceNumber(entry)]];
  return { extended: withXattrs, parts: [littleEndian([4, links], ...device), ...last] };
}

/** The size of a listing is told with three bytes more than it has, for "." and "..". */
const dots = 3;

function encodeFolder({ links, parent }: Inode, { listing, xattrs }: Surroundings): Body {
  if (listing === undefined) throw new NetkilnError("internal", "a folder has no listing");
  const { start, index } = listing;
  const size = listing.size + dots;
  if (xattrs === none && index.length === 0 && size <= 0xffff) {
    const fields = littleEndian([4, start.block], [4, links], [2, size], [2, start.offset], [4, parent]);
    return { extended: false, parts: [fields] };
  }
  const fields: Field[] = [
    [4, links],
    [4, size],
    [4, start.block],
    [4, parent],
    [2, index.length],
    [2, start.offset],
  ];
  return { extended: true, parts: [littleEndian(...fields, [4, xattrs]), encodeIndex(index)] };
}

function encodeFile({ entry, links }: Inode, { content, xattrs }: Surroundings): Body {
  const { start = 0, words = [], fragment = none, offset = 0 } = content ?? {};
  const holes = bytesInHoles(words, entry.size);
  const blocks = encodeWords(words);
  if (links === 1 && xattrs === none && holes === 0 && start <= max32 && entry.size <= max32) {
    return { extended: false, parts: [littleEndian([4, start], [4, fragment], [4, offset], [4, entry.size]), blocks] };
  }
  const fields: Field[] = [
    [8, start],
    [8, entry.size],
    [8, holes],
    [4, links],
    [4, fragment],
    [4, offset],
  ];
  return { extended: true, parts: [littleEndian(...fields, [4, xattrs]), blocks] };
}

function bytesInHoles(words: readonly number[], size: number): number {
  return words.reduce(
    (bytes, word, block) => bytes + (word === 0 ? Math.min(dataBlockSize, size - block * dataBlockSize) : 0),
    0,
  );
}

/** As the kernel's new_encode_dev: 12 bits of the one, 20 of the other. */
function deviceNumber({ path, device = { major: 0, minor: 0 } }: TreeEntry): number {
  const { major, minor } = device;
  if (major > 0xfff || minor > 0xf_ffff) {
    throw new NetkilnError("work_failed", `/${toText(path)} is device ${major}:${minor}, which squashfs cannot hold`);
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

function storedTime({ path, mtime }: TreeEntry): number {
  if (mtime > max32) {
    throw new NetkilnError(
      "work_failed",
      `/${toText(path)} was changed ${mtime} seconds after 1970; squashfs holds times up to ${max32} (2106)`,
    );
  }
  return Math.max(mtime, 0);
}
