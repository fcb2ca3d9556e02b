import { NetkilnError } from "../../lib/errors.ts";
import type { ByteReader } from "../../lib/byte-reader.ts";
import { toText, type BytePath } from "./byte-paths.ts";
import { decimal, largestMetadata, nameIn, numberIn, paxRecords, takeAll, TarFault } from "./tar-fields.ts";
import { parseSparse, readMapBehind, readMapInContent, requirePieces, type SparseRecords } from "./tar-sparse.ts";
import { blockSize, checksumOf, padded, typeFlags, type TarEntry } from "./tar.ts";

/** Besides what POSIX has: files with holes, and the note that `tar --label` puts before all others. */
export type TarType = TarEntry["type"] | "sparse file" | "volume label";

/** An entry, as far as it decides where unpacking writes. */
export interface TarHeader {
  readonly type: TarType;
  /** As the archive has it; "" for an entry without a name. */
  readonly path: BytePath;
  /** Target of a hard link (a path of the archive) or of a symbolic link; of other entries it has no meaning. */
  readonly link: BytePath;
  /** Bytes of content; of a sparse file those that the archive has of it. */
  readonly size: number;
}

/** What the archive is called in messages, and what to do when it cannot be read. */
export interface ToldArchive {
  readonly name: string;
  readonly hint: string;
}

const types: Readonly<Record<string, TarType>> = {
  ...Object.fromEntries(Object.entries(typeFlags).map(([type, flag]) => [flag, type as TarType])),
  "\0": "file",
  S: "sparse file",
  V: "volume label",
};

/** The formats differ in what stands behind the link, from byte 257 on. */
type Format = "ustar" | "gnu" | "v7";

/** What headers before an entry say of it. */
interface Announced {
  path?: BytePath;
  link?: BytePath;
  size?: number;
  sparse?: SparseRecords;
}

/** An entry, and the bytes that have to be passed over to come to the next header. */
interface Member {
  readonly header: TarHeader;
  readonly unread: number;
}

/**
 * Reads the headers of an uncompressed tar archive, to the last byte of the stream, so that they can only mean one
 * thing (POSIX.1-2017, pax, "pax Interchange Format" and "ustar Interchange Format";
 * https://www.gnu.org/software/tar/manual/html_node/Standard.html).
 *
 * What is found here decides whether GNU tar may unpack the same bytes, so both have to see the same entries. Where
 * readers of tar differ (a folder or link with content, names given twice, unknown types, malformed numbers, data
 * behind the end), the archive is refused instead of guessed at. A general reader takes these as they come and hides
 * them from its caller, which is why there is one of our own.
 *
 * Throws `invalid_input` for an archive that is cut off, damaged or ambiguous.
 */
export async function* readTar(bytes: ByteReader, told: ToldArchive): AsyncGenerator<TarHeader> {
  for (let unread = 0; ;) {
    const member = await nextMember(bytes, unread).catch((error: unknown) => {
      throw error instanceof TarFault ? refusal(error, bytes.position, told) : error;
    });
    if (member === undefined) return;
    yield member.header;
    unread = member.unread;
  }
}

/** Whether these bytes begin with a header of a tar archive. */
export function isTarHeader(bytes: Buffer): boolean {
  return bytes.length >= blockSize && numberIn(bytes.subarray(148, 156)) === checksumOf(bytes);
}

function refusal({ truncated, message }: TarFault, position: number, { name, hint }: ToldArchive): NetkilnError {
  const text = truncated
    ? `${name} is truncated: ${message} after ${position} bytes`
    : `${name} is no tar archive, or a damaged one: ${message} (before byte ${position})`;
  return new NetkilnError("invalid_input", text, { hint });
}

