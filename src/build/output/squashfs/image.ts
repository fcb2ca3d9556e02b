import { closeSync, openSync, readSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { NetkilnError } from "../../../lib/errors.ts";
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
import { placeContents, type PlacedContents, type Stretch } from "./place-contents.ts";
import { orderTree, type Inode } from "./tree.ts";
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
  /** Sees all bytes in their order; the buffer is used again after. */
  readonly onChunk?: (chunk: Buffer) => void;
}

/**
 * Writes a tree as a squashfs 4.0 image, whose content comes out of packs as it is stored there; `packs` are searched
 * in their order. The same tree and packs give the same bytes. The file may not be there yet; its size is returned.
 * Throws `internal` when the content of a file is in no pack or the tree has gaps, and `work_failed` for what squashfs
 * cannot hold.
 */
export async function writeSquashfs(
  entries: readonly TreeEntry[],
  packs: readonly Pack[],
  output: string,
  options: ImageOptions,
): Promise<{ readonly size: number }> {
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
  const file = await open(output, "wx");
  try {
    const write = async (chunk: Buffer) => {
      options.onChunk?.(chunk);
      for (let done = 0; done < chunk.length;) done += (await file.write(chunk, done)).bytesWritten;
    };
    await write(Buffer.concat([superblock, heading]));
    await copyStretches(placed.stretches, write);
    await write(Buffer.concat([tables.bytes, padding]));
  } finally {
    await file.close();
  }
  return { size: tables.end + padding.length };
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

const copiedAtOnce = 4 << 20;

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

/** A part of a stretch, small enough to be read at once. */
function partsOf(stretches: readonly Stretch[]): Stretch[] {
  return stretches.flatMap((stretch): Stretch[] => {
    if ("bytes" in stretch) return [stretch];
    const { file, start, length } = stretch;
    return Array.from({ length: Math.ceil(length / copiedAtOnce) }, (_, number) => {
      const from = number * copiedAtOnce;
      return { file, start: start + from, length: Math.min(copiedAtOnce, length - from) };
    });
  });
}

/** Reads the next part while one is written and digested. */
async function copyStretches(stretches: readonly Stretch[], write: (chunk: Buffer) => Promise<void>): Promise<void> {
  const buffers = [Buffer.allocUnsafe(copiedAtOnce), Buffer.allocUnsafe(copiedAtOnce)] as const;
  const handles = new Map<string, Promise<FileHandle>>();
  const read = async (stretch: Stretch, buffer: Buffer): Promise<Buffer> => {
    if ("bytes" in stretch) return stretch.bytes;
    const { file, start, length } = stretch;
    const opening = handles.get(file) ?? open(file, "r");
    handles.set(file, opening);
    const handle = await opening;
    for (let done = 0; done < length;) {
      const { bytesRead } = await handle.read(buffer, done, length - done, start + done);
      if (bytesRead === 0) throw new NetkilnError("internal", `${file} ends before its content`);
      done += bytesRead;
    }
    return buffer.subarray(0, length);
  };
  let reading: Promise<Buffer> | undefined;
  try {
    for (const [index, part] of partsOf(stretches).entries()) {
      const next = read(part, buffers[index % 2 === 0 ? 0 : 1]);
      // Whatever becomes of the one before, this one's failure is told when it is waited for.
      next.catch(() => undefined);
      const last = reading;
      reading = next;
      if (last !== undefined) await write(await last);
    }
    if (reading !== undefined) await write(await reading);
  } finally {
    await reading?.catch(() => undefined);
    for (const opened of await Promise.allSettled(handles.values())) {
      if (opened.status === "fulfilled") await opened.value.close();
    }
  }
}
