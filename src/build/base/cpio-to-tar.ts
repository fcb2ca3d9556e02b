import type { ByteReader } from "../../lib/byte-reader.ts";
import { blockSize, paddingOf, tarHeaders, type TarEntry } from "../tree/tar.ts";
import type { EntryKind } from "./entry-rules.ts";
import { eachEntryOf, type CpioEntry } from "./scan-cpio.ts";

type Write = (bytes: Buffer) => Promise<void>;

/** Sockets have no type in tar archives; the programs that listen on them make them anew. */
const types: Readonly<Partial<Record<EntryKind, TarEntry["type"]>>> = {
  file: "file",
  symlink: "symbolic link",
  directory: "folder",
  fifo: "fifo",
};

/**
 * Writes one of the cpio archives of a stream as a tar archive: cpio itself gives folders and links the time at which
 * they are unpacked.
 */
export async function cpioToTar(reader: ByteReader, member: number, write: Write): Promise<void> {
  // Of a file with several names only one, mostly the last, comes with the content.
  const waiting = new Map<string, CpioEntry[]>();
  const written = new Map<string, Buffer>();
  await eachEntryOf(reader, member, async (entry, content) => {
    if (entry.link !== undefined) {
      const first = written.get(entry.link);
      if (first !== undefined) return write(headersOf(entry, "hard link", first));
      const others = waiting.get(entry.link) ?? [];
      if (entry.size === 0) return void waiting.set(entry.link, [...others, entry]);
      await writeFile(entry, content, write);
      written.set(entry.link, entry.name);
      waiting.delete(entry.link);
      for (const other of others) await write(headersOf(other, "hard link", entry.name));
      return;
    }
    if (entry.kind === "file") return writeFile(entry, content, write);
    let target = Buffer.alloc(0);
    await content(async (bytes) => void (target = Buffer.concat([target, bytes])));
    const type = types[entry.kind];
    if (type !== undefined) await write(headersOf(entry, type, target));
  });
  // Empty files never come with content.
  for (const [first, ...others] of waiting.values()) {
    if (first === undefined) continue;
    await write(headersOf(first, "file"));
    for (const other of others) await write(headersOf(other, "hard link", first.name));
  }
  await write(Buffer.alloc(2 * blockSize));
}

async function writeFile(entry: CpioEntry, content: (take: Write) => Promise<void>, write: Write): Promise<void> {
  await write(headersOf(entry, "file"));
  await content(write);
  await write(Buffer.alloc(paddingOf(entry.size)));
}

function headersOf(entry: CpioEntry, type: TarEntry["type"], target?: Buffer): Buffer {
  const { mode, uid, gid, mtime } = entry;
  const name = entry.name.toString("latin1");
  return tarHeaders({
    path: type === "folder" && !name.endsWith("/") ? `${name}/` : name,
    type,
    ...{ mode, uid, gid, mtime },
    size: type === "file" ? entry.size : 0,
    link: target?.toString("latin1") ?? "",
  });
}