/** The next entry behind the content of the last one; undefined behind the last. */
async function nextMember(bytes: ByteReader, unread: number): Promise<Member | undefined> {
  if ((await bytes.skip(unread)) < unread)
    throw new TarFault("the content of an entry is cut off", { truncated: true });
  const announced: Announced = {};
  const flags = new Set<string>();
  for (;;) {
    const block = await nextHeader(bytes);
    if (block === undefined) {
      if (flags.size > 0) throw new TarFault("its last entry is missing");
      return undefined;
    }
    const flag = String.fromCharCode(block[156] ?? 0);
    const size = sizeIn(block, flag);
    if (!"xgLK".includes(flag)) return memberOf(block, flag, size, announced, bytes);
    if (size > largestMetadata) throw new TarFault(`a header of ${size} bytes is too large`);
    const content = (await takeAll(bytes, padded(size), "a header")).subarray(0, size);
    // GNU tar forgets the first of two; and a header for all has no place between an entry and its own.
    if (flag === "x" ? flags.has(flag) : flag === "g" && flags.size > 0) {
      throw new TarFault("an entry has too many headers");
    }
    if (flag === "g") {
      const label = labelOf(content);
      if (label !== undefined) return { header: { type: "volume label", path: label, link: "", size: 0 }, unread: 0 };
      continue;
    }
    flags.add(flag);
    announce(announced, flag === "x" ? fromPax(content) : fromLongName(flag, content));
  }
}

/** Undefined at the end of the archive, which is two blocks of zeros and what fills up the last record. */
async function nextHeader(bytes: ByteReader): Promise<Buffer | undefined> {
  const block = await bytes.read(blockSize);
  if (block.length === 0) throw new TarFault("it has no end mark", { truncated: true });
  if (block.length < blockSize) throw new TarFault("a header is cut off", { truncated: true });
  if (!isZero(block)) {
    if (!isTarHeader(block)) throw new TarFault("the checksum of a header is wrong");
    return block;
  }
  if (!isZero(await takeAll(bytes, blockSize, "its end mark"))) {
    throw new TarFault("an empty header is followed by another one");
  }
  for await (const rest of bytes) if (!isZero(rest)) throw new TarFault("there are data behind its end");
  return undefined;
}

function sizeIn(block: Buffer, flag: string): number {
  const field = block.subarray(124, 136);
  // GNU tar writes none where it notes a label.
  const size = flag === "V" && isZero(field) ? 0 : numberIn(field);
  if (size === undefined) throw new TarFault("it has a malformed size");
  if (!Number.isSafeInteger(size)) throw new TarFault("it has an entry of an impossible size");
  return size;
}

async function memberOf(
  block: Buffer,
  flag: string,
  counted: number,
  announced: Announced,
  bytes: ByteReader,
): Promise<Member> {
  const format = formatOf(block);
  const path = announced.sparse?.name ?? announced.path ?? ownName(block, format);
  const size = announced.size ?? counted;
  const shown = `entry ${JSON.stringify(toText(path))}`;
  const type = Object.hasOwn(types, flag) ? types[flag] : undefined;
  // The old form of a file with holes is in GNU's format alone.
  if (type === undefined || (type === "sparse file" && format !== "gnu")) {
    throw new TarFault(`${shown} has the unknown type ${JSON.stringify(flag)}`);
  }
  const header = { path, link: announced.link ?? nameIn(block.subarray(157, 257)), size };
  const extended = announced.sparse !== undefined;
  if (type === "sparse file" || extended) {
    const sure = type === "sparse file" ? !extended : type === "file" && isPlainUstar(block);
    if (!sure || path.endsWith("/")) {
      throw new TarFault(`${shown} is a sparse file that readers take in different ways`);
    }
    const unread = await readMap(block, size, announced.sparse, bytes);
    return { header: { ...header, type: "sparse file" }, unread };
  }
  // Archives from before POSIX mark folders by their name.
  const meant = type === "file" && path.endsWith("/") ? "folder" : type;
  if (meant !== "file" && size !== 0) throw new TarFault(`${shown} is a ${meant} with content`);
  return { header: { ...header, type: meant }, unread: padded(size) };
}

