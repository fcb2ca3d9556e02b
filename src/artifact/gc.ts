/**
 * Mark and sweep over what is stored by digest. Marking is conservative: a sha256 that stands anywhere in a root, or in
 * a text that a root leads to, keeps what is stored under it, whatever kind of reference it is. So a new kind of
 * document needs no change here, and nothing is lost by forgetting one.
 */
import type { BlobStore } from "./store.ts";

/** Something stored that can be taken away. */
export interface Stored {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** When it was stored, or stored again, in milliseconds since 1970. */
  readonly modified: number;
}

/** A place whose content is removed when nothing leads to it. */
export interface Sweepable {
  list(): AsyncIterable<Stored>;
  /**
   * Removes what was stored before that time, wholly or not at all, also when this process is killed on the way;
   * false when it is gone, or was stored again since.
   */
  remove(name: string, before: number): Promise<boolean>;
}

/** Something that keeps what its text names. */
export interface Root {
  /** Of what it stands for: an image's id. */
  readonly id: string;
  /** What an operator calls it: `image compute-1.0.0 (ID)`. */
  readonly name: string;
  /** Why it is one, in sentences about "it". */
  readonly because: readonly string[];
  readonly text: string;
}

/** What is kept, by its digest, with the roots that lead to it. */
export type Marks = ReadonlyMap<string, readonly Root[]>;

export async function mark(
  roots: readonly Root[],
  references: (digest: string) => Promise<readonly string[]>,
): Promise<Marks> {
  const marks = new Map<string, Root[]>();
  for (const root of roots) {
    const reached = new Set(digestsIn(root.text));
    // A set that grows while it is gone through is gone through to its new end.
    for (const digest of reached) {
      const others = marks.get(digest);
      if (others === undefined) marks.set(digest, [root]);
      else others.push(root);
      for (const inner of await references(digest)) reached.add(inner);
    }
  }
  return marks;
}

const digestPattern = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;

/** Every sha256 in a text, in lower-case hexadecimal. */
export function digestsIn(text: string): string[] {
  return text.match(digestPattern) ?? [];
}

/** A digest that begins in one piece of a stream and ends in the next is seen with so much of the first one. */
const overlap = 65;
/** What has no zero byte within its first so many bytes is taken for text; formats of files and compressions have one. */
const binaryProbe = 4096;

/**
 * What the blob of a digest refers to, when it is a text: a manifest, an index, a list of packages. Answers are
 * remembered, as a blob never changes.
 */
export function openReferences(blobs: Pick<BlobStore, "has" | "read">): (digest: string) => Promise<readonly string[]> {
  const known = new Map<string, Promise<readonly string[]>>();
  const read = async (digest: string): Promise<readonly string[]> => {
    if (!(await blobs.has(digest))) return [];
    const found = new Set<string>();
    let tail: string | undefined;
    for await (const chunk of blobs.read(digest) as AsyncIterable<Buffer>) {
      if (tail === undefined && chunk.subarray(0, binaryProbe).includes(0)) return [];
      const text: string = (tail ?? "") + chunk.toString("latin1");
      // What touches the end may go on, so it counts with the next piece.
      for (const match of text.matchAll(digestPattern)) {
        if (match.index + match[0].length < text.length) found.add(match[0]);
      }
      tail = text.slice(-overlap);
    }
    for (const last of digestsIn(tail ?? "")) found.add(last);
    return [...found];
  };
  return (digest) => {
    const answer = known.get(digest) ?? read(digest);
    known.set(digest, answer);
    return answer;
  };
}

/** What a sweep would do with a place. */
export interface Sorted {
  /** Nothing leads to it. */
  readonly condemned: readonly Stored[];
  /** Nothing leads to it yet: a pointer to it may be about to be written. */
  readonly young: readonly Stored[];
  readonly kept: readonly Stored[];
}

/** Sorts what is stored by what becomes of it; what was stored at `before` or later is never condemned. */
export async function sort(
  place: Pick<Sweepable, "list">,
  isKept: (name: string) => boolean,
  before: number,
): Promise<Sorted> {
  const sorted = { condemned: [] as Stored[], young: [] as Stored[], kept: [] as Stored[] };
  for await (const stored of place.list()) {
    const where = isKept(stored.name) ? "kept" : stored.modified < before ? "condemned" : "young";
    sorted[where].push(stored);
  }
  return sorted;
}
