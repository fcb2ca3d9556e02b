import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { text } from "node:stream/consumers";
import { openFileBlobs } from "./fs.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-blobs-"));
after(() => rm(folder, { recursive: true }));
const blobs = openFileBlobs(folder);
// printf hello | sha256sum
const hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

test("a file becomes a blob named after its content, whole or in parts", async () => {
  const file = join(folder, "incoming");
  await writeFile(file, "hello");
  assert.deepEqual(await blobs.putFile(file), { sha256: hello, md5: "5d41402abc4b2a76b9719d911017c592", size: 5 });
  assert.equal(await text(blobs.read(hello)), "hello");
  assert.equal(await text(blobs.read(hello, { start: 1, end: 3 })), "ell");
});

test("putting the same text again leaves one blob and no temporary file", async () => {
  await blobs.putBytes("hello");
  assert.equal((await blobs.putBytes("hello")).sha256, hello);
  assert.deepEqual(await readdir(folder), ["sha256"]);
  assert.equal(await blobs.has("0".repeat(64)), false);
});
