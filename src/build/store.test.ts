import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { processName } from "../lib/process.ts";
import { migrations, openStepStore } from "./store.ts";

test("a step belongs to whoever claims it first, until it is given back or that process is gone", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const steps = openStepStore(db);
  const [own, other] = [processName(), "elsewhere:1:1"];
  assert.equal(await steps.claim("key", own), true);
  assert.equal(await steps.claim("key", other), false);
  assert.equal(await steps.claim("key", own), true, "it could not be given back, and is wanted again");
  await steps.disclaim("key", own);
  assert.equal(await steps.claim("key", other), true);
  assert.equal(await steps.claim("key", own), false);
  const gone = processName().replace(/:\d+:\d+$/, ":4194303:1");
  assert.equal(await steps.claim("of a dead process", gone), true);
  assert.equal(await steps.claim("of a dead process", own), true);
});
