import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { migrate, openDatabase, sql, watchChanges, type Database } from "./db.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-db-"));
after(() => rm(folder, { recursive: true }));

/** Far longer than a test may take. */
const long = 60_000;

async function withTable(db: Database): Promise<Database> {
  await sql`create table thing (name text)`.execute(db);
  return db;
}

const add = (db: Database) => sql`insert into thing values ('a')`.execute(db);

test("who waits for changes hears of those of its own connection and of others, also of earlier ones", async () => {
  const file = join(folder, "a.db");
  const [one, two] = [await withTable(openDatabase(file)), openDatabase(file)];
  const changes = watchChanges(one);
  for (const db of [one, two]) {
    const waiting = changes.next(long);
    await add(db);
    await waiting;
  }
  await add(two);
  await changes.next(long);
  const began = performance.now();
  await changes.next(50);
  assert.ok(performance.now() - began >= 45, "nobody has changed anything");
  await Promise.all([one.destroy(), two.destroy()]);
});

test("so it is with a database in memory, and an end can be put to it", async () => {
  const db = await withTable(openDatabase(":memory:"));
  const changes = watchChanges(db);
  await add(db);
  await changes.next(long);
  const stop = new AbortController();
  const waiting = changes.next(long, stop.signal);
  stop.abort();
  await waiting;
  await db.destroy();
});

test("migrations that are cut short leave the schema of before, and can be run again", async () => {
  const db = openDatabase(join(folder, "cut.db"));
  const first = { "0001-thing": { up: async (trx: Database) => void (await withTable(trx)) } };
  await migrate(db, first);
  const change = async (trx: Database) => {
    await sql`alter table thing add column size integer`.execute(trx);
  };
  const cut = async (trx: Database) => {
    await change(trx);
    throw new Error("cut short");
  };
  const second = (up: (trx: Database) => Promise<void>) => ({ ...first, "0002-size": { up } });
  await assert.rejects(migrate(db, second(cut)), { code: "internal" });
  await assert.rejects(sql`select size from thing`.execute(db), /no such column/);
  await migrate(db, second(change));
  await sql`select size from thing`.execute(db);
  await db.destroy();
});
