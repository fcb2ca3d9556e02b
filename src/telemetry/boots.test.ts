import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openBootRecords, openEventStore, phaseOf } from "./index.ts";

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const events = openEventStore(db);
  return { events, boots: openBootRecords(db, events) };
}

const node = "x1000c0s0b0n0";
const target = { imageId: "image-1", expectedBuildId: "build-1" };
const nothing = { imageId: undefined, expectedBuildId: undefined };

test("a script joins the boot that power-on began, and a retry stays in it", async () => {
  const { boots } = await open();
  const powered = await boots.begin(node, nothing);
  await boots.record(powered.id, "power", "server");
  const joined = await boots.forScript(node, { retry: 0, target });
  assert.equal(joined.id, powered.id);
  assert.equal((await boots.get(powered.id))?.expectedBuildId, "build-1");
  await boots.record(powered.id, "script", "server");
  assert.equal((await boots.forScript(node, { retry: 1, target })).id, powered.id);
});

test("a script that is fetched afresh begins a new boot", async () => {
  const { boots } = await open();
  const one = await boots.forScript(node, { retry: 0, target });
  await boots.record(one.id, "script", "server");
  const two = await boots.forScript(node, { retry: 0, target });
  assert.notEqual(two.id, one.id);
  assert.equal((await boots.latest(node))?.id, two.id);
  assert.equal((await boots.latest("x1000c0s1b0n0"))?.id, undefined);
});

test("a retry after a boot that has ended begins a new one", async () => {
  const { boots } = await open();
  const one = await boots.forScript(node, { retry: 0, target });
  await boots.record(one.id, "failed", "node");
  assert.notEqual((await boots.forScript(node, { retry: 3, target })).id, one.id);
});

test("the first of each phase is kept, to the millisecond, and is an event of the node", async () => {
  const { boots, events } = await open();
  const boot = await boots.begin(node, target);
  const restore = useClock({ now: () => new Date("2026-01-02T03:04:05.678Z") });
  try {
    assert.equal(await boots.record(boot.id, "kernel", "server", { bytes: 12 }), true);
    useClock({ now: () => new Date("2026-01-02T03:04:06Z") });
    assert.equal(await boots.record(boot.id, "kernel", "node"), false);
  } finally {
    restore();
  }
  const record = await boots.get(boot.id);
  assert.ok(record);
  assert.deepEqual(phaseOf(record, "kernel"), {
    phase: "kernel",
    time: "2026-01-02T03:04:05.678Z",
    source: "server",
    detail: { bytes: 12 },
  });
  const seen = await events.list({ subject: `node:${node}`, limit: 10 });
  assert.deepEqual(
    seen.map(({ kind, data }) => [kind, data.boot]),
    [["boot.kernel", boot.id]],
  );
  assert.equal(await boots.record("unknown", "ready", "node"), false);
});

test("boots are listed newest first, in pages", async () => {
  const { boots } = await open();
  const ids: string[] = [];
  for (const xname of [node, "x1000c0s1b0n0", node]) ids.unshift((await boots.begin(xname, nothing)).id);
  assert.deepEqual(
    (await boots.list({ limit: 2 })).map(({ id }) => id),
    ids.slice(0, 2),
  );
  assert.deepEqual(
    (await boots.list({ limit: 2, after: ids[1] })).map(({ id }) => id),
    ids.slice(2),
  );
  assert.deepEqual(
    (await boots.list({ limit: 5, xname: node })).map(({ id }) => id),
    [ids[0], ids[2]],
  );
});
