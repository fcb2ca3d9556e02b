import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openFileBlobs } from "../../artifact/index.ts";
import { compareLocks, isWhole, lockDigest, lockSummary, lockText, requireWhole } from "./lock.ts";
import type { Lock, LockedPackage } from "./types.ts";

const one = (name: string, version: string, more: Partial<LockedPackage> = {}): LockedPackage => ({
  ...{ name, version, arch: "amd64", sha256: `${name}-${version}`, size: 10 },
  ...more,
});
const lockOf = (packages: readonly LockedPackage[], files: Lock["files"] = {}): Lock => ({
  ...{ family: "deb", packages, files },
});

test("equal locks have one text and one digest, whatever their order", () => {
  const a = lockOf([one("b", "1"), one("a", "2"), one("a", "1")], { Packages: "p", Other: "o" });
  const { family, files, packages } = a;
  const b: Lock = { files: { Other: "o", Packages: "p" }, packages: packages.toReversed(), family };
  assert.equal(
    lockText(a),
    `{"family":"deb","files":{"Other":"o","Packages":"p"},"packages":[
{"arch":"amd64","name":"a","sha256":"a-1","size":10,"version":"1"},
{"arch":"amd64","name":"a","sha256":"a-2","size":10,"version":"2"},
{"arch":"amd64","name":"b","sha256":"b-1","size":10,"version":"1"}
]}
`,
  );
  assert.equal(lockText(b), lockText(a));
  assert.equal(lockDigest(b), lockDigest(a));
  assert.deepEqual(JSON.parse(lockText(lockOf([]))), lockOf([]));
  for (const other of [lockOf([], files), lockOf(packages), lockOf([...packages.slice(1), one("b", "3")], files)]) {
    assert.notEqual(lockDigest(other), lockDigest(a));
  }
});

test("a summary counts packages and bytes", () => {
  const lock = lockOf([one("a", "1"), one("b", "1", { size: 5 })]);
  assert.deepEqual(lockSummary(lock), { digest: lockDigest(lock), family: "deb", packages: 2, bytes: 15 });
});

test("two locks are told apart by name, from version to version", () => {
  const before = lockOf([one("gone", "1"), one("kept", "1"), one("moved", "1"), one("rebuilt", "1")], {
    a: "1",
    b: "1",
  });
  const now = lockOf([one("kept", "1"), one("moved", "2"), one("new", "1"), one("rebuilt", "1", { sha256: "other" })], {
    a: "1",
    b: "2",
    c: "1",
  });
  const name = (name: string) => ({ name, version: "1", arch: "amd64" });
  assert.deepEqual(compareLocks(before, now), {
    added: [name("new")],
    removed: [name("gone")],
    changed: [
      { name: "moved", arch: "amd64", from: "1", to: "2" },
      { name: "rebuilt", arch: "amd64", from: "1", to: "1" },
    ],
    files: ["b", "c"],
  });
  assert.deepEqual(compareLocks(before, before), { added: [], removed: [], changed: [], files: [] });
});

test("of several versions of one package, those that stayed are no change", () => {
  const before = lockOf([one("kernel", "1"), one("kernel", "2")]);
  const now = lockOf([one("kernel", "2"), one("kernel", "3"), one("kernel", "4")]);
  assert.deepEqual(compareLocks(before, now), {
    added: [{ name: "kernel", version: "4", arch: "amd64" }],
    removed: [],
    changed: [{ name: "kernel", arch: "amd64", from: "1", to: "3" }],
    files: [],
  });
});

test("blobs that are gone, cut or changed are named, and nothing else is", async () => {
  const folder = await mkdtemp(join(tmpdir(), "netkiln-lock-"));
  after(() => rm(folder, { recursive: true }));
  const blobs = openFileBlobs(folder);
  const put = async (name: string) => {
    const { sha256, size } = await blobs.putBytes(name);
    return one(name, "1", { sha256, size });
  };
  const packages = await Promise.all(["good", "cut", "flipped"].map(put));
  const [good, cut, flipped] = packages as [LockedPackage, LockedPackage, LockedPackage];
  const lock = lockOf(packages, { Packages: good.sha256 });
  await requireWhole(blobs, lock);
  const spoil = async ({ sha256 }: LockedPackage, text: string) => {
    await chmod(blobs.path(sha256), 0o644);
    await writeFile(blobs.path(sha256), text);
  };
  await spoil(cut, "cu");
  await spoil(flipped, "flopped");
  assert.equal(await isWhole(blobs, good), true);
  const gone = "0".repeat(64);
  await assert.rejects(requireWhole(blobs, { ...lock, files: { Packages: good.sha256, Release: gone } }), {
    code: "work_failed",
    message: `3 files of the package lock are missing or damaged: cut 1 (sha256 ${cut.sha256})`,
    output: [`cut 1 (sha256 ${cut.sha256})`, `flipped 1 (sha256 ${flipped.sha256})`, `Release (sha256 ${gone})`],
  });
});
