import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { NetkilnError } from "../../../lib/errors.ts";
import { encodeWords, littleEndian } from "./format.ts";

/**
 * A content pack is one file: stored blocks, and after them an index of what they hold, with these parts:
 *
 * - fragments: where each begins (8 bytes) and its size word (4)
 * - contents: sha256 (32), size (8), start (8), number of the fragment (4), offset in it (4), number of blocks (4)
 * - the size words of all blocks (4 each), in the order of the contents
 * - the trailer: magic (8), version (4), numbers of fragments, contents and words (4 each), where the index begins (8)
 */
export interface Pack {
  readonly file: string;
  /** By sha256 of the content. */
  readonly contents: ReadonlyMap<string, PackedContent>;
  readonly fragments: readonly PackedFragment[];
}

/** Content in blocks of its own, or as a part of a fragment block. */
export interface PackedContent {
  readonly size: number;
  /** Where the first block is in the pack. */
  readonly start: number;
  /** The size words of its blocks. */
  readonly words: readonly number[];
  /** Number of the fragment block, or `none`. */
  readonly fragment: number;
  /** Where the content begins in it, decompressed. */
  readonly offset: number;
}

export interface PackedFragment {
  readonly start: number;
  readonly word: number;
}

const magic = Buffer.from("nkilnpck");
const version = 1;
const fragmentSize = 12;
const contentSize = 60;
const wordSize = 4;
const trailerSize = 32;

/** What follows the blocks of a pack; `start` is where they end. */
export function encodePackIndex({ contents, fragments }: Omit<Pack, "file">, start: number): Buffer {
  const all = [...contents];
  const words = all.map(([, content]) => encodeWords(content.words));
  const wordCount = all.reduce((count, [, content]) => count + content.words.length, 0);
  return Buffer.concat([
    ...fragments.map((fragment) => littleEndian([8, fragment.start], [4, fragment.word])),
    ...all.flatMap(([sha256, { size, start, fragment, offset, words }]) => [
      Buffer.from(sha256, "hex"),
      littleEndian([8, size], [8, start], [4, fragment], [4, offset], [4, words.length]),
    ]),
    ...words,
    magic,
    littleEndian([4, version], [4, fragments.length], [4, all.length], [4, wordCount], [8, start]),
  ]);
}

/** Reads what a pack holds. Throws `internal` when the file is not a whole pack. */
export function openPack(file: string): Pack {
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    const trailer = readAt(descriptor, Math.max(0, size - trailerSize), Math.min(size, trailerSize));
    if (trailer.length < trailerSize || !trailer.subarray(0, 8).equals(magic) || trailer.readUInt32LE(8) !== version) {
      throw notWhole(file);
    }
    const counts = [trailer.readUInt32LE(12), trailer.readUInt32LE(16), trailer.readUInt32LE(20)] as const;
    const start = Number(trailer.readBigUInt64LE(24));
    const [fragments, contents, words] = counts;
    const length = fragments * fragmentSize + contents * contentSize + words * wordSize;
    if (start + length + trailerSize !== size) throw notWhole(file);
    return { file, ...decode(readAt(descriptor, start, length), fragments, contents) };
  } finally {
    closeSync(descriptor);
  }
}

function notWhole(file: string): NetkilnError {
  return new NetkilnError("internal", `${file} is not a whole content pack`);
}

function readAt(descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let done = 0;
  for (let read = -1; read !== 0 && done < length; done += read) {
    read = readSync(descriptor, bytes, done, length - done, position + done);
  }
  return bytes.subarray(0, done);
}

function decode(index: Buffer, fragmentCount: number, contentCount: number): Omit<Pack, "file"> {
  const fragments = Array.from({ length: fragmentCount }, (_, number) => {
    const at = number * fragmentSize;
    return { start: Number(index.readBigUInt64LE(at)), word: index.readUInt32LE(at + 8) };
  });
  const contents = new Map<string, PackedContent>();
  let at = fragmentCount * fragmentSize;
  let wordAt = at + contentCount * contentSize;
  for (let number = 0; number < contentCount; number += 1, at += contentSize) {
    const words = Array.from({ length: index.readUInt32LE(at + 56) }, (_, word) =>
      index.readUInt32LE(wordAt + word * wordSize),
    );
    wordAt += words.length * wordSize;
    contents.set(index.toString("hex", at, at + 32), {
      size: Number(index.readBigUInt64LE(at + 32)),
      start: Number(index.readBigUInt64LE(at + 40)),
      fragment: index.readUInt32LE(at + 48),
      offset: index.readUInt32LE(at + 52),
      words,
    });
  }
  return { contents, fragments };
}
