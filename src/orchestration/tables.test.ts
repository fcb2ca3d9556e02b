import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase, sql, type Migration } from "../lib/db.ts";
import { migrations as nodeMigrations } from "../node/index.ts";
import { migrations, openBootComponents, openSessionStore } from "./index.ts";

test("what was there before BOS goes on: templates without empty members, components with their status", async () => {
  const db = openDatabase(":memory:");
  const { "0060-orchestration": first } = migrations;
  await migrate(db, { ...nodeMigrations, "0060-orchestration": first as Migration });
  const set = {
    ...{ type: "s3", path: "s3://boot-images/i/manifest.json", etag: "", arch: "X86", kernel_parameters: "" },
    ...{ node_list: ["x1c0s0b0n0"], node_groups: [], cfs: {} },
  };
  const document = JSON.stringify({ name: "t", description: "", enable_cfs: false, cfs: {}, boot_sets: { a: set } });
  await sql`insert into session_template values ('t', ${document})`.execute(db);
  const component = (xname: string, active: number, action: string, error: string | null) =>
    sql`insert into component values (${xname}, 's', 'boot', ${active}, null, null, ${action},
      '2026-01-02T03:04:05.000Z', 1, null, '{}', ${error})`.execute(db);
  await component("x1", 1, "power_on", null);
  await component("x2", 1, "power_off_forceful", null);
  await component("x3", 0, "power_on", "no luck");
  await component("x4", 0, "power_on", null);
  await migrate(db, { ...nodeMigrations, ...migrations });

  assert.deepEqual(await openSessionStore(db).getTemplate("t"), {
    ...{ name: "t", enable_cfs: false },
    boot_sets: { a: { type: "s3", path: set.path, arch: "X86", node_list: set.node_list } },
  });
  const all = await openBootComponents(db).list({ limit: 9 });
  assert.deepEqual(
    all.map(({ phase, status }) => [phase, status]),
    [
      ["powering_on", "power_on_called"],
      ["powering_off", "power_off_forcefully_called"],
      ["", "failed"],
      ["", "stable"],
    ],
  );
});
