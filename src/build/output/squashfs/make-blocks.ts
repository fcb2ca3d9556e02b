import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { NetkilnError } from "../../../lib/errors.ts";
import { toBuffer, toText, type BytePath } from "../../tree/byte-paths.ts";
import { dataBlockSize, storeBlock } from "./format.ts";
import type { Piece, PlannedBlock } from "./plan-blocks.ts";

/** Stored blocks. */
export interface MadeBlocks {
  /** Their size words. */
  readonly words: readonly number[];
  /** All of them, without gaps. */
  readonly bytes: Uint8Array;
}

const content = Buffer.alloc(dataBlockSize);
const zeros = Buffer.alloc(dataBlockSize);

/** Reads files and makes blocks of them. Throws `internal` when a file has not the size that it should have. */
export function makeBlocks(blocks: readonly PlannedBlock[], level: number): MadeBlocks {
  // A stored block is never longer than what it is made of. Not from Node's pool, so that it can be handed over.
  const bytes = Buffer.allocUnsafeSlow(blocks.reduce((length, block) => length + block.length, 0));
  const words: number[] = [];
  let used = 0;
  for (const block of blocks) {
    const stored = makeBlock(block, level);
    bytes.set(stored.bytes, used);
    used += stored.bytes.length;
    words.push(stored.word);
  }
  return { words, bytes: bytes.subarray(0, used) };
}

function makeBlock({ pieces, isFragment, length }: PlannedBlock, level: number) {
  let at = 0;
  for (const piece of pieces) {
    readPiece(piece, at);
    at += piece.length;
  }
  const block = content.subarray(0, length);
  // Only blocks of files can be holes; a fragment block has to be there.
  const isHole = !isFragment && block.equals(zeros.subarray(0, length));
  return isHole ? { bytes: Buffer.alloc(0), word: 0 } : storeBlock(block, level);
}

function readPiece({ place, from, length, size }: Piece, at: number): void {
  const file = openLayerFile(place);
  try {
    const found = fstatSync(file).size;
    if (found !== size) throw changed(place, `has ${found} bytes; it had ${size} when it was listed`);
    for (let done = 0; done < length;) {
      const read = readSync(file, content, at + done, length - done, from + done);
      if (read === 0) throw changed(place, "became shorter while it was read");
      done += read;
    }
  } finally {
    closeSync(file);
  }
}

function changed(place: BytePath, how: string): NetkilnError {
  return new NetkilnError("internal", `${toText(place)} ${how}`);
}

function openLayerFile(place: BytePath): number {
  try {
    return openSync(toBuffer(place), "r");
  } catch (error) {
    throw changed(place, `cannot be read any more: ${(error as Error).message}`);
  }
}
