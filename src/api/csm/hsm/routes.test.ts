import assert from "node:assert/strict";
import { after, test } from "node:test";
import fastify from "fastify";
import { migrate, openDatabase } from "../../../lib/db.ts";
import { migrations, openInventory, openNodeStore } from "../../../node/index.ts";
import { answerProblems } from "../../problem.ts";
import { registerService } from "../../service.ts";
import { hsmService } from "./routes.ts";

async function openApi() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const app = fastify();
  answerProblems(app);
  after(() => app.close());
  registerService(app, hsmService({ inventory: openInventory(db) }));
  return { app, nodes: openNodeStore(db) };
}

const [one, two, three] = ["x1000c0s0b0n0", "x1000c0s0b0n1", "x1000c0s0b0n2"] as const;

test("a list longer than a page comes whole, in order, and is read as JSON", async () => {
  const { app } = await openApi();
  const Components = Array.from({ length: 2500 }, (_, index) => ({ ID: `x1000c0s0b0n${index}`, State: "Ready" }));
  const url = "/hsm/v2/State/Components";
  assert.equal((await app.inject({ method: "POST", url, payload: { Components } })).statusCode, 204);
  const list: { Components: { ID: string }[] } = (await app.inject({ url })).json();
  const ids = list.Components.map(({ ID }) => ID);
  assert.deepEqual(ids, Components.map(({ ID }) => ID).sort());
});

test("the calls of ochami, with which come no content types", async () => {
  const { app, nodes } = await openApi();
  const ask = async (method: "POST" | "PUT" | "PATCH", path: string, payload: object) => {
    const answer = await app.inject({ method, url: `/hsm/v2${path}`, payload: JSON.stringify(payload) });
    return answer.statusCode;
  };
  const node = (ID: string, NID: number) => ({ ID, NID, Type: "Node", State: "On", Enabled: true });
  assert.equal(await ask("POST", "/State/Components", { Components: [node(one, 5), node(two, 6)] }), 204);
  assert.equal(await ask("PUT", `/State/Components/${one}`, { Component: node(one, 7), Force: true }), 204);
  const swapped = {
    Components: [
      { ID: one, NID: 6 },
      { ID: two, NID: 5 },
    ],
  };
  assert.equal(await ask("PATCH", "/State/Components/BulkNID", swapped), 204);
  assert.deepEqual(
    (await nodes.list()).map(({ nid }) => nid),
    [6, 5],
  );

  const group = { label: "compute", description: "all", members: { ids: [one] } };
  assert.equal(await ask("POST", "/groups", group), 201);
  assert.equal(await ask("POST", "/groups", group), 409);
  assert.equal(await ask("PATCH", "/groups/compute", group), 204);
  assert.equal(await ask("PUT", "/groups/compute/members", { group: "compute", ids: [two, three] }), 201);
  assert.equal(await ask("PUT", "/groups/none/members", { ids: [] }), 404);
  assert.equal(await ask("POST", "/groups/compute/members", { id: one }), 201);
  const { json } = await app.inject({ url: "/hsm/v2/groups/compute/members" });
  assert.deepEqual(json(), { ids: [one, two, three] });
  assert.deepEqual((await nodes.get(two))?.groups, ["compute"]);
});

test("endpoints that count their systems, or tell the same one twice, name the nodes in order", async () => {
  const { app, nodes } = await openApi();
  const system = (uuid: string, mac: string) => ({
    ...{ uri: "/redfish/v1/Systems/Self", uuid, name: "", ethernet_interfaces: [{ mac, ip: "", name: "" }] },
  });
  const Systems = [system("a", "02:00:00:00:00:01"), system("a", "02:00:00:00:00:01"), system("b", "nonsense")];
  const payload = { ID: "x1000c0s0b0", SchemaVersion: 1, Systems, Managers: null };
  const url = "/hsm/v2/Inventory/RedfishEndpoints";
  assert.equal((await app.inject({ method: "POST", url, payload })).statusCode, 201);
  assert.deepEqual(
    (await nodes.list()).map(({ xname, nid, interfaces }) => [xname, nid, interfaces]),
    [
      [one, 1, [{ mac: "02:00:00:00:00:01", ip: undefined }]],
      [two, 2, []],
    ],
  );
});

test("mistakes are told all at once, with title and detail, and nothing is changed", async () => {
  const { app, nodes } = await openApi();
  const url = "/apis/smd/hsm/v2/State/Components";
  const Components = [
    { ID: one, State: "Ready" },
    { ID: "x1", State: "Asleep" },
    { ID: "nid1", State: "Ready", NID: -1 },
  ];
  const answer = await app.inject({ method: "POST", url, payload: { Components } });
  assert.equal(answer.statusCode, 400);
  const { title, detail, problems }: { title: string; detail: string; problems: { message: string }[] } = answer.json();
  assert.deepEqual([title, detail], ["Bad Request", "the request's body is not valid: it has 3 mistakes"]);
  assert.match(problems[0]?.message ?? "", /^Components\[1\]\.State: state 'Asleep' is invalid: one of Unknown, Empty/);
  assert.deepEqual(await nodes.list(), []);
});
