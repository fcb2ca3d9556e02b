import { gunzipSync, zstdDecompressSync } from "node:zlib";

/** What is in an initrd, as far as it is checked. */
export type InitrdContent =
  | {
      /** Paths without a leading slash, folders too. */
      readonly names: readonly string[];
      /** What dracut noted of its own modules. */
      readonly dracutModules: readonly string[];
    }
  | {
      readonly problem: string;
      /** A compressor that the kernel may know and this does not. */ readonly packedWith?: string;
    };

/** By the first two bytes, as the kernel tells them (lib/decompress.c). */
const otherCompressors: Readonly<Record<number, string>> = {
  0x425a: "bzip2",
  0x5d00: "lzma",
  0xfd37: "xz",
  0x894c: "lzo",
  0x0221: "lz4",
};

/** More than any initrd; a small file must not unpack to fill the memory. */
const maxOutputLength = 2 ** 31;
const headerLength = 110;

/**
 * Reads an initrd as the kernel does: one "newc" archive after the other, each as it is or compressed (here: gzip or
 * zstd), with zeros between them.
 */
export function readInitrd(file: Buffer): InitrdContent {
  const names: string[] = [];
  let noted = "";
  try {
    let rest = file;
    while (rest.length > 0) {
      if (rest[0] === 0) rest = rest.subarray(zerosIn(rest));
      else if (rest.readUInt32LE(0) === 0xfd2fb528) rest = zstdDecompressSync(rest, { maxOutputLength });
      else if (rest.readUInt16BE(0) === 0x1f8b) rest = gunzipSync(rest, { maxOutputLength });
      else {
        const packedWith = otherCompressors[rest.readUInt16BE(0)];
        if (packedWith !== undefined) return { problem: `it is packed with ${packedWith}`, packedWith };
        rest = readArchive(rest, (name, content) => {
          names.push(name);
          if (/^(usr\/)?lib\/dracut\/modules\.txt$/.test(name)) noted = content.toString();
        });
      }
    }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
  return { names, dracutModules: noted.split(/\s+/).filter((name) => name !== "") };
}

/** That stand at the beginning. */
function zerosIn(bytes: Buffer): number {
  let count = 0;
  while (bytes[count] === 0) count += 1;
  return count;
}

/** Returns what follows the archive. */
function readArchive(archive: Buffer, found: (name: string, content: Buffer) => void): Buffer {
  let at = 0;
  for (;;) {
    const header = archive.toString("latin1", at, at + headerLength);
    if (!/^07070[12][0-9A-Fa-f]{104}$/.test(header)) {
      throw new Error(header.length < headerLength ? "it ends too early" : `there is no cpio header at byte ${at}`);
    }
    const field = (index: number) => parseInt(header.slice(6 + index * 8, 14 + index * 8), 16);
    const [size, nameLength] = [field(6), field(11)];
    const nameEnd = at + headerLength + nameLength;
    const name = archive.toString("utf8", at + headerLength, nameEnd - 1);
    const start = Math.ceil(nameEnd / 4) * 4;
    if (start + size > archive.length) throw new Error("it ends too early");
    at = Math.ceil((start + size) / 4) * 4;
    if (name === "TRAILER!!!") return archive.subarray(at);
    found(name, archive.subarray(start, start + size));
  }
}
