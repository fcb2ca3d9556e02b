import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase, sql } from "../lib/db.ts";
import { endBoots, endEvents, migrations, openBootRecords, openEventStore, type BootPhase } from "./index.ts";

const [one, two] = ["x1c0s0b0n0", "x1c0s1b0n0"] as const;
const target = { imageId: "image-1", expectedBuildId: "build-1" };
const day = (days: number) => new Date(Date.parse("2026-01-01T00:00:00Z") + days * 86_400_000);

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const events = openEventStore(db);
  return { db, events, boots: openBootRecords(db, events) };
}

test("old boots end, but for the last ones of each node and the one that it is in", async (t) => {
  const { db, boots } = await open();
  const ids: string[] = [];
  for (const number of [0, 1, 2, 3, 4]) {
    t.after(useClock({ now: () => day(number) }));
    ids.push((await boots.begin(one, target)).id);
  }
  await boots.record(ids[1] as string, "ready", "node");
  await boots.begin(two, target);
  const rules = { before: day(3.5), keepLast: 2, kept: new Map<string, string>() };
  assert.equal(await endBoots(db, { ...rules, carryOut: false }), 2);
  assert.equal((await boots.list({ limit: 9 })).length, 6, "only counted");
  assert.equal(await endBoots(db, { ...rules, carryOut: true }), 2);
  const left = (await boots.list({ xname: one, limit: 9 })).map(({ id }) => id);
  assert.deepEqual(left, [ids[4], ids[3], ids[1]]);
  assert.equal((await boots.list({ xname: two, limit: 9 })).length, 1);
  assert.equal(await endBoots(db, { ...rules, keepLast: 1, before: day(0), carryOut: true }), 0, "young ones stay");
});

test("somebody's fetches in a node's name do not end the boot that the node runs", async (t) => {
  t.after(useClock({ now: () => day(0) }));
  const { db, boots } = await open();
  const reached = async (...phases: BootPhase[]) => {
    const { id } = await boots.begin(one, target);
    for (const phase of phases) await boots.record(id, phase, "server");
    return id;
  };
  const noted = await reached("kernel");
  await reached("kernel", "ready");
  const up = await reached("kernel", "userspace");
  await reached("kernel");
  const [fetched, last] = [await reached("kernel"), await reached("script")];
  const rules = { before: day(1), keepLast: 1, kept: new Map([[one, noted]]) };
  assert.equal(await endBoots(db, { ...rules, carryOut: false }), 2);
  assert.equal(await endBoots(db, { ...rules, carryOut: true }), 2);
  const left = (await boots.list({ xname: one, limit: 9 })).map(({ id }) => id);
  assert.deepEqual(left, [last, fetched, up, noted]);
});

test("the phases of a boot go with it, however many there are", async () => {
  const { db, boots } = await open();
  const rows = JSON.stringify(Array.from({ length: 1203 }, (_, index) => `boot-${index}`));
  await sql`insert into boot (id, xname, image_id, started)
    select value, ${one}, 'image-1', '2020-01-01T00:00:00.000Z' from json_each(${rows})`.execute(db);
  await sql`insert into boot_phase (boot, phase, time, source, detail)
    select value, 'script', '2020-01-01T00:00:00.000Z', 'server', '{}' from json_each(${rows})`.execute(db);
  assert.equal(await endBoots(db, { before: day(0), keepLast: 3, kept: new Map(), carryOut: true }), 1200);
  assert.equal((await boots.list({ xname: one, limit: 9 })).length, 3);
  const { rows: left } = await sql<{ count: number }>`select count(*) as count from boot_phase`.execute(db);
  assert.equal(left[0]?.count, 3);
});

test("old events end, and numbers are not used again", async (t) => {
  const { db, events } = await open();
  for (let number = 0; number < 1203; number += 1) {
    t.after(useClock({ now: () => day(number < 1201 ? 0 : 40) }));
    await events.record("node:x", `kind-${number}`);
  }
  assert.equal(await endEvents(db, { before: day(30), carryOut: false }), 1201);
  assert.equal((await events.list({ limit: 9999 })).length, 1203);
  assert.equal(await endEvents(db, { before: day(30), carryOut: true }), 1201);
  assert.deepEqual(
    (await events.list({ limit: 9 })).map(({ kind }) => kind),
    ["kind-1201", "kind-1202"],
  );
  assert.equal(await endEvents(db, { before: day(99), carryOut: true }), 2);
  await events.record("node:x", "new");
  assert.equal((await events.list({ limit: 9 }))[0]?.id, 1204);
});

test("an event of a time that has not come does not hold back the old ones behind it", async (t) => {
  const { db, events } = await open();
  for (const number of [0, 400, 1, 2]) {
    t.after(useClock({ now: () => day(number) }));
    await events.record("node:x", `day-${number}`);
  }
  assert.equal(await endEvents(db, { before: day(30), carryOut: false }), 3);
  assert.equal(await endEvents(db, { before: day(30), carryOut: true }), 3);
  assert.deepEqual(
    (await events.list({ limit: 9 })).map(({ kind }) => kind),
    ["day-400"],
  );
});

test("ending stops with its signal", async () => {
  const { db, events, boots } = await open();
  await events.record("node:x", "old");
  await boots.begin(one, target);
  const ending = { before: day(999), signal: AbortSignal.abort() };
  for (const carryOut of [true, false]) {
    await assert.rejects(endEvents(db, { ...ending, carryOut }), /abort/i);
    await assert.rejects(endBoots(db, { ...ending, carryOut, keepLast: 9, kept: new Map() }), /abort/i);
  }
});
