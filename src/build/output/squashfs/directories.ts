import { toBuffer, type BytePath } from "../../tree/byte-paths.ts";
import { littleEndian } from "./format.ts";
import { metadataBlockSize, type Metadata, type Reference } from "./metadata.ts";

/** A name in a folder, and the inode that it stands for. */
export interface Name {
  readonly name: BytePath;
  /** Number of the inode, and where it is in the table of inodes. */
  readonly number: number;
  readonly reference: Reference;
  /** The number of the basic type. */
  readonly type: number;
}

/** The names of a folder, as they were written. */
export interface Listing {
  readonly start: Reference;
  /** Bytes before compression. */
  readonly size: number;
  /** The first name in each block of metadata after the first, by which a name is found without reading all. */
  readonly index: readonly IndexEntry[];
}

interface IndexEntry {
  /** Where its header is, from the beginning of the listing. */
  readonly position: number;
  /** The block of metadata with that header. */
  readonly block: number;
  readonly name: BytePath;
}

const headerSize = 12;
const mostPerHeader = 256;

/** Writes the names of one folder, which are in the order of their bytes. */
export function writeListing(names: readonly Name[], table: Metadata): Listing {
  const from = table.position;
  const index: IndexEntry[] = [];
  let start: Reference = { block: 0, offset: 0 };
  let lastBlock = blockAt(from);
  for (let done = 0; done < names.length;) {
    const position = table.position;
    const run = runAt(names, done, position);
    const reference = table.append(encodeRun(run));
    if (done === 0) start = reference;
    else if (blockAt(position) !== lastBlock) {
      index.push({ position: position - from, block: reference.block, name: run[0].name });
    }
    lastBlock = blockAt(position);
    done += run.length;
  }
  return { start, size: table.position - from, index };
}

function blockAt(position: number): number {
  return Math.floor(position / metadataBlockSize);
}

type Run = readonly [Name, ...Name[]];

/**
 * The names from one on that can stand under one header. It holds the inodes' block and the first one's number, from
 * which those of the others differ by 16 bits at most. Where a block of metadata is full, a new header lets the index
 * point at it.
 */
function runAt(names: readonly Name[], first: number, position: number): Run {
  const [head, ...rest] = names.slice(first, first + mostPerHeader) as [Name, ...Name[]];
  let at = position + headerSize + sizeOf(head);
  const end = rest.findIndex((name) => {
    const difference = name.number - head.number;
    const fits = name.reference.block === head.reference.block && difference >= -0x8000 && difference <= 0x7fff;
    const ends = !fits || blockAt(at) !== blockAt(position);
    at += sizeOf(name);
    return ends;
  });
  return [head, ...(end < 0 ? rest : rest.slice(0, end))];
}

function sizeOf({ name }: Name): number {
  return 8 + name.length;
}

function encodeRun(run: Run): Buffer {
  const [{ reference, number }] = run;
  const names = run.flatMap((name) => [
    littleEndian(
      [2, name.reference.offset],
      [2, (name.number - number) & 0xffff],
      [2, name.type],
      [2, name.name.length - 1],
    ),
    toBuffer(name.name),
  ]);
  return Buffer.concat([littleEndian([4, run.length - 1], [4, reference.block], [4, number]), ...names]);
}

/** The index as it follows the inode of a folder. */
export function encodeIndex(index: readonly IndexEntry[]): Buffer {
  return Buffer.concat(
    index.flatMap(({ position, block, name }) => [
      littleEndian([4, position], [4, block], [4, name.length - 1]),
      toBuffer(name),
    ]),
  );
}
