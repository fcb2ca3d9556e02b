/**
 * What stands in a tar archive, read so that it can only mean one thing (POSIX.1-2017, pax, "pax Interchange Format"
 * and "ustar Interchange Format"; https://www.gnu.org/software/tar/manual/html_node/Standard.html).
 *
 * What is found here decides whether GNU tar may unpack the same bytes, so both have to see the same entries. Where
 * readers of tar differ (a folder or link with content, sparse files, names given twice, unknown types, malformed
 * numbers, data behind the end), the archive is refused instead of guessed at. A general reader takes these as they
 * come and hides them from its caller, which is why there is one of our own.
 */

export type TarType = "file" | "link" | "symlink" | "character device" | "block device" | "directory" | "fifo";

export interface TarEntry {
  readonly type: TarType;
  /** As the archive has it, "" for an entry without a name. */
  readonly path: string;
  /** Target of a hard link (a path of the archive) or of a symbolic link; "" for others. */
  readonly link: string;
  /** Bytes of content. */
  readonly size: number;
}

const types: Readonly<Record<string, TarType>> = {
  "0": "file",
  "\0": "file",
  "1": "link",
  "2": "symlink",
  "3": "character device",
  "4": "block device",
  "5": "directory",
  "6": "fifo",
};

const blockBytes = 512;
/** Names and extended attributes; Linux allows 4 KiB for a path and 64 KiB for an attribute. */
const maxMetadata = 1024 * 1024;

/** What headers before an entry say of it. */
interface Announced {
  path?: string;
  link?: string;
  size?: number;
}

/** Reads to the end of the stream. Throws an Error that says what is wrong, for a damaged or ambiguous archive. */
export async function* readTarEntries(stream: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const bytes = new Bytes(stream);
  let announced: Announced = {};
  for (;;) {
    const block = await bytes.take(blockBytes);
    if (isZero(block)) {
      if (!isZero(await bytes.take(blockBytes))) throw new Error("an empty header is followed by another one");
      await bytes.expectOnlyZeros();
      if (Object.keys(announced).length > 0) throw new Error("its last entry is missing");
      return;
    }
    checkSum(block);
    const flag = String.fromCharCode(block[156] ?? 0);
    const size = parseSize(block.subarray(124, 136));
    if ("xgLK".includes(flag)) {
      if (size > maxMetadata) throw new Error(`a header of ${size} bytes is too large`);
      const content = (await bytes.take(padded(size))).subarray(0, size);
      if (flag === "g") refuseGlobals(parsePax(content));
      else announce(announced, flag === "x" ? fromPax(parsePax(content)) : fromLongName(flag, content));
      continue;
    }
    const entry = entryOf(block, flag, announced.size ?? size, announced);
    announced = {};
    yield entry;
    await bytes.skip(padded(entry.size));
  }
}

function entryOf(block: Buffer, flag: string, size: number, { path, link }: Announced): TarEntry {
  const name = path ?? headerName(block);
  const type = Object.hasOwn(types, flag) ? types[flag] : undefined;
  if (type === undefined) {
    const hint = flag === "S" ? " (a sparse file of GNU tar)" : "";
    throw new Error(`entry ${JSON.stringify(name)} has the unknown type ${JSON.stringify(flag)}${hint}`);
  }
  // Archives from before POSIX mark folders by their name.
  const shown = type === "file" && name.endsWith("/") ? "directory" : type;
  if (shown !== "file" && size !== 0) throw new Error(`entry ${JSON.stringify(name)} is a ${shown} with content`);
  const target = link ?? text(block.subarray(157, 257));
  return { type: shown, path: name, link: shown === "link" || shown === "symlink" ? target : "", size };
}

/** Only ustar has the prefix; GNU's own format keeps other things there, and what came before POSIX has none. */
function headerName(block: Buffer): string {
  const name = text(block.subarray(0, 100));
  const magic = block.toString("latin1", 257, 265);
  if (magic.startsWith("ustar\0")) {
    const prefix = text(block.subarray(345, 500));
    return prefix === "" ? name : `${prefix}/${name}`;
  }
  if (magic !== "ustar  \0" && magic !== "\0".repeat(8)) throw new Error("it has a header of an unknown format");
  return name;
}

function announce(announced: Announced, more: Announced): void {
  for (const key of ["path", "link", "size"] as const) {
    if (more[key] !== undefined && announced[key] !== undefined) {
      throw new Error(`the ${key} of an entry is given twice: ${announced[key]} and ${more[key]}`);
    }
  }
  Object.assign(announced, more);
}

