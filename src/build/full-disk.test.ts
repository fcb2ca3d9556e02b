import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { NetkilnError } from "../lib/errors.ts";
import { explainFullDisk } from "./full-disk.ts";

const folder = tmpdir();
const noSpace = "tar: ./usr/lib/a: Cannot write: No space left on device";

test("a tool's word that there is no space left gets into the message", async () => {
  const error = new NetkilnError("work_failed", "tar failed with exit code 2", { output: [noSpace, "tar: Exiting"] });
  const told = await explainFullDisk(error, folder);
  assert.ok(told instanceof NetkilnError);
  assert.equal(told.message, "tar failed with exit code 2: the disk is full");
  assert.match(told.hint ?? "", /^make room on the file system of .* MiB were left\), then run the same again/);
  assert.deepEqual(told.output, error.output);
});

test("it is found behind a message that was made from it, and in failures of our own writes", async () => {
  const detail = new NetkilnError("work_failed", "ansible-playbook failed", { output: [noSpace] });
  const wrapped = new NetkilnError("work_failed", "the playbook a.yml failed", { detail });
  assert.match(String(await explainFullDisk(wrapped, folder)), /the playbook a\.yml failed: the disk is full/);
  const own = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  assert.match(String(await explainFullDisk(own, folder)), /the disk is full/);
  const ofDatabase = Object.assign(new Error("database or disk is full"), { code: "ERR_SQLITE_ERROR", errcode: 13 });
  const told = await explainFullDisk(ofDatabase, folder);
  assert.ok(told instanceof NetkilnError);
  assert.deepEqual([told.message, told.output], ["the disk is full", ["database or disk is full"]]);
  const ofOurs = new NetkilnError("work_failed", "pack-content failed", { output: [own.message] });
  assert.match(String(await explainFullDisk(ofOurs, folder)), /pack-content failed: the disk is full/);
});

test("it is said once, however many work folders stand in each other", async () => {
  const error = new NetkilnError("work_failed", "tar failed with exit code 2", { output: [noSpace] });
  const told = await explainFullDisk(error, folder);
  assert.equal(await explainFullDisk(told, folder), told);
});

test("other failures stay as they are", async () => {
  for (const error of [new NetkilnError("work_failed", "no"), new Error("a bug")]) {
    assert.equal(await explainFullDisk(error, folder), error);
  }
});
