import type { BytePath } from "../../tree/byte-paths.ts";
import { dataBlockSize } from "./format.ts";

/** A regular file whose content is to be stored. */
export interface ContentFile {
  readonly sha256: string;
  readonly size: number;
  /** Where it is on this machine, absolute. */
  readonly place: BytePath;
}

/** A part of a file. */
export interface Piece extends ContentFile {
  readonly from: number;
  readonly length: number;
}

/** A block before it is stored; all that is needed to make it, so that each can be made on its own. */
export interface PlannedBlock {
  /** One, or of a fragment block the whole contents of small files. */
  readonly pieces: readonly Piece[];
  readonly isFragment: boolean;
  /** The sum of the pieces' lengths, at most one block. */
  readonly length: number;
}

/** What will be in which block follows from the sizes of the files and their order alone. */
export function planBlocks(files: readonly ContentFile[]): readonly PlannedBlock[] {
  const blocks: PlannedBlock[] = [];
  const seen = new Set<string>();
  let gathered: Piece[] = [];
  let length = 0;
  const endFragment = () => {
    if (length > 0) blocks.push({ pieces: gathered, isFragment: true, length });
    gathered = [];
    length = 0;
  };
  for (const file of files) {
    if (file.size === 0 || seen.has(file.sha256)) continue;
    seen.add(file.sha256);
    if (file.size >= dataBlockSize) {
      for (const block of blocksOf(file)) blocks.push(block);
      continue;
    }
    if (length + file.size > dataBlockSize) endFragment();
    gathered.push({ ...file, from: 0, length: file.size });
    length += file.size;
  }
  endFragment();
  return blocks;
}

function blocksOf(file: ContentFile): PlannedBlock[] {
  return Array.from({ length: Math.ceil(file.size / dataBlockSize) }, (_, number) => {
    const from = number * dataBlockSize;
    const length = Math.min(dataBlockSize, file.size - from);
    return { pieces: [{ ...file, from, length }], isFragment: false, length };
  });
}
