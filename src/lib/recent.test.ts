import assert from "node:assert/strict";
import { test } from "node:test";
import { Recent } from "./recent.ts";

test("what was used longest ago goes first, when all together is too heavy", () => {
  const recent = new Recent<string>(10);
  recent.put("a", "A", 4);
  recent.put("b", "B", 4);
  assert.equal(recent.get("a"), "A");
  recent.put("c", "C", 4);
  assert.deepEqual(
    ["a", "b", "c"].map((key) => recent.get(key)),
    ["A", undefined, "C"],
  );
});

test("a value takes the place of the one before, with its weight", () => {
  const recent = new Recent<string>(10);
  recent.put("a", "A", 9);
  recent.put("a", "AA", 2);
  recent.put("b", "B", 8);
  assert.deepEqual([recent.get("a"), recent.get("b")], ["AA", "B"]);
});

test("what is too heavy by itself is not kept", () => {
  const recent = new Recent<string>(10);
  recent.put("a", "A", 11);
  assert.equal(recent.get("a"), undefined);
  recent.put("b", "B", 10);
  assert.equal(recent.get("b"), "B");
});
