import { compress, littleEndian } from "./format.ts";

/** Metadata are one stream of records, cut into blocks of this size, which are compressed one by one. */
export const metadataBlockSize = 8192;
/** In the two bytes before each block, which tell its length: it is not compressed. */
const notCompressed = 0x8000;

/** Where a record begins. */
export interface Reference {
  /** Of the block on disk, from the beginning of the table. */
  readonly block: number;
  /** In the block, decompressed. */
  readonly offset: number;
}

/** As one number of 64 bits. */
export function asNumber({ block, offset }: Reference): number {
  return block * 65_536 + offset;
}

export interface Metadata {
  /** Bytes in the stream so far, before compression. */
  readonly position: number;
  /** Adds a record, which may go on in the next block. */
  append(record: Buffer): Reference;
  /** The table with all that was added; nothing may be added after. */
  end(): Buffer;
}

export function openMetadata(level: number): Metadata {
  const blocks: Buffer[] = [];
  const current = Buffer.alloc(metadataBlockSize);
  let stored = 0;
  let used = 0;
  let position = 0;
  const flush = () => {
    const block = storeMetadata(current.subarray(0, used), level);
    blocks.push(block);
    stored += block.length;
    used = 0;
  };
  return {
    get position() {
      return position;
    },
    append: (record) => {
      const reference = { block: stored, offset: used };
      for (let done = 0; done < record.length;) {
        const copied = record.copy(current, used, done);
        used += copied;
        done += copied;
        // At once when it is full, so that what comes next is never told to be at the end of this block.
        if (used === metadataBlockSize) flush();
      }
      position += record.length;
      return reference;
    },
    end: () => {
      if (used > 0) flush();
      return Buffer.concat(blocks);
    },
  };
}

/** One block with its length before it. */
function storeMetadata(content: Buffer, level: number): Buffer {
  const compressed = compress(content, level);
  return compressed.length < content.length
    ? Buffer.concat([littleEndian([2, compressed.length]), compressed])
    : plainMetadata(content);
}

/** The same without compressing, as the compressor's own options have to be. */
export function plainMetadata(content: Buffer): Buffer {
  return Buffer.concat([littleEndian([2, content.length | notCompressed]), Buffer.from(content)]);
}

export interface LookupTable {
  readonly bytes: Buffer;
  /** Where the list of its blocks begins in the image, by which the table is found. */
  readonly start: number;
}

/**
 * A table of records of one size, to be looked up by number: blocks of metadata, and then the places of these blocks
 * in the image. `heading` stands before that list, and belongs to it.
 */
export function lookupTable(
  records: readonly Buffer[],
  place: number,
  level: number,
  heading: Buffer = Buffer.alloc(0),
): LookupTable {
  const content = Buffer.concat(records);
  const blocks: Buffer[] = [];
  const places: Buffer[] = [];
  let at = place;
  for (let from = 0; from < content.length; from += metadataBlockSize) {
    const block = storeMetadata(content.subarray(from, from + metadataBlockSize), level);
    places.push(littleEndian([8, at]));
    blocks.push(block);
    at += block.length;
  }
  return { bytes: Buffer.concat([...blocks, heading, ...places]), start: at };
}
