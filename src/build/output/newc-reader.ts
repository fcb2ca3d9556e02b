import { gunzipSync, zstdDecompressSync } from "node:zlib";

/** What is in an initrd, as far as it is checked. */
export type InitrdContent =
  | {
      /** Paths without a leading slash, folders too. */
      readonly names: readonly string[];
      /** What dracut noted of its own modules. */
      readonly dracutModules: readonly string[];
    }
  | { readonly problem: string };

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
      if (rest[0] === 0) rest = rest.subarray(1);
      else if (rest.readUInt32LE(0) === 0xfd2fb528) rest = zstdDecompressSync(rest, { maxOutputLength });
      else if (rest.readUInt16BE(0) === 0x1f8b) rest = gunzipSync(rest, { maxOutputLength });
      else {
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
