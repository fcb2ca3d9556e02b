import assert from "node:assert/strict";
import { test } from "node:test";
import type { NetkilnError } from "../../lib/errors.ts";
import { failureOf } from "../../lib/failure-of.ts";
import { inPieces, patchTar, tarEntry as entry, tarOf, type PlantedEntry } from "../tree/plant-tar.ts";
import { emptyTree, scanLayerTar, type ScannedTree } from "./scan-layer-tar.ts";

const folder = (name: string) => entry(name, "directory");
const scan = (archive: Buffer, below: ScannedTree = emptyTree()) =>
  scanLayerTar(inPieces(archive), { name: "layer 1", below });

async function refusal(archive: Buffer, below?: ScannedTree): Promise<NetkilnError> {
  const error = await failureOf(scan(archive, below));
  assert.equal(error.code, "invalid_input");
  return error;
}

test("an ordinary archive is taken: folders, files, links inside it, long names", async () => {
  const long = `${"d".repeat(90)}/${"e".repeat(90)}/${"f".repeat(120)}`;
  const archive = await tarOf(
    folder("./"),
    folder("usr/"),
    entry("usr/a", "file", "", "text"),
    entry("usr/b", "link", "usr/a"),
    entry("lib", "symlink", "usr/lib"),
    entry("etc/mtab", "symlink", "../../../proc/mounts"),
    entry(long, "file", "", "long"),
  );
  assert.deepEqual(await scan(archive), { entries: 7, size: 8, replaced: [], removed: [], emptied: [] });
});

const refused: readonly (readonly [string, PlantedEntry[], RegExp])[] = [
  ["an absolute path", [entry("/etc/passwd")], /^entry "\/etc\/passwd": its path is absolute$/],
  ["a path that leaves the tree", [entry("a/../../b")], /^entry "a\/..\/..\/b": its path has "\.\."$/],
  ["a folder that leaves the tree", [folder("../")], /its path has "\.\."$/],
  ["a character device", [entry("dev/null", "character-device")], /^entry "dev\/null": it is a character device$/],
  ["a block device", [entry("dev/sda", "block-device")], /it is a block device$/],
  [
    "a path through a symbolic link",
    [entry("out", "symlink", "/etc"), entry("out/passwd")],
    /^entry "out\/passwd": the path goes through the symbolic link "out"$/,
  ],
  [
    "a path through a symbolic link, with detours",
    [entry("a/out", "symlink", ".."), entry("./a//./out/x")],
    /the path goes through the symbolic link "a\/out"$/,
  ],
  [
    "a folder below a symbolic link",
    [entry("out", "symlink", "/etc"), folder("out/x/")],
    /goes through the symbolic link/,
  ],
  ["a hard link out of the tree", [entry("a", "link", "../x")], /a hard link to "..\/x", and its path has "\.\."$/],
  ["an absolute hard link", [entry("a", "link", "/etc/shadow")], /and its path is absolute$/],
  ["a hard link to what is not there", [entry("a", "link", "b")], /a hard link to "b", which is not there$/],
  ["a hard link to a folder", [folder("b/"), entry("a", "link", "b")], /a hard link to the folder "b"$/],
  [
    "a hard link through a symbolic link",
    [entry("out", "symlink", "/etc"), entry("a", "link", "out/shadow")],
    /and the path goes through the symbolic link "out"$/,
  ],
  [
    "a path through a hard link to a symbolic link",
    [entry("out", "symlink", "/etc"), entry("again", "link", "out"), entry("again/passwd")],
    /goes through the symbolic link "again"$/,
  ],
  ["a path below a file", [entry("a"), entry("a/b")], /goes through "a", which is no folder$/],
  ["a folder that becomes a link", [folder("a/"), entry("a", "symlink", "/etc")], /as a folder and as something else$/],
  ["a link that becomes a folder", [entry("a", "symlink", "/etc"), folder("a/")], /as a folder and as something else$/],
  ["a root that is a link", [entry("./", "symlink", "/etc")], /it stands for the root, and is no folder$/],
  ["a whiteout of no name", [entry("a/.wh.")], /it is a whiteout of no name$/],
  ["a whiteout of the folder itself", [entry("a/.wh..")], /it is a whiteout of no name$/],
  ["a whiteout of the folder above", [entry("a/.wh...")], /it is a whiteout of no name$/],
  ["a whiteout with content", [entry("a/.wh.b", "file", "", "x")], /it is a whiteout, and no empty file$/],
  ["a whiteout through a link", [entry("l", "symlink", "/etc"), entry("l/.wh.passwd")], /the symbolic link "l"$/],
  ["something below a whiteout", [entry(".wh.a/b")], /it stands below a whiteout$/],
];
for (const [name, entries, message] of refused) {
  test(`refused: ${name}`, async () => {
    const { problems } = await refusal(await tarOf(...entries));
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? "", message);
  });
}

