import assert from "node:assert/strict";
import { test } from "node:test";
import { lockChangesLines } from "./lock-changes.ts";

const nothing = { added: [], removed: [], changed: [], files: [] };

test("each package has a line, and the last one counts them", () => {
  const changes = {
    added: [{ name: "linux-image-2", version: "2.0", arch: "amd64" }],
    removed: [{ name: "linux-image-1", version: "1.0", arch: "amd64" }],
    changed: [
      { name: "attr", arch: "amd64", from: "1:2.5.1-4", to: "1:2.5.1-5" },
      { name: "zstd", arch: "amd64", from: "1.5", to: "1.5" },
    ],
    files: ["Packages"],
  };
  assert.deepEqual(lockChangesLines(changes), [
    "~ attr           1:2.5.1-4 -> 1:2.5.1-5",
    "~ zstd           1.5 (rebuilt: the same version with other content)",
    "+ linux-image-2  2.0",
    "- linux-image-1  1.0",
    "2 changed, 1 added, 1 removed",
  ]);
});

test("no change is said in words", () => {
  assert.deepEqual(lockChangesLines(nothing), ["the packages are the same"]);
  assert.deepEqual(lockChangesLines({ ...nothing, files: ["Packages"] }), [
    "the packages are the same; what the archives say about them has changed",
  ]);
});
