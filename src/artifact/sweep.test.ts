import assert from "node:assert/strict";
import { link, mkdir, mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, test } from "node:test";
import { openFileBlobs } from "./fs.ts";
import { openSweepableBlobs } from "./sweep.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "netkiln-sweep-"));
});
afterEach(() => rm(root, { recursive: true }));

/** Later than the clock of the file system, which lags behind by some milliseconds. */
const later = () => Date.now() + 1000;
const namesOf = async () => {
  const names: string[] = [];
  for await (const { name } of openSweepableBlobs(root).list()) names.push(name);
  return names.sort();
};

test("a blob that was put long enough ago is removed, and one that is being read is read on", async () => {
  const blobs = openFileBlobs(root);
  const { sha256 } = await blobs.putBytes("x".repeat(600_000));
  const sweepable = openSweepableBlobs(root);
  const began = (await stat(blobs.path(sha256))).ctimeMs;
  assert.equal(await sweepable.remove(sha256, began), false, "it is not older");
  const reading = blobs.read(sha256);
  await new Promise((resolve) => reading.once("readable", resolve));
  assert.equal(await sweepable.remove(sha256, later()), true);
  assert.equal(await blobs.has(sha256), false);
  assert.equal((await text(reading)).length, 600_000);
  assert.equal(await sweepable.remove(sha256, later()), false, "it is gone");
});

test("what is put again counts as new, however it is put", async () => {
  const blobs = openFileBlobs(root);
  const { sha256 } = await blobs.putBytes("hello");
  const renewals = [
    () => blobs.putBytes("hello"),
    async () => {
      await writeFile(join(root, "file"), "hello");
      await blobs.putFile(join(root, "file"));
    },
    () => blobs.renew(sha256),
  ];
  for (const putAgain of renewals) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const before = (await stat(blobs.path(sha256))).ctimeMs + 1;
    await putAgain();
    assert.equal(await openSweepableBlobs(root).remove(sha256, before), false, putAgain.toString());
    assert.equal(await blobs.has(sha256), true);
  }
  assert.equal(await blobs.renew("0".repeat(64)), false);
});

test("a blob that is put while it is removed is there afterwards, whichever comes first", async () => {
  const blobs = openFileBlobs(root);
  const sweepable = openSweepableBlobs(root);
  const { sha256 } = await blobs.putBytes("hello");
  const steps = [0, 1, 2, 3, 4, 5, 6, 8, 10, 15];
  let removed = 0;
  for (let round = 0; round < 60; round += 1) {
    const cutoff = (await stat(blobs.path(sha256))).ctimeMs + 1;
    // The clock of the file system goes in steps of some milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 10));
    const put = async () => {
      for (let step = steps[round % steps.length] ?? 0; step > 0; step -= 1) await stat(root);
      await blobs.putBytes("hello");
    };
    const [gone] = await Promise.all([sweepable.remove(sha256, cutoff), put()]);
    if (gone) removed += 1;
    assert.equal(await blobs.has(sha256), true, `round ${round}`);
  }
  assert.ok(removed > 0, "in some rounds it was removed, and put after that");
});

test("what a killed process was removing is put back", async () => {
  const blobs = openFileBlobs(root);
  const [lost, again] = [await blobs.putBytes("lost"), await blobs.putBytes("again")];
  await mkdir(join(root, "removing"));
  await rename(blobs.path(lost.sha256), join(root, "removing", lost.sha256));
  await link(blobs.path(again.sha256), join(root, "removing", again.sha256));
  await openSweepableBlobs(root).recover();
  assert.equal(await text(blobs.read(lost.sha256)), "lost");
  assert.equal(await text(blobs.read(again.sha256)), "again");
  await openSweepableBlobs(root).recover();
  assert.deepEqual(await namesOf(), [again.sha256, lost.sha256].sort());
});

test("temporary files that a crash left are listed and removed; other files are left alone", async () => {
  await writeFile(join(root, "0123.tmp"), "half");
  await writeFile(join(root, "README"), "not a blob");
  assert.deepEqual(await namesOf(), ["0123.tmp"]);
  assert.equal(await openSweepableBlobs(root).remove("0123.tmp", later()), true);
  assert.deepEqual(await namesOf(), []);
});
