import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openRunStore } from "./index.ts";
import type { Plan } from "./ports.ts";

test("who waits for a run hears of the next one, and of that alone", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const runs = openRunStore(db);
  const plan = { configurations: [], images: [], templates: [] } as unknown as Plan;
  const first = runs.nextCreated();
  assert.equal(runs.nextCreated(), first);
  assert.equal(first.aborted, false);
  await runs.create("bootprep.yaml", plan);
  assert.equal(first.aborted, true);
  assert.equal(runs.nextCreated().aborted, false);
});
