import assert from "node:assert/strict";
import { test } from "node:test";
import type { Node } from "../node/index.ts";
import { applyLimit, nodesByName } from "./limit.ts";

const node = (xname: string, groups: string[], role = "Compute", subRole?: string) =>
  ({ xname, groups, role, subRole }) as unknown as Node;
const names = nodesByName([
  node("x1", ["green"]),
  node("x2", ["green", "gpu"]),
  node("x3", ["gpu"]),
  node("x4", [], "Application", "UAN"),
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
