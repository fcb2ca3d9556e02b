import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { none } from "./format.ts";
import { writeSquashfs } from "./image.ts";
import type { Pack } from "./pack-index.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-squashfs-"));
after(() => rm(folder, { recursive: true }));

const usual = { mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0, xattrs: new Map() };
const root = { ...usual, path: "", kind: "folder" } as const;
const file = { ...usual, path: "file", kind: "file", size: 150_000, sha256: "a" } as const;

async function packOf(bytes: string): Promise<Pack> {
  const file = join(folder, "pack");
  await writeFile(file, bytes);
  const content = { size: 150_000, start: 4, words: [6, 0], fragment: none, offset: 0 };
  return { file, contents: new Map([["a", content]]), fragments: [] };
}

test("superblock first, blocks as the pack has them, padding last; and its digests", async () => {
  const image = join(folder, "image");
  const { size, sha256, md5 } = await writeSquashfs([file, root], [await packOf("____stored____")], image, {
    epoch: 77,
    level: 1,
  });
  const bytes = readFileSync(image);
  assert.equal(sha256, hash("sha256", bytes));
  assert.equal(md5, hash("md5", bytes));
  assert.equal(bytes.length, size);
  assert.equal(size, 4096);
  assert.deepEqual(
    [0, 4, 8, 12, 16].map((at) => bytes.readUInt32LE(at)),
    [0x7371_7368, 2, 77, 131_072, 0],
  );
  assert.deepEqual(
    [20, 22, 24, 26, 28, 30].map((at) => bytes.readUInt16LE(at)),
    [6, 17, 0x6c0, 1, 4, 0],
  );
  // The level in a block of metadata that is not compressed, and the one block that is in the pack.
  assert.equal(bytes.subarray(96, 108).toString("latin1"), "\x04\x80\x01\0\0\0stored");
  assert.equal(bytes.readBigUInt64LE(64), 108n, "the table of inodes follows");
  assert.equal(bytes.readBigUInt64LE(56), 2n ** 64n - 1n, "there is no table of attributes");
});

test("a pack that ends before its content fails the image", async () => {
  const image = join(folder, "short");
  const pack = await packOf("____sto");
  await assert.rejects(writeSquashfs([root, file], [pack], image, { epoch: 0, level: 1 }), {
    code: "internal",
    message: `${pack.file} ends before its content`,
  });
});

test("more owners and groups than squashfs counts are refused", async () => {
  const names = Array.from({ length: 65_535 }, (_, number) => ({
    ...file,
    size: 0,
    path: `${number}`,
    uid: number + 1,
  }));
  const image = join(folder, "owners");
  await assert.rejects(writeSquashfs([root, ...names], [], image, { epoch: 0, level: 1 }), {
    code: "work_failed",
    message: "the tree has more than 65535 owners and groups, which squashfs cannot hold",
  });
});
