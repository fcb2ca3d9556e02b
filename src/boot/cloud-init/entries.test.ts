import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../../lib/db.ts";
import { migrations as nodeMigrations, openNodeStore, parseNode } from "../../node/index.ts";
import { drill, entryMetaData, entryUserData, migrations, openBootEntries } from "../index.ts";

const mac = "52:54:00:00:00:01";

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...migrations });
  const node = await openNodeStore(db).put(
    parseNode({ xname: "x1c0s0b0n0", nid: 1, subRole: "UAN", interfaces: [{ mac }] }),
  );
  const entries = openBootEntries(db);
  const put = (names: { hosts?: string[]; macs?: string[]; nids?: number[] }, cloudInit: Record<string, unknown>) =>
    entries.put({ hosts: [], macs: [], nids: [], ...names }, { params: "", kernel: "", initrd: "", cloudInit });
  return { node, entries, put };
}

test("a node's data lie over those of its subrole, and these over those of its role", async () => {
  const { node, entries, put } = await open();
  const data = (who: string) => ({ who, [who]: true, deep: { who, [who]: [who] } });
  await put({ hosts: ["Compute"] }, { "meta-data": data("role"), "user-data": data("role") });
  await put({ hosts: ["UAN"] }, { "meta-data": data("sub"), "user-data": data("sub") });
  await put({ hosts: [node.xname] }, { "meta-data": data("own"), "user-data": data("own") });
  const merged = {
    ...{ who: "own", role: true, sub: true, own: true },
    deep: { who: "own", role: ["role"], sub: ["sub"], own: ["own"] },
  };
  assert.deepEqual(await entryUserData(entries, node), { ...merged, "local-hostname": node.xname });
  const meta = await entryMetaData(entries, node);
  const id = meta["instance-id"];
  assert.match(String(id), /^x1c0s0b0n0-[0-9a-f]{12}$/);
  assert.deepEqual(meta, {
    ...{ "instance-id": id, "local-hostname": node.xname, "shasta-type": "Compute", "shasta-role": "UAN" },
    ...merged,
    Global: {},
  });
});

test("names and ids that are given stay", async () => {
  const { node, entries, put } = await open();
  await put({ hosts: [node.xname] }, { "meta-data": { "local-hostname": "login", "instance-id": "i-7" } });
  const meta = await entryMetaData(entries, node);
  assert.deepEqual([meta["local-hostname"], meta["instance-id"]], ["login", "i-7"]);
  assert.deepEqual(await entryUserData(entries, node), { "local-hostname": "login" });
});

test("Default is for unknown nodes, and for those of which nothing else is said", async () => {
  const { node, entries, put } = await open();
  await put({ hosts: ["Default"] }, { "meta-data": { from: "Default" }, "user-data": { from: "Default" } });
  await put({ hosts: ["Global"] }, { "meta-data": { ntp: { servers: ["a", "b"] } } });
  assert.deepEqual(await entryMetaData(entries, undefined), {
    ...{ "instance-id": "default", from: "Default" },
    Global: { ntp: { servers: ["a", "b"] } },
  });
  assert.deepEqual(await entryUserData(entries, undefined), { from: "Default" });
  assert.equal((await entryMetaData(entries, node))["from"], "Default");
  await put({ hosts: ["Compute"] }, {});
  assert.equal((await entryMetaData(entries, node))["from"], undefined);
});

test("a node's own entry stands under its xname, alias, MAC address or nid", async () => {
  const { node, entries, put } = await open();
  assert.deepEqual(await entryUserData(entries, node), { "local-hostname": node.xname });
  for (const names of [{ nids: [1] }, { macs: [mac] }, { hosts: [node.alias] }, { hosts: [node.xname] }]) {
    await put(names, { "user-data": names });
    assert.deepEqual(await entryUserData(entries, node), { ...names, "local-hostname": node.xname });
  }
});

test("drilling finds what is there, and nothing that only looks so", () => {
  const data = JSON.parse('{"a": {"b": {"c": [1]}}, "n": null, "__proto__": {"x": 1}}') as Record<string, unknown>;
  assert.deepEqual(drill(data, "a.b"), { c: [1] });
  assert.deepEqual(drill(data, "a.b.c"), [1]);
  assert.equal(drill(data, "n"), null);
  for (const path of ["a.x", "a.b.c.0", "constructor", "a.toString", "", "a."]) {
    assert.equal(drill(data, path), undefined, path);
  }
});
