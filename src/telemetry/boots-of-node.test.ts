import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase, sql } from "../lib/db.ts";
import { fileBoots } from "./boots-of-node.ts";
import { endBoots, migrations, openBootRecords, openEventStore } from "./index.ts";

const [one, two] = ["x1000c0s0b0n0", "x1000c0s1b0n0"] as const;
const target = { imageId: "image-1", expectedBuildId: "build-1" };
const yesterday = new Date(Date.now() - 86_400_000);

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const events = openEventStore(db);
  return { db, events, boots: openBootRecords(db, events) };
}

test("boots are found by their node before and after they are filed, and where some are", async () => {
  const { db, boots } = await open();
  const ids: string[] = [];
  const fetchOnce = async (xname: string) => {
    const id = await boots.forScript(xname, { retry: 0, target });
    if (xname === one) ids.unshift(id);
    return id;
  };
  for (let turn = 0; turn < 3; turn += 1) {
    await fetchOnce(one);
    const other = await fetchOnce(two);
    const look = async () => {
      assert.deepEqual(
        (await boots.list({ xname: one, limit: 9 })).map(({ id }) => id),
        ids,
      );
      assert.equal((await boots.latest(one))?.id, ids[0]);
      assert.equal((await boots.latest(two))?.id, other);
      assert.equal(await boots.forScript(one, { retry: 1, target }), ids[0], "a retry stays in it");
    };
    await look();
    if (turn === 1) continue;
    await fileBoots(db);
    await look();
  }
});

test("boots are filed by themselves when there are many", async () => {
  const { db, boots } = await open();
  const count = async () => {
    const { rows } = await sql<{ count: number }>`select count(*) as count from boot_of_node`.execute(db);
    return rows[0]?.count;
  };
  await boots.forScripts(Array.from({ length: 7999 }, (_, n) => ({ xname: `x${n}c0s0b0n0`, retry: 0, target })));
  assert.equal(await count(), 0);
  await boots.begin(one, target);
  assert.equal(await count(), 8000);
});

test("the event of a script says the same after its boot has ended, and is found by its node", async () => {
  const { db, events, boots } = await open();
  const detail = { because: 'it is "so"', address: "10.0.0.1" };
  const fetchOnce = (xname: string) => boots.forScript(xname, { retry: 0, target, detail });
  const first = await fetchOnce(one);
  await boots.record((await boots.begin(one, target)).id, "power", "server");
  for (const xname of [one, two]) await fetchOnce(xname);
  await events.record("session:boot", "session.running");
  const told = await events.list({ limit: 9 });
  assert.deepEqual(
    told.map(({ subject, kind }) => `${subject} ${kind}`),
    [
      ...["script", "power", "script"].map((phase) => `node:${one} boot.${phase}`),
      ...[`node:${two} boot.script`, "session:boot session.running"],
    ],
  );
  const time = (await boots.get(first))?.phases[0]?.time;
  assert.deepEqual(told[0]?.data, { ...detail, boot: first, time, source: "server" });
  const ofOne = (query: { after?: number; limit: number }) =>
    events.list({ subject: [`node:${one}`, "session:boot"], ...query });
  const wanted = told.filter(({ subject }) => subject !== `node:${two}`);
  assert.deepEqual(await ofOne({ limit: 9 }), wanted);
  assert.deepEqual(await ofOne({ after: told[0]?.id ?? 0, limit: 2 }), wanted.slice(1, 3));
  await sql`update boot set started = ${yesterday.toISOString()}`.execute(db);
  assert.equal(await endBoots(db, { before: new Date(), keepLast: 1, kept: new Map(), carryOut: true }), 1);
  assert.equal(await boots.get(first), undefined);
  assert.deepEqual(await events.list({ limit: 9 }), told);
  assert.deepEqual(await ofOne({ limit: 9 }), wanted);
});

test("what an older netkiln has recorded is shown as before", async () => {
  const db = openDatabase(":memory:");
  const older = Object.entries(migrations).filter(([name]) => name < "0610");
  await migrate(db, Object.fromEntries(older));
  const time = "2026-01-02T03:04:05.678Z";
  await sql`insert into boot (id, xname, image_id, expected_build_id, started) values ('b', ${one}, 'i', 'e', ${time})`.execute(
    db,
  );
  for (const phase of ["power", "script", "kernel"]) {
    await sql`insert into boot_phase (boot, phase, time, source, detail) values ('b', ${phase}, ${time}, 'server', '{"a":1}')`.execute(
      db,
    );
    await sql`insert into event (time, subject, kind, data) values ('t', ${`node:${one}`}, ${`boot.${phase}`}, '{"a":1}')`.execute(
      db,
    );
  }
  await migrate(db, migrations);
  const events = openEventStore(db);
  const boots = openBootRecords(db, events);
  const phases = ["power", "script", "kernel"].map((phase) => ({ phase, time, source: "server", detail: { a: 1 } }));
  assert.deepEqual((await boots.latest(one))?.phases, phases);
  assert.equal(await boots.forScript(one, { retry: 1, target: { imageId: "i", expectedBuildId: "e" } }), "b");
  const seen = await events.list({ subject: `node:${one}`, limit: 9 });
  assert.deepEqual(
    seen.map(({ kind, data }) => [kind, data]),
    phases.map(({ phase, detail }) => [`boot.${phase}`, detail]),
  );
});