/** Reads the map of a file with holes, wherever it stands; returns how many bytes come before the next header. */
async function readMap(
  block: Buffer,
  size: number,
  sparse: SparseRecords | undefined,
  bytes: ByteReader,
): Promise<number> {
  if (sparse !== undefined && sparse.pieces === undefined) {
    const { pieces, mapSize } = await readMapInContent(bytes, size);
    requirePieces(pieces, size - mapSize);
    return padded(size) - mapSize;
  }
  requirePieces(sparse?.pieces ?? (await readMapBehind(block, bytes)), size);
  return padded(size);
}

function formatOf(block: Buffer): Format {
  const magic = block.toString("latin1", 257, 265);
  if (magic.startsWith("ustar\0")) return "ustar";
  if (magic === "ustar  \0") return "gnu";
  if (magic === "\0".repeat(8)) return "v7";
  throw new TarFault("it has a header of an unknown format");
}

/** Only ustar has the prefix; GNU's own format keeps other things there, and what came before POSIX has none. */
function ownName(block: Buffer, format: Format): BytePath {
  const name = nameIn(block.subarray(0, 100));
  const prefix = format === "ustar" ? nameIn(block.subarray(345, 500)) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Of ustar, without what star keeps behind a shorter prefix: GNU tar knows its files with holes by other signs. */
function isPlainUstar(block: Buffer): boolean {
  const prefix = block.subarray(345, 500);
  return formatOf(block) === "ustar" && isZero(prefix.subarray(nameIn(prefix).length));
}

function announce(announced: Announced, more: Announced): void {
  for (const key of ["path", "link", "size"] as const) {
    const shown = (headers: Announced) => toText(String(headers[key]));
    if (more[key] !== undefined && announced[key] !== undefined) {
      throw new TarFault(`the ${key} of an entry is given twice: ${shown(announced)} and ${shown(more)}`);
    }
  }
  Object.assign(announced, more);
}

/**
 * GNU's way to write names of more than 100 bytes: an entry of type L (path) or K (link) before the one meant. The
 * name ends with a zero byte; GNU tar looks for it beyond the size of the entry, too.
 */
function fromLongName(flag: string, content: Buffer): Announced {
  const value = nameIn(content);
  if (content.indexOf(0) !== content.length - 1 || value === "") {
    throw new TarFault("it has a long name that does not end where it should");
  }
  return flag === "L" ? { path: value } : { link: value };
}

function fromPax(content: Buffer): Announced {
  const announced: Announced = {};
  const sparse: [key: string, value: string][] = [];
  for (const [key, value] of paxRecords(content)) {
    const ofSparse = key.startsWith("GNU.sparse.");
    // Of archives of several volumes, and of incremental ones.
    if (key.startsWith("GNU.") && !ofSparse) throw new TarFault(`its headers have ${key}, which is not read`);
    if (!ofSparse && key !== "path" && key !== "linkpath" && key !== "size") continue;
    if (value.length === 0 || value.includes(0)) throw new TarFault(`its headers have a malformed ${key}`);
    const text = value.toString("latin1");
    if (ofSparse) sparse.push([key.slice("GNU.sparse.".length), text]);
    else if (key === "path") announced.path = text;
    else if (key === "linkpath") announced.link = text;
    else announced.size = decimal(text, "size");
  }
  return sparse.length === 0 ? announced : { ...announced, sparse: parseSparse(sparse) };
}

/**
 * A header for all entries that follow. Git puts the commit there as a comment, and GNU tar a label, which is
 * returned; nothing else is needed by anybody.
 */
function labelOf(content: Buffer): BytePath | undefined {
  let label: BytePath | undefined;
  for (const [key, value] of paxRecords(content)) {
    if (key === "GNU.volume.label") label = value.toString("latin1");
    else if (key !== "comment") throw new TarFault(`it has a header for all entries, with ${key}`);
  }
  return label;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
