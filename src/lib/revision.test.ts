import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { migrate, openDatabase, prepareRead, readTogether, sql } from "./db.ts";
import { countChanges, countOnly, openRevision } from "./revision.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-revision-"));
after(() => rm(folder, { recursive: true }));

const migrations = {
  "0001-things": {
    // oxlint-disable-next-line typescript/no-explicit-any -- as migrations get it
    up: async (db: any) => {
      await sql`create table thing (name text, state text)`.execute(db);
      await sql`create table other (name text)`.execute(db);
      await countChanges(db, "things", { thing: ["name"], other: [] });
    },
  },
};

test("a revision grows with what counts, whoever writes it, once it is committed", async () => {
  const file = join(folder, "a.db");
  const [one, two] = [openDatabase(file), openDatabase(file)];
  await migrate(one, migrations);
  const revision = openRevision(one);
  const names = prepareRead<{ name: string }>(one, "select name from thing where state = ?");
  let last = revision();
  const grew = () => last < (last = revision());

  await sql`insert into thing values ('a', 'on')`.execute(two);
  assert.ok(grew(), "another connection wrote");
  await sql`update thing set state = 'off'`.execute(one);
  assert.ok(!grew(), "a column that does not count");
  await sql`update thing set name = 'b'`.execute(one);
  assert.ok(grew());
  await sql`insert into other values ('x')`.execute(one);
  await sql`delete from other`.execute(two);
  assert.ok(grew());
  const failed = one.transaction().execute(async (trx) => {
    await sql`insert into thing values ('c', 'off')`.execute(trx);
    assert.ok(!grew(), "not committed yet");
    assert.deepEqual(
      names("off").map(({ name }) => name),
      ["b"],
    );
    throw new Error("no");
  });
  await assert.rejects(failed, /no/);
  assert.ok(!grew());
  await Promise.all([one.destroy(), two.destroy()]);
});

test("reads together see the same, and what came meanwhile is seen by the next", async () => {
  const file = join(folder, "b.db");
  const [one, two] = [openDatabase(file), openDatabase(file)];
  await migrate(one, migrations);
  const revision = openRevision(one);
  let written: Promise<unknown> | undefined;
  const seen = readTogether(one, () => {
    const before = revision();
    written = sql`insert into thing values ('a', 'on')`.execute(two);
    return [before, revision()];
  });
  assert.equal(seen[0], seen[1]);
  await written;
  const failing = () =>
    readTogether(one, () => {
      throw new Error("no");
    });
  assert.throws(failing, /no/);
  assert.equal(revision(), (seen[0] ?? 0) + 1);
  await Promise.all([one.destroy(), two.destroy()]);
});

test("a table whose updates count no longer all counts those that give named columns another value", async () => {
  const db = openDatabase(":memory:");
  // oxlint-disable-next-line typescript/no-explicit-any -- as migrations get it
  const up = (trx: any) => countOnly(trx, "things", "other", ["name"]);
  const wider = { up: async (trx: typeof db) => void (await sql`alter table other add column note text`.execute(trx)) };
  await migrate(db, { ...migrations, "0002-note": wider, "0003-fewer": { up } });
  const revision = openRevision(db);
  let last = revision();
  const grew = () => last < (last = revision());
  await sql`insert into other (name) values (null)`.execute(db);
  assert.ok(grew());
  for (const [change, counts] of [
    [sql`name = null, note = 'x'`, false],
    [sql`name = 'a', note = 'x'`, true],
    [sql`name = 'a'`, false],
    [sql`name = null`, true],
  ] as const) {
    await sql`update other set ${change}`.execute(db);
    assert.equal(grew(), counts);
  }
  await db.destroy();
});
