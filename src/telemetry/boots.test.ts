import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
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
  const { boots, events } = await open();
  const powered = await boots.begin(node, nothing);
  await boots.record(powered.id, "power", "server");
  assert.equal(await boots.forScript(node, { retry: 0, target, detail: { because: "so" } }), powered.id);
  const joined = await boots.get(powered.id);
  assert.equal(joined?.expectedBuildId, "build-1");
  assert.deepEqual(joined && phaseOf(joined, "script")?.detail, { because: "so" });
  assert.equal(await boots.forScript(node, { retry: 1, target: nothing }), powered.id);
  assert.equal((await boots.get(powered.id))?.expectedBuildId, undefined);
  const kinds = (await events.list({ subject: `node:${node}`, limit: 9 })).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["boot.power", "boot.script"], "a retry is no event of its own");
  assert.equal(await boots.forScript(node, { retry: 2, target: nothing }), powered.id, "and nothing new is nothing");
});

test("a script that is fetched afresh begins a new boot", async () => {
  const { boots } = await open();
  const one = await boots.forScript(node, { retry: 0, target });
  const two = await boots.forScript(node, { retry: 0, target });
  assert.notEqual(two, one);
  assert.equal((await boots.latest(node))?.id, two);
  assert.equal((await boots.latest("x1000c0s1b0n0"))?.id, undefined);
});

test("boots that begin later have names that sort later, and no two have the same", async () => {
  const { boots } = await open();
  const begin = async () => (await boots.begin(node, nothing)).id;
  const restore = useClock({ now: () => new Date("2026-01-02T03:04:05.678Z") });
  try {
    const early = await Promise.all(Array.from({ length: 50 }, begin));
    useClock({ now: () => new Date("2026-01-02T03:04:05.679Z") });
    const late = await begin();
    assert.equal(new Set(early).size, early.length);
    for (const id of early) assert.ok(/^[0-9a-f]{32}$/.test(id) && id < late, id);
    const chance = early.map((id) => id.slice(12));
    for (let digit = 0; digit < 20; digit += 1) {
      assert.ok(new Set(chance.map((text) => text[digit])).size > 4, `digit ${digit} is chance`);
    }
  } finally {
    restore();
  }
});

test("a node is in its newest boot that went further than its script", async () => {
  const { boots } = await open();
  const current = async () => (await boots.current(node))?.id;
  assert.equal(await current(), undefined);
  const powered = await boots.begin(node, target);
  assert.equal(await current(), undefined);
  await boots.record(powered.id, "power", "server");
  assert.equal(await current(), powered.id);
  const fetched = async () => {
    await boots.forScript(node, { retry: 0, target });
    return boots.forScript(node, { retry: 0, target });
  };
  const stray = await fetched();
  assert.equal(await current(), powered.id);
  await boots.record(stray, "failed", "server");
  assert.equal(await current(), powered.id, "that it was given up here says nothing of the node");
  const own = await fetched();
  await boots.record(own, "kernel", "server");
  assert.equal(await current(), own);
  const refused = await fetched();
  await boots.record(refused, "failed", "node");
  assert.equal(await current(), refused);
  const elsewhere = await boots.forScript(node, { retry: 0, target: nothing });
  assert.equal(await current(), elsewhere, "of files that are not ours no more is seen than the script");
});

test("a retry after a boot that has ended begins a new one", async () => {
  const { boots } = await open();
  const one = await boots.forScript(node, { retry: 0, target });
  await boots.record(one, "failed", "node");
  assert.notEqual(await boots.forScript(node, { retry: 3, target }), one);
});

test("scripts that are fetched at the same time are each in the boot of their node, in the order of the fetches", async () => {
  const { boots, events } = await open();
  const names = Array.from({ length: 300 }, (_, index) => `x1000c0s${index}b0n0`);
  const powered = await boots.begin("x1000c0s7b0n0", nothing);
  const ids = await Promise.all(names.map((xname) => boots.forScript(xname, { retry: 0, target })));
  assert.equal(new Set(ids).size, names.length);
  assert.equal(ids[7], powered.id);
  for (const index of [0, 7, 299]) {
    const boot = await boots.latest(names[index] as string);
    assert.deepEqual([boot?.id, boot?.imageId, boot?.phases.length], [ids[index], "image-1", 1]);
  }
  assert.equal((await events.list({ limit: 1000 })).length, 300);
  const [first, third] = await Promise.all([0, 0].map((retry) => boots.forScript(node, { retry, target })));
  assert.notEqual(first, ids[0]);
  assert.notEqual(third, first);
  assert.equal((await boots.latest(node))?.id, third);
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
  const isGone = (error: unknown) => error instanceof NetkilnError && error.code === "not_found";
  await assert.rejects(boots.list({ limit: 2, after: "ended" }), isGone, "no page is not the last page");
});

test("the boot that came up last is found behind those that did not", async () => {
  const { boots } = await open();
  assert.equal(await boots.lastUp(node), undefined);
  for (const phase of ["ready", "userspace", "root"] as const) {
    await boots.record((await boots.begin(node, target)).id, phase, "node");
  }
  assert.equal((await boots.lastUp(node))?.phases[0]?.phase, "userspace");
});
