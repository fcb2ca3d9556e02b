import { NetkilnError } from "../../lib/errors.ts";
import { ByteReader } from "./byte-reader.ts";
import { EntryRules, type ArchiveSummary, type EntryKind } from "./entry-rules.ts";

const block = 512;
/** Names and extended headers; the kernel's own limit for a path is 4096 bytes, xattrs are at most 64 KiB each. */
const maxMetaBytes = 8 * 1024 * 1024;

const kinds: Readonly<Record<string, EntryKind>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  S: "file",
  "1": "link",
  "2": "symlink",
  "3": "device",
  "4": "device",
  "5": "directory",
  "6": "fifo",
};

/** What extended headers say of the entry that follows them. */
interface Overrides {
  path?: string;
  target?: string;
  size?: number;
}

/**
 * Reads the headers of a tar archive (ustar, pax and GNU, tar(5)) as GNU tar does, which unpacks it afterwards, and
 * passes over the contents. Libraries for this end at the sparse files that GNU tar writes.
 * Throws `invalid_input` when it is damaged, or when an entry could be written outside its tree.
 */
export async function scanTar(
  stream: AsyncIterable<Uint8Array>,
  { whiteouts }: { whiteouts: boolean },
): Promise<ArchiveSummary> {
  const reader = new ByteReader(stream);
  const rules = new EntryRules({ whiteouts });
  let overrides: Overrides = {};
  for (;;) {
    const header = await reader.read(block);
    if (header.length === 0) throw truncated(reader, "it has no end mark");
    if (header.length < block) throw truncated(reader, "a header is cut off");
    if (header.every((byte) => byte === 0)) break;
    if (!isTarHeader(header)) throw damaged(reader);
    const type = String.fromCharCode(header[156] ?? 0);
    const size = overrides.size ?? numberIn(header, 124, 12, reader);
    if (type === "L" || type === "K" || type === "x" || type === "g") {
      const meta = await readMeta(reader, numberIn(header, 124, 12, reader));
      // Global headers carry no paths that root archives use; GNU tar itself knows only "comment" there.
      if (type === "L") overrides.path = textIn(meta, 0, meta.length);
      if (type === "K") overrides.target = textIn(meta, 0, meta.length);
      if (type === "x") overrides = { ...overrides, ...parsePax(meta, reader) };
      continue;
    }
    if (type !== "V") {
      const kind = kinds[type] ?? "unknown";
      const path = overrides.path ?? pathIn(header);
      // Before 1988 a folder was a file whose name ends with "/".
      const asFolder = kind === "file" && path.endsWith("/");
      const target = overrides.target ?? textIn(header, 157, 100);
      rules.add({ path, kind: asFolder ? "directory" : kind, ...(kind === "link" && { target }) });
    }
    if (type === "S") await skipSparseMap(header, reader);
    // Links and folders have no content, whatever size they name; pax allows one for hard links, and GNU tar skips it.
    const hasContent = !"23456".includes(type);
    const padded = hasContent ? Math.ceil(size / block) * block : 0;
    if ((await reader.skip(padded)) < padded) throw truncated(reader, "the content of an entry is cut off");
    overrides = {};
  }
  // What stands behind the end mark is padding; it is read, so that what writes it does not fail.
  while ((await reader.skip(1 << 20)) > 0);
  return rules.finish();
}

/** Whether these 512 bytes are a header: its checksum counts itself as blanks. */
export function isTarHeader(header: Buffer): boolean {
  if (header.length < block) return false;
  const stored = /^ *([0-7]+)/.exec(header.toString("latin1", 148, 156))?.[1];
  let sum = 0;
  for (let index = 0; index < block; index += 1) sum += index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0);
  return stored !== undefined && Number.parseInt(stored, 8) === sum;
}

function pathIn(header: Buffer): string {
  const name = textIn(header, 0, 100);
  // The prefix is of ustar alone: GNU's own form has other fields there ("ustar  ").
  if (header.toString("latin1", 257, 263) !== "ustar\0") return name;
  const prefix = textIn(header, 345, 155);
  return prefix === "" ? name : `${prefix}/${name}`;
}

function textIn(bytes: Buffer, start: number, size: number): string {
  const field = bytes.subarray(start, start + size);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
}

/** Octal digits, or big-endian with the highest bit set. */
function numberIn(header: Buffer, start: number, size: number, reader: ByteReader): number {
  const field = header.subarray(start, start + size);
  let value = 0;
  if (((field[0] ?? 0) & 0x80) !== 0) {
    value = (field[0] ?? 0) & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
  } else {
    const digits = /[0-7]+/.exec(field.toString("latin1"))?.[0];
    value = digits === undefined ? 0 : Number.parseInt(digits, 8);
  }
  if (!Number.isSafeInteger(value) || value < 0) throw damaged(reader);
  return value;
}

async function readMeta(reader: ByteReader, size: number): Promise<Buffer> {
  if (size > maxMetaBytes) throw damaged(reader);
  const meta = Buffer.from(await reader.read(size));
  const padding = (block - (size % block)) % block;
  if (meta.length < size || (await reader.skip(padding)) < padding) throw truncated(reader, "a header is cut off");
  return meta;
}

/** Records `LENGTH KEY=VALUE\n`; of GNU's sparse forms 0.1 and 1.0 the true name stands in a key of its own. */
function parsePax(meta: Buffer, reader: ByteReader): Overrides {
  const found: Overrides = {};
  let sparseName: string | undefined;
  for (let offset = 0; offset < meta.length;) {
    const blank = meta.indexOf(0x20, offset);
    const length = Number(meta.toString("latin1", offset, Math.max(blank, offset)));
    if (blank === -1 || !Number.isInteger(length) || length <= blank - offset || offset + length > meta.length)
      throw damaged(reader);
    const record = meta.subarray(blank + 1, offset + length - 1);
    const equals = record.indexOf(0x3d);
    const key = record.toString("utf8", 0, Math.max(equals, 0));
    const value = record.toString("utf8", equals + 1);
    if (key === "path") found.path = value;
    if (key === "GNU.sparse.name") sparseName = value;
    if (key === "linkpath") found.target = value;
    if (key === "size") {
      if (!/^\d+$/.test(value) || !Number.isSafeInteger(Number(value))) throw damaged(reader);
      found.size = Number(value);
    }
    offset += length;
  }
  return sparseName === undefined ? found : { ...found, path: sparseName };
}

/** The old GNU form goes on with its list of pieces in blocks between header and content; 504 says whether one follows. */
async function skipSparseMap(header: Buffer, reader: ByteReader): Promise<void> {
  let more = header[482] !== 0;
  while (more) {
    const extension = await reader.read(block);
    if (extension.length < block) throw truncated(reader, "a header is cut off");
    more = extension[504] !== 0;
  }
}

function truncated(reader: ByteReader, what: string): NetkilnError {
  return new NetkilnError("invalid_input", `the archive is truncated: ${what} after ${reader.position} bytes`, {
    hint: "copy it again, and compare its sha256 with the one where it was made",
  });
}

function damaged(reader: ByteReader): NetkilnError {
  return new NetkilnError(
    "invalid_input",
    `the archive is damaged: there is no valid header before byte ${reader.position}`,
    {
      hint: "copy it again, and compare its sha256 with the one where it was made",
    },
  );
}
