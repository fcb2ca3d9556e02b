import { NetkilnError } from "../../../lib/errors.ts";
import { toText } from "../../tree/byte-paths.ts";
import type { TreeEntry } from "./entry.ts";
import { dataBlockSize, none, storedLength, type StoredBlock } from "./format.ts";
import type { Pack, PackedContent, PackedFragment } from "./pack-index.ts";

/** Which parts of packs an image is made of, and where what it needs of them comes to stand. */
export interface PlacedContents {
  /** Copied one after the other. */
  readonly stretches: readonly Stretch[];
  /** Where the last of them ends. */
  readonly end: number;
  readonly fragments: readonly PackedFragment[];
  /** By sha256 of the content. */
  readonly contents: ReadonlyMap<string, PlacedContent>;
}

/** A part of a pack, or bytes that are in none. */
export type Stretch = CopiedStretch | { readonly bytes: Buffer };

export interface CopiedStretch {
  readonly file: string;
  readonly start: number;
  readonly length: number;
}

/** What is done to a fragment block of which an image wants a part. */
export interface FragmentBlocks {
  /** What is in one, decompressed. */
  load(pack: Pack, fragment: PackedFragment): Promise<Buffer>;
  store(content: Buffer): Promise<StoredBlock>;
}

/** The same as in a pack, with places and fragments of the image. */
export type PlacedContent = Omit<PackedContent, "size">;

/**
 * The contents of the files among `entries`, from the first pack that has them, in the order of the packs. Nothing else
 * comes along: of a fragment block that holds more, what is wanted is gathered in new ones behind all others, so that
 * what a layer hides is not in the image.
 */
export async function placeContents(
  entries: readonly TreeEntry[],
  packs: readonly Pack[],
  from: number,
  blocks: FragmentBlocks,
): Promise<PlacedContents> {
  const wanted = new Set<string>();
  const byPack = new Map(packs.map((pack) => [pack, new Set<string>()]));
  for (const entry of entries) {
    if (entry.kind !== "file" || entry.size === 0 || wanted.has(entry.sha256 ?? "")) continue;
    const { pack, sha256 } = find(entry, packs);
    wanted.add(sha256);
    byPack.get(pack)?.add(sha256);
  }
  const place = openPlaces(from);
  const parts: Part[] = [];
  for (const [pack, used] of byPack) {
    const broken = brokenFragments(pack, used);
    const [whole, loose] = partition([...used], (sha256) => {
      const { fragment } = pack.contents.get(sha256) as PackedContent;
      return !broken.has(fragment);
    });
    placeWhole(pack, new Set(whole), place);
    for await (const part of partsOf(pack, loose, blocks)) parts.push(part);
  }
  await gather(parts, place, blocks);
  return place.end();
}

/** The fragment blocks of which something, and not all, is used. */
function brokenFragments(pack: Pack, used: ReadonlySet<string>): ReadonlySet<number> {
  const touched = new Set([...used].map((sha256) => pack.contents.get(sha256)?.fragment ?? none));
  const broken = new Set<number>();
  for (const [sha256, { fragment }] of pack.contents) {
    if (fragment !== none && touched.has(fragment) && !used.has(sha256)) broken.add(fragment);
  }
  return broken;
}

function partition<T>(values: readonly T[], test: (value: T) => boolean): [T[], T[]] {
  const { yes = [], no = [] } = Object.groupBy(values, (value) => (test(value) ? "yes" : "no"));
  return [yes, no];
}

/** Notes where everything comes to stand, one after the other. */
function openPlaces(from: number) {
  const stretches: Stretch[] = [];
  const fragments: PackedFragment[] = [];
  const contents = new Map<string, PlacedContent>();
  let end = from;
  return {
    /** Returns where it begins. */
    add: (stretch: Stretch): number => {
      const start = end;
      joinTo(stretches, stretch);
      end += "bytes" in stretch ? stretch.bytes.length : stretch.length;
      return start;
    },
    /** Returns its number. */
    addFragment: (fragment: PackedFragment): number => fragments.push(fragment) - 1,
    put: (sha256: string, content: PlacedContent) => void contents.set(sha256, content),
    end: (): PlacedContents => ({ stretches, end, fragments, contents }),
  };
}

type Places = ReturnType<typeof openPlaces>;

