import assert from "node:assert/strict";
import { test } from "node:test";
import { dataBlockSize } from "./format.ts";
import { planBlocks } from "./plan-blocks.ts";

test("a file of 20 GiB has its blocks", () => {
  const size = 20 * 2 ** 30 + 1;
  const blocks = planBlocks([{ sha256: "0".repeat(64), size, place: "/large" }]);
  assert.equal(blocks.length, Math.ceil(size / dataBlockSize));
  assert.deepEqual([blocks.at(-1)?.pieces[0]?.from, blocks.at(-1)?.length], [size - 1, 1]);
});
