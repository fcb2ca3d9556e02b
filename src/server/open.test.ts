import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { migrate, openDatabase, sql, type Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { migrations } from "../node/index.ts";
import { readConfig } from "./config.ts";
import { openHouse } from "./open.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-open-"));
});
after(() => rm(folder, { recursive: true }));

/** Nodes as version 0.1.0 kept them. */
async function plantOldNodes(data: string, names: readonly string[]): Promise<void> {
  const db = openDatabase(join(data, "netkiln.db"));
  await migrate(db, { "0030-node": migrations["0030-node"] ?? assert.fail() });
  for (const [index, xname] of names.entries()) {
    await sql`insert into node (xname, nid, role, arch, enabled, state, locked, kernel_parameters, power_driver, power_options)
      values (${xname}, ${index + 1}, 'Compute', 'X86', 1, 'Off', 0, '', 'simulated', '{}')`.execute(db);
  }
  await db.destroy();
}

async function namesIn(db: Database, table: string): Promise<string[]> {
  const { rows } = await sql<{ xname: string }>`select xname from ${sql.table(table)} order by xname`.execute(db);
  return rows.map(({ xname }) => xname);
}

const open = (data: string) => openHouse(readConfig({ data }, { NETKILN_CONFIG: undefined }));

test("nodes of before whose names nobody can ask for now are told, and nothing is changed", async () => {
  const data = join(folder, "zeros");
  const names = ["x0100c0s0b0n0", "x1000c0s0b0n0", "x1000c0s00b0n1", "x1000c0s0b0n1"];
  await plantOldNodes(data, names);
  await assert.rejects(open(data), (error: NetkilnError) => {
    assert.equal(error.code, "refused");
    assert.deepEqual(
      error.problems.map(({ message }) => message),
      ["x0100c0s0b0n0: it would be x100c0s0b0n0 now", "x1000c0s00b0n1: it would be x1000c0s0b0n1 now"],
    );
    assert.match(error.hint ?? "", /^nothing was changed: start the netkiln of before/);
    return true;
  });
  const db = openDatabase(join(data, "netkiln.db"));
  assert.deepEqual(await namesIn(db, "node"), names.toSorted());
  await assert.rejects(namesIn(db, "inventory_component"), /no such table/);
  await db.destroy();
});

test("nodes of before with other names go along", async () => {
  const data = join(folder, "plain");
  const names = ["x1000c0s0b0n0", "x100c10s0b0n20"];
  await plantOldNodes(data, names);
  const house = await open(data);
  assert.deepEqual(
    (await house.nodes.list()).map(({ xname }) => xname),
    names,
  );
  await house.db.destroy();
});
