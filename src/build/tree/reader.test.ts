import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../lib/exec.ts";
import { plantTree } from "../../lib/plant-tree.ts";
import { openTree } from "../../../test/support/tree-reader.ts";

test("links of every kind stay inside the tree", async (context) => {
  const outside = plantTree(context, { "secret/word": "outside", "secret/other": "outside" });
  const up = "../".repeat(30);
  const root = plantTree(context, {
    "secret/word": "inside",
    "etc/absolute": { link: "/secret/word" },
    "etc/up": { link: `${up}secret/word` },
    "etc/host": { link: join(outside, "secret/word") },
    "etc/host-up": { link: `${up}${outside}/secret/word` },
    "etc/folder": { link: outside },
    "etc/slash": { link: "/" },
    "etc/chain": { link: "absolute" },
    "deep/a/b": { link: "../../../../../.." },
  });
  const tree = await openTree(root);
  for (const path of ["etc/absolute", "etc/up", "etc/chain", "etc/slash/secret/word", "deep/a/b/secret/word"]) {
    assert.equal(await tree.readText(path), "inside", path);
  }
  for (const path of [`${up}secret/word`, "/../../secret/word", "/etc/../../../secret/word", "//secret/./word"]) {
    assert.equal(await tree.readText(path), "inside", path);
  }
  for (const path of ["etc/host", "etc/host-up", "etc/folder/secret/word", join(outside, "secret/word")]) {
    assert.equal(await tree.readText(path), undefined, path);
    assert.equal(await tree.stat(path), undefined, path);
    assert.equal(await tree.digest(path, "sha256"), undefined, path);
  }
  assert.equal(await tree.readdir("etc/folder"), undefined);
  assert.deepEqual(
    (await tree.readdir("deep/a/b"))?.map(({ name }) => name),
    ["deep", "etc", "secret"],
  );
  assert.equal(await tree.locate("etc/slash/etc/absolute"), "/etc/absolute");
});

test("links that lead to themselves are an error, not an absence", async (context) => {
  const tree = await openTree(
    plantTree(context, { a: { link: "b" }, b: { link: "a" }, "etc/self": { link: "self/x" } }),
  );
  await assert.rejects(tree.stat("/a"), /too many symbolic links/);
  await assert.rejects(tree.lstat("/a/x"), /too many symbolic links/);
  await assert.rejects(tree.readText("/etc/self"), /too many symbolic links/);
  assert.ok((await tree.lstat("/a"))?.isSymbolicLink());
  assert.equal(await tree.readlink("/a"), "b");
});

test("what is missing is undefined, also below a file", async (context) => {
  const tree = await openTree(plantTree(context, { file: "x", dangling: { link: "nowhere" } }));
  assert.equal(await tree.lstat("/file/below"), undefined);
  assert.equal(await tree.lstat("/file/../file"), undefined);
  assert.equal(await tree.stat("/dangling"), undefined);
  assert.ok(await tree.lstat("/dangling"));
  assert.equal(await tree.readdir("/file"), undefined);
  assert.equal(await tree.readlink("/file"), undefined);
  assert.equal(await tree.readText("/nowhere"), undefined);
});

test("only regular files are read: a pipe does not hold the gate up", async (context) => {
  const root = plantTree(context, { "dev/null-file": "" });
  mkdirSync(join(root, "folder"));
  await run(["mkfifo", join(root, "pipe")]);
  const tree = await openTree(root);
  await assert.rejects(tree.readText("/pipe"), /\/pipe is a pipe, not a regular file/);
  await assert.rejects(tree.digest("/folder", "md5"), /\/folder is a directory, not a regular file/);
  assert.deepEqual(
    (await tree.readdir("/"))?.map(({ name, type }) => `${name} ${type}`),
    ["dev directory", "folder directory", "pipe pipe"],
  );
});

test("digests are those of the link's target", async (context) => {
  const root = plantTree(context, { "etc/link": { link: "word" } });
  writeFileSync(join(root, "etc/word"), "abc");
  const tree = await openTree(root);
  assert.equal(await tree.digest("/etc/link", "md5"), "900150983cd24fb0d6963f7d28e17f72");
  assert.equal(
    await tree.digest("/etc/link", "sha256"),
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});
