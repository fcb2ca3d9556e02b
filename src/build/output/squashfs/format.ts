/**
 * What squashfs 4.0 looks like on disk, after Documentation/filesystems/squashfs.rst of the kernel, and the
 * description by Zachary Dremann and David Oberhollenzer (https://dr-emann.github.io/squashfs/, doc/format.adoc of
 * squashfs-tools-ng). All numbers are little endian.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** Of file content; a block of it is compressed on its own. mksquashfs takes the same by default. */
export const dataBlockSize = 131_072;
/** In place of a number of a fragment or of a set of extended attributes. */
export const none = 0xffff_ffff;
/** The greatest number of 32 bits. */
export const max32 = 0xffff_ffff;

/** In the word that tells how long a stored block of data is: it is not compressed. The word 0 is a hole of zeros. */
const notCompressed = 1 << 24;

/** Bytes that a block of data takes, by its size word. */
export function storedLength(word: number): number {
  return word & (notCompressed - 1);
}

export interface StoredBlock {
  readonly bytes: Buffer;
  /** As files and the table of fragments list it. */
  readonly word: number;
}

/** A block of data as it is stored: compressed, unless that does not make it smaller. */
export function storeBlock(content: Buffer, level: number): StoredBlock {
  const compressed = compress(content, level);
  if (compressed.length < content.length) return { bytes: compressed, word: compressed.length };
  return { bytes: content, word: content.length | notCompressed };
}

/** The content of a stored block. */
export function loadBlock(bytes: Buffer, word: number): Buffer {
  return (word & notCompressed) === 0 ? zstdDecompressSync(bytes, { maxOutputLength: dataBlockSize }) : bytes;
}

/**
 * The kernel sets a window of one block aside to decompress in. The size that is promised makes the frame need no
 * larger one, whatever the level.
 */
export function compress(content: Buffer, level: number): Buffer {
  return zstdCompressSync(content, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: content.length,
    // Room for everything at once, also where compressing makes it longer (ZSTD_COMPRESSBOUND adds less).
    chunkSize: content.length + 1024,
  });
}

/** A number and the bytes that it takes. */
export type Field = readonly [bytes: 2 | 4 | 8, value: number];

export function littleEndian(...fields: readonly Field[]): Buffer {
  const record = Buffer.allocUnsafe(fields.reduce((length, [bytes]) => length + bytes, 0));
  let at = 0;
  for (const [bytes, value] of fields) {
    if (bytes === 8) {
      record.writeUInt32LE(value % 2 ** 32, at);
      record.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
    } else record.writeUIntLE(value, at, bytes);
    at += bytes;
  }
  return record;
}

/** Size words; a large file has too many of them to be arguments. */
export function encodeWords(words: readonly number[]): Buffer {
  const record = Buffer.allocUnsafe(words.length * 4);
  for (const [index, word] of words.entries()) record.writeUInt32LE(word, index * 4);
  return record;
}
