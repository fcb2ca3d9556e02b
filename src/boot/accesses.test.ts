import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase, sql } from "../lib/db.ts";
import { migrations, openAccessLog } from "./index.ts";

test("what could not be written is written the next time", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const accesses = openAccessLog(db);
  await sql`create trigger full before insert on boot_access begin select raise(abort, 'no room'); end`.execute(db);
  accesses.note("x1c0s0b0n0", "bootscript");
  await assert.rejects(accesses.flush(), /no room/);
  accesses.note("x1c0s1b0n0", "bootscript");
  await sql`drop trigger full`.execute(db);
  const found = await accesses.list({}, { limit: 9 });
  assert.deepEqual(
    found.map(({ name }) => name),
    ["x1c0s0b0n0", "x1c0s1b0n0"],
  );
  await db.destroy();
});
