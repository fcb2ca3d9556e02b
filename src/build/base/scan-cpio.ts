import { NetkilnError } from "../../lib/errors.ts";
import type { ByteReader } from "../../lib/byte-reader.ts";
import { copyAgain, EntryRules, type ArchiveSummary, type EntryKind } from "./entry-rules.ts";

/** cpio(5), "New ASCII Format": magic and thirteen fields of eight hexadecimal digits. */
const headerBytes = 110;
/** The kernel unpacks no longer names (init/initramfs.c, N_ALIGN and PATH_MAX). */
const maxNameBytes = 4096;
const fileKinds: Readonly<Record<number, EntryKind>> = {
  0o010000: "fifo",
  0o020000: "device",
  0o040000: "directory",
  0o060000: "device",
  0o100000: "file",
  0o120000: "symlink",
  0o140000: "socket",
};

export interface CpioEntry {
  /** As bytes, in whatever encoding the names are. */
  readonly name: Buffer;
  readonly kind: EntryKind;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds. */
  readonly mtime: number;
  /** Bytes of content, which is the target of a symbolic link. */
  readonly size: number;
  /** Equal for the names of one file; undefined for a file with one name. */
  readonly link: string | undefined;
}

/** One cpio archive of several that stand one behind the other, as the kernel takes them. */
export interface CpioMember extends ArchiveSummary {
  /** Microcode and tables that the kernel reads before it has a root (Documentation/x86/microcode.rst); no part of one. */
  readonly early: boolean;
}

export interface CpioScan {
  readonly members: readonly CpioMember[];
  /** Where something else than a cpio archive begins behind the members. */
  readonly rest: number | undefined;
}

/** Looks through all cpio archives of a stream, up to its end or up to what is none. */
export async function scanCpio(reader: ByteReader): Promise<CpioScan> {
  const members: CpioMember[] = [];
  for (;;) {
    await skipZeros(reader);
    const magic = await reader.peek(6);
    if (magic.length === 0) return { members, rest: undefined };
    if (!isCpioHeader(magic)) return { members, rest: reader.position };
    const rules = new EntryRules();
    await eachEntry(reader, async ({ name, kind }) => rules.add({ path: name.toString("latin1"), kind }));
    const summary = rules.finish();
    members.push({ ...summary, early: summary.tops.every((top) => top === "kernel" || top === "early_cpio") });
  }
}

/** Visits the entries of the member with this number, from 0 on; `content` hands on all of an entry's content. */
export async function eachEntryOf(
  reader: ByteReader,
  wanted: number,
  visit: (entry: CpioEntry, content: (take: (bytes: Buffer) => Promise<void>) => Promise<void>) => Promise<void>,
): Promise<void> {
  for (let number = 0; number <= wanted; number += 1) {
    await skipZeros(reader);
    await eachEntry(reader, number === wanted ? visit : undefined);
  }
}

export function isCpioHeader(bytes: Buffer): boolean {
  return /^07070[12]/.test(bytes.toString("latin1", 0, 6));
}

/** Reads one archive up to and with its end mark. */
async function eachEntry(reader: ByteReader, visit?: Parameters<typeof eachEntryOf>[2]): Promise<void> {
  for (;;) {
    const entry = await readHeader(reader);
    if (entry === undefined) return;
    let left = entry.size;
    const content = async (take?: (bytes: Buffer) => Promise<void>) => {
      left -= await reader.skip(left, take);
      if (left > 0) throw truncated(reader, `the content of "${entry.name.toString()}" is cut off`);
    };
    await visit?.(entry, content);
    await content();
    await skipPadding(reader, entry.size);
  }
}

/** The next entry's header; undefined for the end mark. */
async function readHeader(reader: ByteReader): Promise<CpioEntry | undefined> {
  const header = await reader.read(headerBytes);
  if (header.length < headerBytes) throw truncated(reader, "it has no end mark");
  const fields = header.toString("latin1", 6);
  if (!isCpioHeader(header) || !/^[0-9A-Fa-f]{104}$/.test(fields)) throw damaged(reader);
  const numbers = fields.match(/.{8}/g)?.map((digits) => Number.parseInt(digits, 16)) ?? [];
  const [ino = 0, mode = 0, uid = 0, gid = 0, links = 0, mtime = 0, size = 0, major = 0, minor = 0] = numbers;
  const nameBytes = numbers[11] ?? 0;
  if (nameBytes < 1 || nameBytes > maxNameBytes) throw damaged(reader);
  const name = Buffer.from(await reader.read(nameBytes)).subarray(0, -1);
  if (name.length < nameBytes - 1) throw truncated(reader, "a name is cut off");
  // It would be another name for whoever unpacks it.
  if (name.includes(0)) throw damaged(reader);
  await skipPadding(reader, headerBytes + nameBytes);
  if (name.toString("latin1") === "TRAILER!!!") return undefined;
  const kind = fileKinds[mode & 0o170000] ?? "unknown";
  const link = kind === "file" && links > 1 ? `${major}:${minor}:${ino}` : undefined;
  return { name, kind, mode: mode & 0o7777, uid, gid, mtime, size, link };
}

/** Header with name, and content, each fill up to four bytes. */
async function skipPadding(reader: ByteReader, size: number): Promise<void> {
  await reader.skip((4 - (size % 4)) % 4);
}

async function skipZeros(reader: ByteReader): Promise<void> {
  for (;;) {
    const next = await reader.peek(4);
    if (next.length === 0 || next.some((byte) => byte !== 0)) return;
    await reader.skip(next.length);
  }
}

function truncated(reader: ByteReader, what: string): NetkilnError {
  return new NetkilnError("invalid_input", `the archive is truncated: ${what} after ${reader.position} bytes`, {
    hint: copyAgain,
  });
}

function damaged(reader: ByteReader): NetkilnError {
  const message = `the archive is damaged: there is no valid cpio header before byte ${reader.position}`;
  return new NetkilnError("invalid_input", message, {
    hint: copyAgain,
  });
}
