import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase, sql } from "../lib/db.ts";
import { migrations, openNodeFinder, openNodeStore, parseNode } from "./index.ts";

test("a node's interfaces come in the order of their positions, not in that of their rows", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const interfaces = Array.from({ length: 12 }, (_, index) => ({ mac: `52:54:00:aa:00:${index + 10}` }));
  await openNodeStore(db).put(parseNode({ xname: "x1000c0s0b0n0", nid: 1, interfaces }));
  await sql`update inventory_interface set position = 11 - position`.execute(db);
  assert.deepEqual(openNodeFinder(db).find("x1000c0s0b0n0")?.interfaces, interfaces.toReversed());
});
