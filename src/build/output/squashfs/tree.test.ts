import assert from "node:assert/strict";
import { test } from "node:test";
import type { TreeEntry } from "./entry.ts";
import { orderTree } from "./tree.ts";

function entry(path: string, kind: TreeEntry["kind"], inode?: string): TreeEntry {
  const fixed = { mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 0, xattrs: new Map() };
  return { path, kind, ...fixed, ...(inode !== undefined && { inode }) };
}

const tree = [
  entry("b/x", "file", "1"),
  entry("", "folder"),
  entry("b", "folder"),
  entry("b/inner", "folder"),
  entry("a", "file", "1"),
  entry("b-c", "file"),
  entry("B", "file"),
];

test("what a folder holds stands together and before it, in the order of bytes", () => {
  const order = orderTree(tree);
  assert.deepEqual(
    order.map(({ entry, number }) => [number, entry.path]),
    [
      [1, "b/inner"],
      [2, "b/x"],
      [3, "B"],
      [4, "b"],
      [5, "b-c"],
      [6, ""],
    ],
  );
  assert.deepEqual(
    order.at(-1)?.children.map(({ name }) => name),
    ["B", "a", "b", "b-c"],
  );
  assert.deepEqual(orderTree([...tree].reverse()).length, 6);
});

test("names of one file share an inode; folders count the folders in them", () => {
  const links = new Map(orderTree(tree).map(({ entry, links, parent }) => [entry.path, [links, parent]]));
  assert.equal(links.get("b/x")?.[0], 2);
  assert.deepEqual(links.get("b/inner"), [2, 4]);
  assert.deepEqual(links.get("b"), [3, 6]);
  assert.deepEqual(links.get(""), [3, 7], "the root is in no folder of the tree");
});

test("a path without its folder, one in a file, and one that is there twice are refused", () => {
  const root = entry("", "folder");
  assert.throws(() => orderTree([root, entry("a/b", "file")]), / \/a\/b is in no folder/);
  assert.throws(() => orderTree([root, entry("a", "file"), entry("a/b", "file")]), / \/a\/b is in no folder/);
  assert.throws(() => orderTree([root, entry("a", "file"), entry("a", "file")]), / \/a is twice in the tree/);
  assert.throws(() => orderTree([]), /the tree has no root folder/);
});
