import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openTokenStore } from "./store.ts";

test("a token lets its caller in until it expires or is removed, and is not kept", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const tokens = openTokenStore(db);
  const { secret, ...ci } = await tokens.create({ name: "ci", days: 1, role: "operator", tenant: "blue" });
  assert.deepEqual([ci.role, ci.tenant], ["operator", "blue"]);
  assert.deepEqual(await tokens.check(secret), ci);
  assert.equal(await tokens.check(`${secret}0`), undefined);
  assert.equal(JSON.stringify(await tokens.list({ limit: 10 })).includes(secret), false);
  await assert.rejects(tokens.create({ name: "ci", days: 1, role: "reader" }), /already a token "ci"/);
  const restore = useClock({ now: () => new Date(Date.now() + 2 * 86_400_000) });
  assert.equal(await tokens.check(secret), undefined);
  restore();
  assert.equal(await tokens.remove("ci"), true);
  assert.equal(await tokens.check(secret), undefined);
});

test("a token of before there were roles can do what it could", async () => {
  const db = openDatabase(":memory:");
  const { "0005-access": first, ...later } = migrations;
  await migrate(db, { "0005-access": first! });
  const old = db.withTables<{ token: { name: string; hash: string; created: string; expires: string } }>();
  const row = { name: "old", hash: "0", created: "2026-01-01T00:00:00Z", expires: "2126-01-01T00:00:00Z" };
  await old.insertInto("token").values(row).execute();
  await migrate(db, { "0005-access": first!, ...later });
  const { hash: _, ...shown } = row;
  assert.deepEqual(await openTokenStore(db).list({ limit: 1 }), [{ ...shown, role: "admin" }]);
});
