import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openGcRunStore } from "./gc-runs.ts";
import { addRemoved, emptyReport, itemsKept } from "./report.ts";

test("of two garbage collections at once the second is refused, and what one did is kept", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const runs = openGcRunStore(db);
  assert.equal(await runs.newest(), undefined);
  const first = await runs.create();
  assert.equal(first.status, "pending");
  await runs.save(first.id, "removing blobs", addRemoved(emptyReport(), "blob", "abc", 5));
  await assert.rejects(runs.create(), /a garbage collection is under way already \(.*: removing blobs\)/);
  await runs.finish(first.id);
  const second = await runs.create();
  assert.deepEqual([(await runs.find(first.id))?.status, (await runs.find(first.id))?.report.freed], ["succeeded", 5]);
  await runs.finish(second.id, { code: "internal", message: "broken" });
  const newest = await runs.newest();
  assert.deepEqual([newest?.id, newest?.status, newest?.error?.message], [second.id, "failed", "broken"]);
});

test("a report counts everything and names the largest", () => {
  let report = emptyReport();
  for (let size = 0; size < itemsKept + 5; size += 1) report = addRemoved(report, "layer", `l${size}`, size);
  assert.equal(report.removed.layer.count, itemsKept + 5);
  assert.equal(report.freed, ((itemsKept + 4) * (itemsKept + 5)) / 2);
  assert.equal(report.items.length, itemsKept);
  assert.ok(!report.items.some(({ name }) => name === "l0"));
});
