import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync } from "node:fs";
import { link, mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { readInitrd } from "./newc-reader.ts";
import { writeTree } from "./newc-writer.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-newc-"));
after(() => rm(root, { recursive: true }));
let number = 0;

async function treeOf(files: Readonly<Record<string, string>>): Promise<string> {
  number += 1;
  const tree = join(root, `tree${number}`);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
    await utimes(join(tree, path), 1000, 1000);
  }
  return tree;
}

async function pack(tree: string) {
  const file = join(root, "archive");
  const output = openSync(file, "w");
  const packed = await writeTree(tree, output, 1_750_000_000);
  closeSync(output);
  return { packed, archive: readFileSync(file) };
}

function namesOf(archive: Buffer): readonly string[] {
  const content = readInitrd(archive);
  return "names" in content ? content.names : assert.fail(content.problem);
}

test("a tree without /init gets a link to its init, at its place in the order", async () => {
  const { packed, archive } = await pack(await treeOf({ "sbin/init": "#!", "etc/x": "1", "home/y": "2" }));
  assert.deepEqual(packed, { entries: 8, init: "sbin/init" });
  assert.deepEqual(namesOf(archive), [".", "etc", "etc/x", "home", "home/y", "init", "sbin", "sbin/init"]);
  assert.equal(archive.length % 512, 0);
});

test("a tree's own /init stays; one that leads nowhere is replaced", async () => {
  const tree = await treeOf({ init: "#!", "sbin/init": "#!" });
  assert.deepEqual((await pack(tree)).packed, { entries: 4, init: undefined });
  await rm(join(tree, "init"));
  await symlink("nowhere", join(tree, "init"));
  const { packed, archive } = await pack(tree);
  assert.deepEqual(packed, { entries: 4, init: "sbin/init" });
  assert.ok(!archive.includes("nowhere"));
});

test("the content of hard links is there once, with the last name", async () => {
  const tree = await treeOf({ init: "#!", a: "the content" });
  await link(join(tree, "a"), join(tree, "b"));
  const { archive } = await pack(tree);
  assert.equal(archive.toString("latin1").split("the content").length, 2);
  assert.ok(archive.indexOf("the content") > archive.indexOf("b\0"));
});

test("a tree without any init, and a file that is too large for the form, are refused", async () => {
  const tree = await treeOf({ "etc/x": "" });
  const { packed } = await pack(tree);
  assert.match("problem" in packed ? packed.problem : "", /^the tree cannot be an initramfs: it has no init/);
  await writeFile(join(tree, "init"), "");
  await truncate(join(tree, "etc/x"), 2 ** 32);
  const large = (await pack(tree)).packed;
  assert.match("problem" in large ? large.problem : "", /^\/etc\/x has 4294967296 bytes/);
});
