import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { migrations, openInventory, openNodeStore, parseNode } from "./index.ts";

async function openStore() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  return { ...openNodeStore(db), locks: openInventory(db).locks };
}

const first = { xname: "x1000c0s0b0n0", nid: 1, interfaces: [{ mac: "52-54-00-AA-00-01", ip: "10.0.2.15" }] };
const second = { xname: "x1000c0s1b0n0", nid: 2, groups: ["gpu"], role: "Application", subRole: "UAN" };

test("a node is found by xname, alias, nid and any spelling of its MAC address", async () => {
  const nodes = await openStore();
  await nodes.put(parseNode(first));
  for (const name of ["x1000c0s0b0n0", "nid000001", "nid1", "1", "52:54:00:aa:00:01", "525400AA0001"]) {
    assert.equal((await nodes.find(name))?.xname, "x1000c0s0b0n0", name);
  }
  assert.equal(await nodes.find("nid000002"), undefined);
  const node = await nodes.get("x1000c0s0b0n0");
  assert.equal(node?.alias, "nid000001");
  assert.equal(node.role, "Compute");
  assert.deepEqual(node.interfaces, [{ mac: "52:54:00:aa:00:01", ip: "10.0.2.15" }]);
});

test("a nid or MAC address of another node is a conflict that names it, and changes nothing", async () => {
  const nodes = await openStore();
  await nodes.put(parseNode(first));
  await nodes.put(parseNode(second));
  const isConflict = (text: RegExp) => (error: unknown) =>
    error instanceof NetkilnError && error.code === "conflict" && text.test(error.message);
  await assert.rejects(nodes.put(parseNode({ ...second, nid: 1 })), isConflict(/nid 1 belongs to x1000c0s0b0n0/));
  await assert.rejects(
    nodes.put(parseNode({ ...second, interfaces: first.interfaces })),
    isConflict(/52:54:00:aa:00:01 belongs to x1000c0s0b0n0/),
  );
  assert.equal((await nodes.get("x1000c0s1b0n0"))?.nid, 2);
});

test("putting a node again replaces what is said about it and keeps its lock and state", async () => {
  const nodes = await openStore();
  await nodes.put(parseNode(second));
  await nodes.locks.setLocked({ xnames: ["x1000c0s1b0n0"] }, true, "rigid");
  await nodes.setState("x1000c0s1b0n0", "Ready");
  const node = await nodes.put(parseNode({ ...second, groups: ["cpu"] }));
  assert.deepEqual(node.groups, ["cpu"]);
  assert.equal(node.locked, true);
  assert.equal(node.state, "Ready");
  assert.deepEqual((await nodes.getGroup("gpu"))?.members, []);
});

test("lists go in pages and by role, group and state", async () => {
  const nodes = await openStore();
  await nodes.put(parseNode(second));
  await nodes.put(parseNode(first));
  const names = async (query: Parameters<typeof nodes.list>[0]) => (await nodes.list(query)).map(({ nid }) => nid);
  assert.deepEqual(await names({}), [1, 2]);
  assert.deepEqual(await names({ limit: 1 }), [1]);
  assert.deepEqual(await names({ after: "x1000c0s0b0n0" }), [2]);
  assert.deepEqual(await names({ role: "Application" }), [2]);
  assert.deepEqual(await names({ group: "gpu" }), [2]);
  assert.deepEqual(await names({ state: "Ready" }), []);
});

test("a group holds only nodes that are there, and loses those that go", async () => {
  const nodes = await openStore();
  await nodes.put(parseNode(first));
  await assert.rejects(
    nodes.putGroup({ label: "all", description: "", members: ["x9c0s0b0n0"] }),
    /there is no node x9c0s0b0n0/,
  );
  assert.equal(await nodes.getGroup("all"), undefined);
  await nodes.putGroup({ label: "all", description: "every one", members: ["x1000c0s0b0n0"] });
  assert.deepEqual((await nodes.get("x1000c0s0b0n0"))?.groups, ["all"]);
  assert.equal(await nodes.remove("x1000c0s0b0n0"), true);
  assert.equal(await nodes.remove("x1000c0s0b0n0"), false);
  assert.deepEqual(await nodes.listGroups(), [{ label: "all", description: "every one", members: [] }]);
});

test("every mistake of a node is reported at once", () => {
  const bad = { xname: "x1c0", nid: 0, interfaces: [{ mac: "zz", ip: "300.1.1.1" }], colour: "red" };
  assert.throws(
    () => parseNode(bad),
    (error: unknown) => {
      assert.ok(error instanceof NetkilnError);
      const text = error.problems.map(({ message }) => message).join("\n");
      for (const part of [
        "xname: must be",
        "nid:",
        'interfaces[0].mac: "zz" is no MAC',
        "interfaces[0].ip:",
        "colour",
      ]) {
        assert.ok(text.includes(part), `${part} in:\n${text}`);
      }
      return true;
    },
  );
});
