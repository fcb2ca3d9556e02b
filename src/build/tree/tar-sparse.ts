/**
 * Files with holes: an archive has the pieces between them, and a map that says where each belongs. GNU's old format
 * has the map in headers of its own, and there are three versions for extended headers
 * (https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html).
 *
 * GNU tar goes on behind the pieces that the map names, and not behind the bytes that the header counts. So the two
 * have to agree, or what is content to one reader is headers to another.
 */
import type { ByteReader } from "../../lib/byte-reader.ts";
import type { BytePath } from "./byte-paths.ts";
import { decimal, largestMetadata, numberIn, takeAll, TarFault } from "./tar-fields.ts";
import { blockSize, padded } from "./tar.ts";

/** What extended headers say of a file with holes. */
export interface SparseRecords {
  /** The true name; the header has another, for readers that know nothing of holes. */
  readonly name?: BytePath;
  /** Bytes of each piece; undefined where the content begins with the map. */
  readonly pieces: readonly number[] | undefined;
}

/** From the records whose keys begin with `GNU.sparse.`, in their order and without that beginning. */
export function parseSparse(records: readonly (readonly [key: string, value: string])[]): SparseRecords {
  const { name, map, major, minor } = Object.fromEntries(records) as Readonly<Record<string, string | undefined>>;
  const named = name === undefined ? {} : { name };
  const pairs = records.filter(([key]) => key === "offset" || key === "numbytes");
  if (major !== undefined || minor !== undefined) {
    if (major !== "1" || minor !== "0" || map !== undefined || pairs.length > 0) throw malformed();
    return { ...named, pieces: undefined };
  }
  if ((map === undefined) === (pairs.length === 0)) throw malformed();
  if (pairs.some(([key], index) => key !== (index % 2 === 0 ? "offset" : "numbytes"))) throw malformed();
  return { ...named, pieces: sizesIn(map?.split(",") ?? pairs.map(([, value]) => value)) };
}

/** Offset and size of each piece in turn. */
function sizesIn(numbers: readonly string[]): number[] {
  if (numbers.length % 2 !== 0) throw malformed();
  return numbers.map((digits) => decimal(digits, "map of a sparse file")).filter((_, index) => index % 2 === 1);
}

/** The map of the old format: four pieces have room in the header, and 21 in each block that follows it. */
export async function readMapBehind(header: Buffer, bytes: ByteReader): Promise<number[]> {
  const pieces: number[] = [];
  let ended = takePieces(header.subarray(386, 482), pieces);
  for (let more = header[482] !== 0; more;) {
    // GNU tar reads no further block when the map has ended before.
    if (ended) throw malformed();
    const block = await takeAll(bytes, blockSize, "a header");
    ended = takePieces(block.subarray(0, 504), pieces);
    more = block[504] !== 0;
  }
  return pieces;
}

/** Offset and size have twelve bytes each; returns whether the map ends here. */
function takePieces(map: Buffer, pieces: number[]): boolean {
  for (let at = 12; at < map.length; at += 24) {
    if (map[at] === 0) return true;
    const size = numberIn(map.subarray(at, at + 12));
    if (size === undefined) throw malformed();
    pieces.push(size);
  }
  return false;
}

/**
 * The map before a content of `size` bytes in all: how many pieces there are, and offset and size of each, a line for
 * each number. It fills up its last block; `mapSize` is with that.
 */
export async function readMapInContent(
  bytes: ByteReader,
  size: number,
): Promise<{ readonly pieces: number[]; readonly mapSize: number }> {
  const lines: string[] = [];
  let mapSize = 0;
  let wanted = 1;
  for (let line = ""; lines.length < wanted;) {
    if (mapSize >= Math.min(size, largestMetadata)) throw malformed();
    const block = await takeAll(bytes, blockSize, "the content of an entry");
    mapSize += blockSize;
    const [last = "", ...whole] = `${line}${block.toString("latin1")}`.split("\n").reverse();
    line = last;
    lines.push(...whole.reverse());
    if (lines[0] !== undefined) wanted = 1 + 2 * decimal(lines[0], "map of a sparse file");
  }
  if (lines.length > wanted) throw malformed();
  return { pieces: sizesIn(lines.slice(1)), mapSize };
}

/** Throws when the pieces of a file have not the bytes that its header counts. */
export function requirePieces(pieces: readonly number[], size: number): void {
  // Each piece begins a block of its own.
  const stored = pieces.reduce((sum, piece) => sum + padded(piece), 0);
  if (stored !== padded(size)) throw new TarFault("the map of a sparse file and its size do not agree");
}

function malformed(): TarFault {
  return new TarFault("it has a malformed map of a sparse file");
}
