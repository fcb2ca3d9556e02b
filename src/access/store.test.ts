import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openTokenStore } from "./store.ts";

test("a token lets its caller in until it expires or is removed, and is not kept", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const tokens = openTokenStore(db);
  const { secret } = await tokens.create("ci", 1);
  assert.equal(await tokens.check(secret), "ci");
  assert.equal(await tokens.check(`${secret}0`), undefined);
  assert.equal(JSON.stringify(await tokens.list({ limit: 10 })).includes(secret), false);
  await assert.rejects(tokens.create("ci", 1), /already a token "ci"/);
  const restore = useClock({ now: () => new Date(Date.now() + 2 * 86_400_000) });
  assert.equal(await tokens.check(secret), undefined);
  restore();
  assert.equal(await tokens.remove("ci"), true);
  assert.equal(await tokens.check(secret), undefined);
});
