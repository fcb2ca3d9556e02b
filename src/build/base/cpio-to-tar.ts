import type { ByteReader } from "./byte-reader.ts";
import { eachEntryOf, type CpioEntry } from "./scan-cpio.ts";

type Write = (bytes: Buffer) => Promise<void>;

const block = 512;
/** Type flags of tar(5). Sockets have none; the programs that listen on them make them anew. */
const flags: Readonly<Record<string, string>> = { file: "0", symlink: "2", directory: "5", fifo: "6" };

/**
 * Writes one of the cpio archives of a stream as a tar archive (GNU form): cpio itself gives folders and links the
 * time at which they are unpacked.
 */
export async function cpioToTar(reader: ByteReader, member: number, write: Write): Promise<void> {
  // Of a file with several names only one, mostly the last, comes with the content.
  const waiting = new Map<string, CpioEntry[]>();
  const written = new Map<string, Buffer>();
  await eachEntryOf(reader, member, async (entry, content) => {
    if (entry.link !== undefined) {
      const first = written.get(entry.link);
      if (first !== undefined) return writeHeader(entry, "1", 0, first, write);
      const others = waiting.get(entry.link) ?? [];
      if (entry.size === 0) return void waiting.set(entry.link, [...others, entry]);
      await writeFile(entry, content, write);
      written.set(entry.link, entry.name);
      waiting.delete(entry.link);
      for (const other of others) await writeHeader(other, "1", 0, entry.name, write);
      return;
    }
    if (entry.kind === "file") return writeFile(entry, content, write);
    let target = Buffer.alloc(0);
    await content(async (bytes) => void (target = Buffer.concat([target, bytes])));
    const flag = flags[entry.kind];
    if (flag !== undefined) await writeHeader(entry, flag, 0, target, write);
  });
  // Empty files never come with content.
  for (const [first, ...others] of waiting.values()) {
    if (first === undefined) continue;
    await writeHeader(first, "0", 0, Buffer.alloc(0), write);
    for (const other of others) await writeHeader(other, "1", 0, first.name, write);
  }
  await write(Buffer.alloc(2 * block));
}

async function writeFile(entry: CpioEntry, content: (take: Write) => Promise<void>, write: Write): Promise<void> {
  await writeHeader(entry, "0", entry.size, Buffer.alloc(0), write);
  await content(write);
  await write(Buffer.alloc(padding(entry.size)));
}

async function writeHeader(entry: CpioEntry, flag: string, size: number, target: Buffer, write: Write): Promise<void> {
  if (target.length > 100) await writeLong("K", target, write);
  if (entry.name.length > 100) await writeLong("L", entry.name, write);
  await write(header(entry, flag, size, target));
}

/** A name that has no room in the header is the content of an entry before it. */
async function writeLong(flag: string, text: Buffer, write: Write): Promise<void> {
  const size = text.length + 1;
  const name = Buffer.from("././@LongLink");
  await write(header({ name, mode: 0, uid: 0, gid: 0, mtime: 0 }, flag, size, Buffer.alloc(0)));
  await write(Buffer.concat([text, Buffer.alloc(1 + padding(size))]));
}

function header(
  entry: Pick<CpioEntry, "name" | "mode" | "uid" | "gid" | "mtime">,
  flag: string,
  size: number,
  target: Buffer,
): Buffer {
  const bytes = Buffer.alloc(block);
  entry.name.copy(bytes, 0, 0, 100);
  putNumber(bytes, 100, 8, entry.mode);
  putNumber(bytes, 108, 8, entry.uid);
  putNumber(bytes, 116, 8, entry.gid);
  putNumber(bytes, 124, 12, size);
  putNumber(bytes, 136, 12, entry.mtime);
  bytes.write("        ", 148, "latin1");
  bytes.write(flag, 156, "latin1");
  target.copy(bytes, 157, 0, 100);
  bytes.write("ustar  \0", 257, "latin1");
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

/** Octal digits where they have room, and big-endian with the highest bit set where not. */
function putNumber(bytes: Buffer, at: number, size: number, value: number): void {
  const digits = value.toString(8).padStart(size - 1, "0");
  if (digits.length < size) bytes.write(digits, at, "latin1");
  else {
    bytes.writeUIntBE(value, at + size - 6, 6);
    bytes.writeUInt8(0x80, at);
  }
}

function padding(size: number): number {
  return (block - (size % block)) % block;
}
