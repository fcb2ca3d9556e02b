import assert from "node:assert/strict";
import { test } from "node:test";
import { matchesWildcard } from "./wildcard.ts";

test("names are matched whole, as Python's fnmatch does", () => {
  const cases: readonly (readonly [pattern: string, like: readonly string[], unlike: readonly string[]])[] = [
    ["*", ["", "a", "a/b", ".a"], []],
    ["*.x86_64", ["compute-uss-1.1.x86_64", ".x86_64"], ["compute.aarch64", "compute.x86_64.old"]],
    ["compute*uss*", ["compute-uss", "compute-a-uss-b"], ["my-compute-uss", "compute"]],
    ["a?c", ["abc", "a*c"], ["ac", "abbc"]],
    ["a[0-9]", ["a0", "a9"], ["ax", "a10"]],
    ["a[!0-9]", ["ax"], ["a0", "a"]],
    ["[]a]", ["]", "a"], ["b"]],
    ["a[", ["a["], ["a"]],
    ["[]", ["[]"], [""]],
    ["A*", ["Ab"], ["ab"]],
    ["a.c", ["a.c"], ["abc"]],
    ["a*b*c", ["abc", "aXbXbXc"], ["aXcXb", "acb"]],
  ];
  for (const [pattern, like, unlike] of cases) {
    for (const name of like) assert.ok(matchesWildcard(name, pattern), `${pattern} ${name}`);
    for (const name of unlike) assert.ok(!matchesWildcard(name, pattern), `${pattern} ${name}`);
  }
});

test("no pattern takes for ever", () => {
  assert.equal(matchesWildcard("a".repeat(5000), `${"*a".repeat(200)}b`), false);
});
