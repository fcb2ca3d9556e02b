import { closeSync, openSync, writeSync } from "node:fs";
import { availableParallelism } from "node:os";
import { compressJobs } from "./compress-jobs.ts";
import { none, storedLength } from "./format.ts";
import { encodePackIndex, type PackedContent, type PackedFragment } from "./pack-index.ts";
import { planBlocks, type ContentFile, type PlannedBlock } from "./plan-blocks.ts";

export interface PackOptions {
  /** Of zstd. */
  readonly level: number;
  /** That compress at the same time; as many as there are processors when not given. The pack is the same. */
  readonly threads?: number;
}

/**
 * Stores the contents of files in a content pack (pack-index.ts), which may not be there yet. Contents of less than a
 * block are gathered in fragment blocks, in the order of `files`; of files with the same sha256 the first is read.
 * Throws `internal` when a file has not the size that it should have. Whoever wants to stay free calls it in a
 * process of its own (inside/pack-content.ts).
 */
export async function packContent(
  files: readonly ContentFile[],
  pack: string,
  { level, threads = availableParallelism() }: PackOptions,
): Promise<{ readonly size: number }> {
  const blocks = planBlocks(files);
  const index = openIndex();
  const output = openSync(pack, "wx");
  let next = 0;
  try {
    await compressJobs(jobsOf(blocks), { level, threads }, ({ words, bytes }) => {
      writeAll(output, bytes);
      for (const word of words) {
        index.add(blocks[next] as PlannedBlock, word);
        next += 1;
      }
    });
    const end = index.end();
    writeAll(output, end);
    return { size: index.position() + end.length };
  } finally {
    closeSync(output);
  }
}

/** Large enough that handing it over costs little; a worker has two, so little memory is needed. */
const bytesPerJob = 1 << 20;
const piecesPerJob = 256;

function jobsOf(blocks: readonly PlannedBlock[]): PlannedBlock[][] {
  const jobs: PlannedBlock[][] = [];
  let [bytes, pieces] = [Infinity, 0];
  for (const block of blocks) {
    if (bytes >= bytesPerJob || pieces >= piecesPerJob) {
      jobs.push([]);
      [bytes, pieces] = [0, 0];
    }
    jobs.at(-1)?.push(block);
    bytes += block.length;
    pieces += block.pieces.length;
  }
  return jobs;
}

function writeAll(output: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(output, bytes, done);
}

/** Notes where each block comes to stand, one after the other. */
function openIndex() {
  const contents = new Map<string, PackedContent & { words: number[] }>();
  const fragments: PackedFragment[] = [];
  let position = 0;
  return {
    add: ({ pieces, isFragment }: PlannedBlock, word: number) => {
      let offset = 0;
      for (const { sha256, size, length } of pieces) {
        if (isFragment) contents.set(sha256, { size, start: 0, words: [], fragment: fragments.length, offset });
        else {
          const content = contents.get(sha256) ?? { size, start: position, words: [], fragment: none, offset: 0 };
          content.words.push(word);
          contents.set(sha256, content);
        }
        offset += length;
      }
      if (isFragment) fragments.push({ start: position, word });
      position += storedLength(word);
    },
    position: () => position,
    end: () => encodePackIndex({ contents, fragments }, position),
  };
}