/**
 * GNU's way to write names of more than 100 bytes: an entry of type L (path) or K (link) before the one meant. The
 * name ends with a zero byte; GNU tar looks for it beyond the size of the entry, too.
 */
function fromLongName(flag: string, content: Buffer): Announced {
  const value = text(content);
  if (content.indexOf(0) !== content.length - 1 || value === "") {
    throw new Error("it has a long name that does not end where it should");
  }
  return flag === "L" ? { path: value } : { link: value };
}

function fromPax(records: ReadonlyMap<string, Buffer>): Announced {
  const announced: Announced = {};
  for (const [key, value] of records) {
    // GNU.sparse.name and the like change name and size of the entry.
    if (key.startsWith("GNU.")) throw new Error(`its headers have ${key}: sparse files are not read`);
    if (key !== "path" && key !== "linkpath" && key !== "size") continue;
    if (value.length === 0 || value.includes(0)) throw new Error(`its headers have a malformed ${key}`);
    if (key === "path") announced.path = text(value);
    else if (key === "linkpath") announced.link = text(value);
    else announced.size = decimal(value.toString("latin1"), "size");
  }
  return announced;
}

/** They hold for all that follows; git puts the commit there as a comment, and nothing else is needed by anybody. */
function refuseGlobals(records: ReadonlyMap<string, Buffer>): void {
  for (const key of records.keys()) {
    if (key !== "comment") throw new Error(`it has a header for all entries, with ${key}`);
  }
}

/** Records `LENGTH KEY=VALUE\n`; LENGTH counts all of the record, in bytes. */
function parsePax(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(" ", at);
    const end = at + decimal(content.toString("latin1", at, space === -1 ? at : space), "length of a record");
    const equals = content.indexOf("=", space);
    if (end > content.length || content[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw new Error("it has a malformed extended header");
    }
    const key = text(content.subarray(space + 1, equals));
    if (records.has(key)) throw new Error(`an extended header has ${key} twice`);
    records.set(key, content.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

function decimal(digits: string, what: string): number {
  const value = /^(0|[1-9]\d*)$/.test(digits) ? Number(digits) : NaN;
  if (!Number.isSafeInteger(value)) throw new Error(`it has a malformed ${what}: ${JSON.stringify(digits)}`);
  return value;
}

/** Octal digits, or a big-endian number behind a first byte of 0x80, as GNU tar writes what needs more digits. */
function parseSize(field: Buffer): number {
  if (field[0] === 0x80) {
    const value = BigInt(`0x${field.toString("hex", 1)}`);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Error("it has an entry of an impossible size");
    return Number(value);
  }
  // oxlint-disable-next-line eslint/no-control-regex -- fields of numbers end with a zero byte or a space
  const digits = /^ *([0-7]+)[ \0]*$/.exec(field.toString("latin1"))?.[1];
  if (digits === undefined) throw new Error("it has a malformed size");
  return Number.parseInt(digits, 8);
}

/** The sum of all bytes of the header, with spaces in the place of the sum itself. */
function checkSum(block: Buffer): void {
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  if (parseSize(block.subarray(148, 156)) !== sum) throw new Error("the checksum of a header is wrong");
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Up to the first zero byte. */
function text(field: Buffer): string {
  const end = field.indexOf(0);
  const value = end === -1 ? field : field.subarray(0, end);
  try {
    return utf8.decode(value);
  } catch {
    throw new Error(`the name ${JSON.stringify(value.toString("latin1"))} is not UTF-8`);
  }
}

function padded(size: number): number {
  return Math.ceil(size / blockBytes) * blockBytes;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** A stream, taken in pieces of any size. */
class Bytes {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async take(size: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let wanted = size; wanted > 0;) {
      const part = await this.#upTo(wanted);
      parts.push(part);
      wanted -= part.length;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  async skip(size: number): Promise<void> {
    for (let wanted = size; wanted > 0;) wanted -= (await this.#upTo(wanted)).length;
  }

  async expectOnlyZeros(): Promise<void> {
    for (;;) {
      if (!isZero(this.#rest)) throw new Error("there are data behind its end");
      const next = await this.#chunks.next();
      if (next.done === true) return;
      this.#rest = view(next.value);
    }
  }

  async #upTo(size: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) throw new Error("it is cut off");
      this.#rest = view(next.value);
    }
    const part = this.#rest.subarray(0, size);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }
}

function view(chunk: Uint8Array): Buffer {
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}