test("all unsafe entries are told at once, and what to do", async () => {
  const error = await refusal(await tarOf(entry("/a"), entry("b"), entry("c/../d"), entry("dev/x", "block-device")));
  assert.equal(error.message, "layer 1 is refused: 3 unsafe entries");
  assert.match(error.hint ?? "", /without its devices/);
  const many = await refusal(await tarOf(...Array.from({ length: 30 }, (_, index) => entry(`/${index}`))));
  assert.equal(many.message, "layer 1 is refused: at least 20 unsafe entries");
});

test("what layers do not have is refused, and so are names that are not text", async () => {
  const simple = await tarOf(entry("innocent"));
  for (const [fields, message] of [
    [{ 156: "S", 257: "ustar  \0" }, /^entry "innocent": it is a sparse file, which layers do not have$/],
    [{ 156: "V" }, /^entry "innocent": it is a volume label, which layers do not have$/],
  ] as const) {
    const { problems, hint } = await refusal(patchTar(simple, 0, fields));
    assert.match(problems[0]?.message ?? "", message);
    assert.match(hint ?? "", /without sparse files/);
  }
  for (const field of [0, 157]) {
    const { problems } = await refusal(patchTar(simple, 0, { [field]: "\xe9\0" }));
    assert.match(problems[0]?.message ?? "", /: the name "é" is not UTF-8$/);
  }
});

test("a damaged layer is told by its name, with what can be done", async () => {
  const { message, hint } = await refusal((await tarOf(entry("a"))).subarray(0, 700));
  assert.equal(message, "layer 1 is truncated: a header is cut off after 700 bytes");
  assert.match(hint ?? "", /^it has to be whole/);
});

test("a layer removes and replaces what is below, and cannot go through its links", async () => {
  const below = emptyTree();
  await scan(
    await tarOf(
      entry("a/old"),
      entry("b/old"),
      entry("file"),
      entry("link", "symlink", "/etc"),
      entry("x"),
      folder("full/"),
    ),
    below,
  );
  const second = await tarOf(
    entry("a/.wh.old"),
    entry("a/.wh.never"),
    folder("b/"),
    entry("b/new"),
    entry("b/.wh..wh..opq"),
    folder("file/"),
    entry("file/in"),
    folder("link/"),
    entry("link/in"),
    entry("y", "link", "x"),
    entry("x"),
    entry("full", "symlink", "/"),
  );
  const found = await scan(second, below);
  assert.deepEqual(found.removed, ["a/old", "a/never"]);
  assert.deepEqual(found.emptied, ["b"]);
  assert.deepEqual(found.replaced, ["file", "link", "x", "full"]);

  const third = await refusal(await tarOf(entry("full/etc/passwd"), entry("z", "link", "b/old")), below);
  assert.deepEqual(
    third.problems.map(({ message }) => message),
    [
      'entry "full/etc/passwd": the path goes through the symbolic link "full"',
      'entry "z": it is a hard link to "b/old", which is not there',
    ],
  );
});

test("a whiteout hides only what is below, wherever in the layer it stands", async () => {
  const below = emptyTree();
  await scan(await tarOf(entry("a/old"), entry("a/deep/old"), entry("b", "symlink", "/etc")), below);
  await scan(await tarOf(entry("a/new"), entry(".wh.a"), entry(".wh.b"), folder("b/"), entry("b/in")), below);
  const third = await refusal(await tarOf(entry("l1", "link", "a/old"), entry("l2", "link", "a/new")), below);
  assert.deepEqual(
    third.problems.map(({ message }) => message),
    ['entry "l1": it is a hard link to "a/old", which is not there'],
  );
});
