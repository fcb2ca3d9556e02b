import assert from "node:assert/strict";
import { test } from "node:test";
import type { TreeEntry } from "./entry.ts";
import { none } from "./format.ts";
import type { Pack, PackedContent } from "./pack-index.ts";
import { placeContents, type FragmentBlocks } from "./place-contents.ts";

function file(sha256: string, size: number): TreeEntry {
  return { path: sha256, kind: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, size, sha256, xattrs: new Map() };
}

/** Blocks of "a", a fragment with "s" and "t", blocks of "b", a fragment with "u", blocks of "c". */
const lower: Pack = {
  file: "lower",
  contents: new Map([
    ["a", { size: 300_000, start: 0, words: [10, 20, 30], fragment: none, offset: 0 }],
    ["s", { size: 4, start: 0, words: [], fragment: 0, offset: 0 }],
    ["t", { size: 5, start: 0, words: [], fragment: 0, offset: 4 }],
    ["b", { size: 200_000, start: 65, words: [0, 35], fragment: none, offset: 0 }],
    ["u", { size: 6, start: 0, words: [], fragment: 1, offset: 0 }],
    ["c", { size: 200_000, start: 110, words: [1, 2], fragment: none, offset: 0 }],
  ]),
  fragments: [
    { start: 60, word: 5 },
    { start: 100, word: 10 },
  ],
};
const upper: Pack = {
  file: "upper",
  contents: new Map([
    ["n", { size: 150_000, start: 0, words: [7, 8], fragment: none, offset: 0 }],
    ["a", { size: 300_000, start: 15, words: [10, 20, 30], fragment: none, offset: 0 }],
  ]),
  fragments: [],
};

/** As if nothing became smaller by compressing it. */
const blocks: FragmentBlocks = {
  load: async (_pack, { start }) => Buffer.from(start === 60 ? "ssssttttt" : "uuuuuu"),
  store: async (content) => ({ bytes: content, word: content.length }),
};

test("only what files need is copied, and neighbours at once", async () => {
  const entries = [file("c", 200_000), file("t", 5), file("s", 4), file("a", 300_000)];
  const placed = await placeContents(entries, [lower], 96, blocks);
  assert.deepEqual(placed.stretches, [
    { file: "lower", start: 0, length: 65 },
    { file: "lower", start: 110, length: 3 },
  ]);
  assert.deepEqual(placed.fragments, [{ start: 156, word: 5 }]);
  assert.equal(placed.end, 164);
  assert.deepEqual(placed.contents.get("a"), { start: 96, words: [10, 20, 30], fragment: none, offset: 0 });
  assert.deepEqual(placed.contents.get("t"), { start: 0, words: [], fragment: 0, offset: 4 });
  assert.deepEqual(placed.contents.get("c"), { start: 161, words: [1, 2], fragment: none, offset: 0 });
});

test("of a fragment block that holds more than is wanted, that alone is in the image", async () => {
  const other: Pack = {
    ...lower,
    file: "other",
    contents: new Map([
      ["v", { ...(lower.contents.get("u") as PackedContent), size: 3 }],
      ["w", { ...(lower.contents.get("u") as PackedContent), offset: 3 }],
    ]),
  };
  const placed = await placeContents([file("v", 3), file("t", 5), file("a", 300_000)], [lower, other], 96, blocks);
  assert.deepEqual(placed.stretches, [{ file: "lower", start: 0, length: 60 }, { bytes: Buffer.from("tttttuuu") }]);
  assert.deepEqual(placed.fragments, [{ start: 156, word: 8 }]);
  assert.deepEqual(placed.contents.get("t"), { start: 0, words: [], fragment: 0, offset: 0 });
  assert.deepEqual(placed.contents.get("v"), { start: 0, words: [], fragment: 0, offset: 5 });
});

test("fragments are numbered anew, and contents come from the first pack that has them", async () => {
  const entries = [file("u", 6), file("n", 150_000), file("a", 300_000), file("u", 6)];
  const placed = await placeContents(entries, [upper, lower], 100, blocks);
  assert.deepEqual(placed.stretches, [
    { file: "upper", start: 0, length: 75 },
    { file: "lower", start: 100, length: 10 },
  ]);
  assert.deepEqual(placed.fragments, [{ start: 175, word: 10 }]);
  assert.equal(placed.contents.get("u")?.fragment, 0);
  assert.equal(placed.contents.get("a")?.start, 115);
});

test("content that is in no pack, or has another size there, is refused", async () => {
  await assert.rejects(placeContents([file("x", 1)], [lower], 0, blocks), {
    code: "internal",
    message: "the content of /x (x) is in no pack",
  });
  await assert.rejects(
    placeContents([file("a", 1)], [lower], 0, blocks),
    /\/a has 1 bytes, its content in lower has 300000/,
  );
});
