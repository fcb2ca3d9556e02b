import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { NetkilnError } from "../../../lib/errors.ts";
import type { Digests } from "../../../lib/files.ts";
import { writeListing, type Listing } from "./directories.ts";
import type { TreeEntry } from "./entry.ts";
import {
  dataBlockSize,
  littleEndian,
  loadBlock,
  storeBlock,
  storedLength,
  type Field,
  type StoredBlock,
} from "./format.ts";
import { basicType, encodeInode } from "./inodes.ts";
import { asNumber, lookupTable, openMetadata, plainMetadata, type Metadata, type Reference } from "./metadata.ts";
import type { Pack, PackedFragment } from "./pack-index.ts";
import { placeContents, type PlacedContents } from "./place-contents.ts";
import { orderTree, type Inode } from "./tree.ts";
import { writeParts } from "./write-parts.ts";
import { openXattrTable, type XattrTable } from "./xattr-table.ts";

/** What of this host decides the bytes of a squashfs image, beside the tree. */
export function squashfsInputs(level: number): Readonly<Record<string, string>> {
  return { form: squashfsForm, compression: `zstd ${level}`, zstd: process.versions.zstd ?? "none" };
}

/** Raised when the same tree gives another image than before. */
const squashfsForm = "1";

export interface ImageOptions {
  /** Modification time of the file system itself, in seconds since 1970. */
  readonly epoch: number;
  /** Of zstd, for the metadata; the packs should have been made with the same. */
  readonly level: number;
  readonly signal?: AbortSignal;
  /** Called when only the writing is left. */
  readonly planned?: () => void;
}

/**
 * Writes a tree as a squashfs 4.0 image, whose content comes out of packs as it is stored there; `packs` are searched
 * in their order. The same tree and packs give the same bytes. The file may not be there yet.
 * Throws `internal` when the content of a file is in no pack or the tree has gaps, and `work_failed` for what squashfs
 * cannot hold.
 */
export async function writeSquashfs(
  entries: readonly TreeEntry[],
  packs: readonly Pack[],
  output: string,
  options: ImageOptions,
): Promise<Digests> {
  const heading = compressorOptions(options.level);
  const inodes = orderTree(entries);
  const placed = await placeContents(
    inodes.map(({ entry }) => entry),
    packs,
    superblockSize + heading.length,
    { load: loadFragment, store: (content) => storeFragment(content, options.level) },
  );
  const tables = await makeTables(inodes, placed, options.level);
  const superblock = encodeSuperblock(tables, inodes.length, placed.fragments.length, options);
  const padding = Buffer.alloc((imageMultiple - (tables.end % imageMultiple)) % imageMultiple);
  const parts = [
    { bytes: Buffer.concat([superblock, heading]) },
    ...placed.stretches,
    { bytes: Buffer.concat([tables.bytes, padding]) },
  ];
  options.planned?.();
  return writeParts({ output, parts }, options.signal);
}

/** Block devices are read in pieces of this size, and mksquashfs ends images at a multiple of it. */
const imageMultiple = 4096;
const superblockSize = 96;
/** What mksquashfs and its readers take when the image does not say a level. */
const usualLevel = 15;

function compressorOptions(level: number): Buffer {
  return level === usualLevel ? Buffer.alloc(0) : plainMetadata(littleEndian([4, level]));
}

/** In place of a table that is not there: all bits set. */
const noTable = Buffer.alloc(8, 0xff);

interface Tables {
  /** All of them, as they follow the data. */
  readonly bytes: Buffer;
  readonly end: number;
  readonly root: Reference;
  readonly idCount: number;
  /** Where each begins in the image. */
  readonly inodes: number;
  readonly folders: number;
  readonly fragments: number;
  readonly exports: number;
  readonly ids: number;
  readonly xattrs: number | undefined;
}

/** The kernel wants the tables in this order, and nothing between them. */
async function makeTables(inodes: readonly Inode[], placed: PlacedContents, level: number): Promise<Tables> {
  const xattrTable = openXattrTable(level);
  const { references, inodeBytes, folderBytes, ids } = await writeInodes(inodes, placed, xattrTable, level);
  const parts = [inodeBytes, folderBytes];
  let end = placed.end + inodeBytes.length + folderBytes.length;
  const look = (records: readonly Buffer[]): number => {
    const table = lookupTable(records, end, level);
    parts.push(table.bytes);
    end += table.bytes.length;
    return table.start;
  };
  const fragments = look(placed.fragments.map(({ start, word }) => littleEndian([8, start], [4, word], [4, 0])));
  const exports = look(references.map((reference) => littleEndian([8, asNumber(reference)])));
  const idTable = look(ids.map((id) => littleEndian([4, id])));
  const xattrs = xattrTable.end(end);
  if (xattrs !== undefined) parts.push(xattrs.bytes);
  return {
    bytes: Buffer.concat(parts),
    end: end + (xattrs?.bytes.length ?? 0),
    root: references.at(-1) as Reference,
    idCount: ids.length,
    inodes: placed.end,
    folders: placed.end + inodeBytes.length,
    fragments,
    exports,
    ids: idTable,
    xattrs: xattrs?.start,
  };
}