function placeWhole(pack: Pack, used: ReadonlySet<string>, place: Places): void {
  const starts = new Map<number, number>();
  const numbers = new Map<number, number>();
  for (const { start, length, fragment } of blocksOf(pack, used)) {
    const at = place.add({ file: pack.file, start, length });
    starts.set(start, at);
    if (fragment === none) continue;
    numbers.set(fragment, place.addFragment({ start: at, word: pack.fragments[fragment]?.word ?? 0 }));
  }
  for (const sha256 of used) {
    const { start, words, fragment, offset } = pack.contents.get(sha256) as PackedContent;
    const at = words.length === 0 ? 0 : (starts.get(start) ?? 0);
    place.put(sha256, { start: at, words, fragment: numbers.get(fragment) ?? none, offset });
  }
}

/** A small content by itself. */
interface Part {
  readonly sha256: string;
  readonly content: Buffer;
}

/** Takes contents out of their fragment blocks, in the order in which they are there. */
async function* partsOf(pack: Pack, loose: readonly string[], blocks: FragmentBlocks): AsyncGenerator<Part> {
  const byFragment = Map.groupBy(loose, (sha256) => pack.contents.get(sha256)?.fragment ?? none);
  for (const [number, names] of [...byFragment].sort(([a], [b]) => a - b)) {
    const block = await blocks.load(pack, pack.fragments[number] as PackedFragment);
    yield* names
      .map((sha256) => ({ sha256, ...(pack.contents.get(sha256) as PackedContent) }))
      .sort((a, b) => a.offset - b.offset)
      .map(({ sha256, offset, size }) => ({ sha256, content: Buffer.from(block.subarray(offset, offset + size)) }));
  }
}

async function gather(parts: readonly Part[], place: Places, blocks: FragmentBlocks): Promise<void> {
  let gathered: Part[] = [];
  let length = 0;
  const end = async () => {
    if (length === 0) return;
    const { bytes, word } = await blocks.store(Buffer.concat(gathered.map(({ content }) => content)));
    const fragment = place.addFragment({ start: place.add({ bytes }), word });
    let offset = 0;
    for (const { sha256, content } of gathered) {
      place.put(sha256, { start: 0, words: [], fragment, offset });
      offset += content.length;
    }
    gathered = [];
    length = 0;
  };
  for (const part of parts) {
    if (length + part.content.length > dataBlockSize) await end();
    gathered.push(part);
    length += part.content.length;
  }
  await end();
}

function find(entry: TreeEntry, packs: readonly Pack[]) {
  const { path, sha256 = "", size } = entry;
  const pack = packs.find(({ contents }) => contents.has(sha256));
  const content = pack?.contents.get(sha256);
  if (pack === undefined || content === undefined) {
    throw new NetkilnError("internal", `the content of /${toText(path)} (${sha256}) is in no pack`);
  }
  if (content.size !== size) {
    const text = `/${toText(path)} has ${size} bytes, its content in ${pack.file} has ${content.size}`;
    throw new NetkilnError("internal", text);
  }
  return { pack, sha256 };
}

interface UsedBlocks {
  readonly start: number;
  readonly length: number;
  /** When it is a fragment block: its number in the pack. */
  readonly fragment: number;
}

/** All blocks of a pack that some of its contents need, in the order in which they are in it. */
function blocksOf(pack: Pack, used: ReadonlySet<string>): UsedBlocks[] {
  const contents = [...used].map((sha256) => pack.contents.get(sha256) as PackedContent);
  const own = contents
    .map(({ start, words }) => ({
      start,
      length: words.reduce((length, word) => length + storedLength(word), 0),
      fragment: none,
    }))
    .filter(({ length }) => length > 0);
  const numbers = new Set(contents.map(({ fragment }) => fragment));
  const shared = [...numbers].flatMap((number) => {
    const fragment = pack.fragments[number];
    if (fragment === undefined) return [];
    return [{ start: fragment.start, length: storedLength(fragment.word), fragment: number }];
  });
  return [...own, ...shared].sort((a, b) => a.start - b.start);
}

/** What follows on the last stretch in the same pack is copied with it. */
function joinTo(stretches: Stretch[], next: Stretch): void {
  const last = stretches.at(-1);
  const isCopied = last !== undefined && "file" in last && "file" in next;
  if (isCopied && last.file === next.file && last.start + last.length === next.start) {
    stretches[stretches.length - 1] = { ...last, length: last.length + next.length };
  } else stretches.push(next);
}
