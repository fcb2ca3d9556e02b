import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase, sql } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { migrations, openInventory, openNodeStore, parseNode, type ComponentFilter } from "./index.ts";
import { canonicalXname, typeOfXname } from "./xname.ts";

async function openAll() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  return { db, nodes: openNodeStore(db), ...openInventory(db) };
}

function component(xname: string, nid?: number) {
  return {
    ...({ xname, state: "Ready", flag: "OK", enabled: true, softwareStatus: undefined, role: undefined, nid } as const),
    ...{ subRole: undefined, subtype: undefined, netType: undefined, arch: undefined, class: undefined },
  };
}

test("an xname says what it is", () => {
  assert.equal(typeOfXname("x1000c0s0b0n0"), "Node");
  assert.equal(typeOfXname("x3000m0p0v12"), "CabinetPDUPowerConnector");
  assert.equal(typeOfXname("x1000c0r3b0"), "RouterBMC");
  assert.equal(typeOfXname("x1000c0s0b0n"), undefined);
  assert.equal(typeOfXname("nid000001"), undefined);
  assert.equal(canonicalXname(" X1000C0S00B0N01 "), "x1000c0s0b0n1");
});

test("nodes, groups and interfaces of before are components now", async () => {
  const db = openDatabase(":memory:");
  const { "0030-node": before, ...later } = migrations;
  assert.ok(before);
  await migrate(db, { "0030-node": before });
  await sql`insert into node values
    ('x1c0s0b0n0', 3, 'Compute', null, 'X86', 1, 'Ready', 1, 'quiet', 'virtual', '{"a":1}')`.execute(db);
  await sql`insert into node_interface values ('52:54:00:00:00:01', 'x1c0s0b0n0', 0, '10.0.0.1')`.execute(db);
  await sql`insert into node_group values ('green', 'some')`.execute(db);
  await sql`insert into node_group_member values ('green', 'x1c0s0b0n0')`.execute(db);
  await migrate(db, { "0030-node": before, ...later });
  assert.deepEqual(await openNodeStore(db).list(), [
    {
      ...{ xname: "x1c0s0b0n0", nid: 3, alias: "nid000003", role: "Compute", subRole: undefined, arch: "X86" },
      ...{ enabled: true, state: "Ready", locked: true, groups: ["green"], kernelParameters: "quiet" },
      interfaces: [{ mac: "52:54:00:00:00:01", ip: "10.0.0.1" }],
      power: { driver: "virtual", options: { a: 1 } },
    },
  ]);
});

test("a node gets a role and a nid, and is a node everywhere; other components are none", async () => {
  const { nodes, components } = await openAll();
  await nodes.put(parseNode({ xname: "x1c0s0b0n0", nid: 5 }));
  await components.create([component("x1c0s0b0n1"), component("x1c0s0b0")], { force: false });
  assert.deepEqual(
    (await nodes.list()).map(({ xname, nid, role }) => [xname, nid, role]),
    [
      ["x1c0s0b0n0", 5, "Compute"],
      ["x1c0s0b0n1", 6, "Compute"],
    ],
  );
  assert.equal(await nodes.get("x1c0s0b0"), undefined);
  assert.equal((await components.get("x1c0s0b0"))?.nid, undefined);
});

test("what is there already keeps its nid and role, also when forced", async () => {
  const { nodes, components } = await openAll();
  await nodes.put(parseNode({ xname: "x1c0s0b0n0", nid: 5, role: "Management" }));
  await components.create([{ ...component("x1c0s0b0n0", 9), state: "Off" }], { force: false });
  assert.equal((await components.get("x1c0s0b0n0"))?.state, "Unknown");
  await components.create([{ ...component("x1c0s0b0n0", 9), state: "Off", class: "River" }], { force: true });
  const { state, nid, role, class: its } = (await components.get("x1c0s0b0n0")) ?? {};
  assert.deepEqual([state, nid, role, its], ["Off", 5, "Management", "River"]);
});

test("filters: several values, what is not, what stands within, nids, groups", async () => {
  const { components, groups } = await openAll();
  const names = ["x1c1", "x1c1s0b0", "x1c1s0b0n0", "x1c10s0b0n0", "x2c0r0b0"];
  await components.create(
    names.map((xname) => component(xname)),
    { force: false },
  );
  await components.change(["x1c10s0b0n0"], { state: "Off", flag: "OK" });
  await groups.create({ label: "g", description: "", tags: [], exclusive: undefined, members: ["x1c10s0b0n0"] });
  const found = async (filter: ComponentFilter) =>
    (await components.list(filter, { limit: 10 })).map(({ xname }) => xname);
  assert.deepEqual(await found({ within: ["x1c1"] }), ["x1c1", "x1c1s0b0", "x1c1s0b0n0"]);
  assert.deepEqual(await found({ type: ["NodeBMC", "RouterBMC"] }), ["x1c1s0b0", "x2c0r0b0"]);
  assert.deepEqual(await found({ type: ["!Node", "!Chassis"] }), ["x1c1s0b0", "x2c0r0b0"]);
  assert.deepEqual(await found({ state: ["Off"], group: ["g", "none"] }), ["x1c10s0b0n0"]);
  assert.deepEqual(await found({ type: ["Node"], group: ["NULL"] }), ["x1c1s0b0n0"]);
  assert.deepEqual(
    await found({
      nids: [
        [2, 2],
        [1, 1],
      ],
    }),
    ["x1c10s0b0n0", "x1c1s0b0n0"],
  );
  const second = await components.list({}, { after: "x1c10s0b0n0", limit: 1 });
  assert.deepEqual(
    second.map(({ xname }) => xname),
    ["x1c1s0b0"],
  );
});

test("a change of many is made of all or of none, and nids can be swapped", async () => {
  const { components } = await openAll();
  const [one, two] = ["x1c0s0b0n0", "x1c0s0b0n1"] as const;
  await components.create([component(one, 1), component(two, 2)], { force: false });
  await assert.rejects(
    components.change([one, "x9c0s0b0n0"], { state: "Off" }),
    (error) => error instanceof NetkilnError && error.code === "not_found",
  );
  assert.equal((await components.get(one))?.state, "Ready");
  await components.changeNids(
    new Map([
      [one, 2],
      [two, 1],
    ]),
  );
  assert.equal((await components.getByNid(1))?.xname, two);
  await assert.rejects(components.changeNids(new Map([[one, 1]])), /nid 1 belongs to x1c0s0b0n1/);
  await assert.rejects(components.create([component("x1c0s0b0n2", 1)], { force: false }), /nid 1 belongs to/);
});