/** Inodes that are written between two turns of the event loop; a million of them take many seconds. */
const turnAfter = 4096;

async function writeInodes(inodes: readonly Inode[], placed: PlacedContents, xattrTable: XattrTable, level: number) {
  const table = openMetadata(level);
  const folders = openMetadata(level);
  const ids = new Map<number, number>();
  const references: Reference[] = [];
  for (const inode of inodes) {
    const { kind, uid, gid, xattrs, sha256 = "", size } = inode.entry;
    const listing = kind === "folder" ? listFolder(inode, references, folders) : undefined;
    const content = kind === "file" && size > 0 ? placed.contents.get(sha256) : undefined;
    const around = {
      owner: numberOf(ids, uid),
      group: numberOf(ids, gid),
      xattrs: xattrTable.add(xattrs),
      ...(listing !== undefined && { listing }),
      ...(content !== undefined && { content }),
    };
    if (references.push(table.append(encodeInode(inode, around))) % turnAfter === 0) await setImmediate();
  }
  return { references, inodeBytes: table.end(), folderBytes: folders.end(), ids: [...ids.keys()] };
}

/** What a folder holds is written before it. */
function listFolder({ children }: Inode, references: readonly Reference[], table: Metadata): Listing {
  const names = children.map(({ name, inode: { entry, number } }) => ({
    name,
    number,
    reference: references[number - 1] as Reference,
    type: basicType(entry.kind),
  }));
  return writeListing(names, table);
}

/** The superblock counts ids with 16 bits. */
const mostIds = 0xffff;

function numberOf(ids: Map<number, number>, id: number): number {
  const known = ids.get(id);
  if (known !== undefined) return known;
  if (ids.size === mostIds) {
    throw new NetkilnError(
      "work_failed",
      `the tree has more than ${mostIds} owners and groups, which squashfs cannot hold`,
    );
  }
  ids.set(id, ids.size);
  return ids.size - 1;
}

const magic = 0x7371_7368;
const zstd = 6;
/** Equal contents are stored once; there is a table by which NFS finds inodes. */
const usualFlags = 0x0040 | 0x0080;
const withoutXattrs = 0x0200;
const withCompressorOptions = 0x0400;

function encodeSuperblock(tables: Tables, inodes: number, fragments: number, options: ImageOptions): Buffer {
  const flags =
    usualFlags |
    (tables.xattrs === undefined ? withoutXattrs : 0) |
    (options.level === usualLevel ? 0 : withCompressorOptions);
  const counts: Field[] = [
    [4, magic],
    [4, inodes],
    [4, options.epoch],
    [4, dataBlockSize],
    [4, fragments],
    [2, zstd],
  ];
  const version: Field[] = [
    [2, Math.log2(dataBlockSize)],
    [2, flags],
    [2, tables.idCount],
    [2, 4],
    [2, 0],
  ];
  return Buffer.concat([
    littleEndian(...counts, ...version, [8, asNumber(tables.root)], [8, tables.end], [8, tables.ids]),
    tables.xattrs === undefined ? noTable : littleEndian([8, tables.xattrs]),
    littleEndian([8, tables.inodes], [8, tables.folders], [8, tables.fragments], [8, tables.exports]),
  ]);
}

async function loadFragment({ file }: Pack, { start, word }: PackedFragment): Promise<Buffer> {
  const stored = Buffer.alloc(storedLength(word));
  const descriptor = openSync(file, "r");
  try {
    if (readSync(descriptor, stored, 0, stored.length, start) === stored.length) return loadBlock(stored, word);
    throw new NetkilnError("internal", `${file} ends before its content`);
  } finally {
    closeSync(descriptor);
  }
}

/** At the highest levels each takes some hundredths of a second, and there may be thousands. */
async function storeFragment(content: Buffer, level: number): Promise<StoredBlock> {
  await setImmediate();
  return storeBlock(content, level);
}
