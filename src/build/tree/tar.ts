import type { BytePath } from "./byte-paths.ts";
import type { Xattrs } from "./xattrs.ts";

export const blockSize = 512;

export interface TarEntry {
  /** Folders end with "/". */
  readonly path: BytePath;
  readonly type: keyof typeof typeFlags;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Bytes of content that follow; 0 for all but files. */
  readonly size: number;
  /** Target of a link. */
  readonly link?: BytePath;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly xattrs?: Xattrs;
}

/** Of POSIX; what others there are stands in tar-reader.ts. */
export const typeFlags = {
  file: "0",
  "hard link": "1",
  "symbolic link": "2",
  "character device": "3",
  "block device": "4",
  folder: "5",
  fifo: "6",
} as const;

const maxName = 100;
const maxSize = 8 ** 11 - 1;
const maxId = 8 ** 7 - 1;

/**
 * The headers of one entry, in the pax interchange format (POSIX.1-2001, pax(1)): ustar, and before it extended
 * records for what ustar cannot say, and only then, so that there is one way to write each entry. Extended attributes
 * are `SCHILY.xattr` records, raw bytes, as GNU tar, Go's archive/tar and the OCI image layer specification have them.
 * Names are written as the bytes they are; GNU tar and Go read them back so (neither knows `hdrcharset`).
 */
export function tarHeaders(entry: TarEntry): Buffer {
  const records = extendedRecords(entry);
  const header = ustarHeader({ ...entry, flag: typeFlags[entry.type] });
  if (records.length === 0) return header;
  const body = Buffer.concat(records);
  const name = `PaxHeaders.0/${entry.path.replace(/\/$/, "").replace(/^.*\//s, "")}`;
  const extended = ustarHeader({ path: name, flag: "x", mode: 0o644, uid: 0, gid: 0, mtime: 0, size: body.length });
  return Buffer.concat([extended, body, Buffer.alloc(paddingOf(body.length)), header]);
}

/** Zero bytes that fill up the last block of a content. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/** Bytes of a content with what fills up its last block. */
export function padded(size: number): number {
  return size + paddingOf(size);
}

/** The sum of all bytes of a header, with spaces in the place of the sum itself. */
export function checksumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < blockSize; at += 1) if (at < 148 || at >= 156) sum += header[at] ?? 0;
  return sum;
}

function extendedRecords(entry: TarEntry): Buffer[] {
  const records: [name: string, value: Buffer][] = [];
  const text = (name: string, value: string) => records.push([name, Buffer.from(value, "latin1")]);
  if (!fitsName(entry.path)) text("path", entry.path);
  if (!fitsName(entry.link ?? "")) text("linkpath", entry.link ?? "");
  if (entry.size > maxSize) text("size", String(entry.size));
  if (entry.uid > maxId) text("uid", String(entry.uid));
  if (entry.gid > maxId) text("gid", String(entry.gid));
  if (!fitsTime(entry.mtime)) text("mtime", String(entry.mtime));
  for (const [name, value] of entry.xattrs ?? []) records.push([`SCHILY.xattr.${name}`, value]);
  return records.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => record(name, value));
}

/** `LENGTH NAME=VALUE\n`, where the length counts itself. */
function record(name: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${name}=`, "latin1"), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function ustarHeader(entry: Omit<TarEntry, "type"> & { readonly flag: string }): Buffer {
  const header = Buffer.alloc(blockSize);
  header.write(shortName(entry.path), 0, "latin1");
  octal(header, 100, 8, entry.mode);
  octal(header, 108, 8, entry.uid > maxId ? 0 : entry.uid);
  octal(header, 116, 8, entry.gid > maxId ? 0 : entry.gid);
  octal(header, 124, 12, entry.size > maxSize ? 0 : entry.size);
  octal(header, 136, 12, fitsTime(entry.mtime) ? entry.mtime : 0);
  header.write(entry.flag, 156, "latin1");
  header.write(shortName(entry.link ?? ""), 157, "latin1");
  header.write("ustar\x0000", 257, "latin1");
  octal(header, 329, 8, entry.device?.major ?? 0);
  octal(header, 337, 8, entry.device?.minor ?? 0);
  header.write(`${checksumOf(header).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function octal(header: Buffer, offset: number, length: number, value: number): void {
  header.write(value.toString(8).padStart(length - 1, "0"), offset, "latin1");
}

function fitsName(name: BytePath): boolean {
  return name.length <= maxName && isPlain(name);
}

function fitsTime(seconds: number): boolean {
  return seconds >= 0 && seconds <= maxSize;
}

/** What readers see that know no extended records; never ends with a "/" that is not the entry's own. */
function shortName(name: BytePath): string {
  if (fitsName(name)) return name;
  return name
    .slice(0, maxName)
    .replaceAll(/[^\x20-\x7e]/g, "?")
    .replace(/\/+$/, "");
}

function isPlain(text: BytePath): boolean {
  return /^[ -~]*$/.test(text);
}
