import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { processName } from "../lib/process.ts";
import { migrations, openJobStore } from "./store.ts";

async function openStore() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  return openJobStore(db);
}

test("an unfinished job of the same kind and subject is not added twice", async () => {
  const jobs = await openStore();
  await jobs.enqueue("build", "a");
  await jobs.enqueue("build", "a");
  await jobs.enqueue("build", "b");
  assert.equal(await jobs.countUnfinished("build"), 2);
});

test("each job goes to one owner, oldest first, and can be added again when finished", async () => {
  const jobs = await openStore();
  await jobs.enqueue("build", "a");
  const job = await jobs.claim("build", processName());
  assert.equal(job?.subject, "a");
  assert.equal(await jobs.claim("build", processName()), undefined);
  await jobs.finish(job.id, processName());
  await jobs.enqueue("build", "a");
  assert.equal((await jobs.claim("build", processName()))?.attempt, 1);
});

test("a job whose owner is dead goes to the next one at once", async () => {
  const jobs = await openStore();
  await jobs.enqueue("build", "a");
  const dead = processName().replace(/:\d+$/, ":1");
  assert.equal((await jobs.claim("build", dead))?.attempt, 1);
  assert.equal((await jobs.claim("build", processName()))?.attempt, 2);
});

test("a job whose lease ran out is taken over, and its old owner learns it", async () => {
  const jobs = await openStore();
  await jobs.enqueue("build", "a");
  const job = await jobs.claim("build", "elsewhere:1:1");
  assert.ok(job);
  const restore = useClock({ now: () => new Date(Date.now() + 60_000) });
  try {
    assert.equal((await jobs.claim("build", processName()))?.id, job.id);
    assert.equal(await jobs.heartbeat(job.id, "elsewhere:1:1"), false);
    assert.equal(await jobs.heartbeat(job.id, processName()), true);
  } finally {
    restore();
  }
});

test("a released job does not count as a try", async () => {
  const jobs = await openStore();
  await jobs.enqueue("build", "a");
  const job = await jobs.claim("build", processName());
  assert.ok(job);
  await jobs.release(job.id, processName());
  assert.equal((await jobs.claim("build", processName()))?.attempt, 1);
});
