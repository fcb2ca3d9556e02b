import assert from "node:assert/strict";
import { test } from "node:test";
import { applyLimit, namesInLimit } from "./limit.ts";

const names = new Map([
  ...["x1", "x2", "x3", "x4"].map((xname) => [xname, new Set([xname])] as const),
  ["green", new Set(["x1", "x2"])],
  ["gpu", new Set(["x2", "x3"])],
  ["Compute", new Set(["x1", "x2", "x3"])],
  ["Application", new Set(["x4"])],
  ["Application_UAN", new Set(["x4"])],
]);
const candidates = new Set(["x1", "x2", "x3", "x4"]);

const table: readonly (readonly [limit: string, chosen: string])[] = [
  ["", "x1 x2 x3 x4"],
  ["all", "x1 x2 x3 x4"],
  ["*", "x1 x2 x3 x4"],
  ["x1", "x1"],
  ["x1,x3", "x1 x3"],
  ["green", "x1 x2"],
  ["green,gpu", "x1 x2 x3"],
  ["green,&gpu", "x2"],
  ["green,!gpu", "x1"],
  ["all,!gpu", "x1 x4"],
  ["*,!Compute", "x4"],
  ["Application_UAN", "x4"],
  // From left to right: nothing binds tighter than anything else.
  ["x1,&gpu,x3", "x3"],
  ["x01,!X003", "x1"],
  ["x1,x3,&gpu", "x3"],
  ["x1,!green,x2", "x2"],
  // The set is empty at the beginning.
  ["&green", ""],
  ["!green", ""],
  ["!green,all", "x1 x2 x3 x4"],
  ["x9", ""],
  ["unknown", ""],
];
for (const [limit, chosen] of table) {
  test(`limit "${limit}"`, () => assert.equal([...applyLimit(limit, candidates, names)].sort().join(" "), chosen));
}

test("a limit never leaves the boot set", () => {
  assert.deepEqual([...applyLimit("green,x4", new Set(["x1"]), names)], ["x1"]);
});

test("the names in a limit stand without their signs", () => {
  assert.deepEqual(namesInLimit("green,&gpu,!x1,*"), ["green", "gpu", "x1", "*"]);
  assert.deepEqual(namesInLimit(""), []);
});
