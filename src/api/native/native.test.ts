import assert from "node:assert/strict";
import { after, test } from "node:test";
import fastify from "fastify";
import { migrations as bootMigrations, openBootScripts } from "../../boot/index.ts";
import { migrate, openDatabase } from "../../lib/db.ts";
import { errorCodes, NetkilnError } from "../../lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore } from "../../node/index.ts";
import { migrations as sessionMigrations, openSessionStore } from "../../orchestration/index.ts";
import { migrations as powerMigrations, openPower } from "../../power/index.ts";
import { migrations as telemetryMigrations, openBootRecords, openEventStore } from "../../telemetry/index.ts";
import { registerBoots } from "./boots.ts";
import { registerGroups } from "./groups.ts";
import { registerNodes } from "./nodes.ts";
import { registerSessions } from "./sessions.ts";
import { registerTemplates } from "./templates.ts";

async function openApi() {
  const db = openDatabase(":memory:");
  await migrate(db, {
    ...telemetryMigrations,
    ...nodeMigrations,
    ...bootMigrations,
    ...powerMigrations,
    ...sessionMigrations,
  });
  const nodes = openNodeStore(db);
  const sessions = openSessionStore(db);
  const boots = openBootRecords(db, openEventStore(db));
  const power = openPower({ database: db, dataDir: "/nowhere", doorPort: () => 1 });
  let woken = 0;
  const app = fastify();
  app.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof NetkilnError ? errorCodes[error.code].status : 500).send({ detail: String(error) }),
  );
  after(() => app.close());
  const inventory = openInventory(db);
  const scripts = openBootScripts({ db, findImage: async () => undefined });
  registerNodes(app, { nodes, inventory, scripts, power, door: () => "10.1.0.1:8080" });
  registerGroups(app, { nodes });
  registerTemplates(app, { sessions });
  registerSessions(app, { sessions, wake: () => (woken += 1) });
  registerBoots(app, { boots, nodes });
  const call = async (method: "GET" | "POST" | "PUT" | "DELETE", path: string, payload?: object) => {
    const response = await app.inject({ method, url: `/apis/netkiln/v1${path}`, ...(payload && { payload }) });
    const isJson = String(response.headers["content-type"]).startsWith("application/json");
    return { status: response.statusCode, body: isJson ? response.json() : response.body };
  };
  return { call, boots, inventory, sessions, woken: () => woken };
}

const one = { xname: "x1c0s0b0n0", nid: 1, interfaces: [{ mac: "52:54:00:00:00:01", ip: "10.1.0.11" }] };

test("nodes: add, change, find, lock, switch, remove", async () => {
  const { call } = await openApi();
  assert.equal((await call("POST", "/nodes", one)).status, 201);
  assert.equal((await call("POST", "/nodes", one)).status, 409);
  assert.equal((await call("PUT", "/nodes/x1c0s1b0n0", { nid: 1 })).status, 409);
  assert.equal((await call("PUT", "/nodes/x1c0s1b0n0", { nid: 2 })).body.alias, "nid000002");
  assert.equal((await call("PUT", "/nodes/x1c0s1b0n0", { xname: "x1c0s2b0n0", nid: 2 })).status, 400);
  assert.equal((await call("PUT", "/nodes/zzz", { nid: 3 })).status, 400);
  assert.equal((await call("GET", "/nodes/52:54:00:00:00:01")).body.xname, one.xname);
  assert.equal((await call("GET", "/nodes/nid000009")).status, 404);

  assert.equal((await call("POST", "/nodes/nid1/power", { operation: "on" })).body.state, "on");
  assert.equal((await call("POST", "/nodes/nid1/lock")).body.locked, true);
  assert.equal((await call("POST", "/nodes/nid1/power", { operation: "force-off" })).status, 403);
  assert.equal((await call("GET", "/nodes/nid1/power")).body.state, "on");
  assert.equal((await call("POST", "/nodes/nid1/unlock")).body.locked, false);
  assert.match((await call("GET", "/nodes/nid1/boot-parameters")).body.because, /no boot parameters for x1c0s0b0n0/);
  assert.match((await call("GET", "/nodes/dhcp-config")).body, /^dhcp-host=52:54:00:00:00:01,10\.1\.0\.11,nid000001$/m);

  assert.equal((await call("DELETE", "/nodes/nid2")).status, 204);
  assert.equal((await call("DELETE", "/nodes/nid2")).status, 404);
});

test("the power of a node that somebody reserved is theirs", async () => {
  const { call, inventory } = await openApi();
  await call("POST", "/nodes", one);
  const { done } = await inventory.locks.reserve({ xnames: [one.xname] }, 5, "rigid");
  const path = "/nodes/nid1/power";
  const refused = await call("POST", path, { operation: "on" });
  assert.equal(refused.status, 403);
  assert.match(refused.body.detail, /x1c0s0b0n0 is reserved by somebody else/);
  assert.equal((await call("POST", path, { operation: "on", deputyKey: "made up" })).status, 403);
  assert.equal((await call("GET", path)).body.state, "off");
  assert.equal((await call("POST", path, { operation: "on", deputyKey: done[0]?.deputyKey })).body.state, "on");
  await inventory.locks.removeReservations({ xnames: [one.xname] }, "rigid");
  assert.equal((await call("POST", path, { operation: "force-off" })).body.state, "off");
  assert.deepEqual(await inventory.locks.status({ reserved: ["true"] }, { limit: 9 }), [], "it is released");
});

test("an xname is the same in every spelling", async () => {
  const { call } = await openApi();
  assert.equal((await call("POST", "/nodes", { ...one, xname: "X0001c0s00b0n0" })).body.xname, one.xname);
  assert.equal((await call("POST", "/nodes", { ...one, interfaces: [] })).status, 409);
  assert.equal((await call("PUT", "/nodes/x1c00s0b0n0", { nid: 1 })).body.xname, one.xname);
  assert.equal((await call("PUT", "/nodes/x1c0s0b0n0", { nid: 1, xname: "x1c0s0b0n00" })).status, 200);
  assert.equal((await call("GET", "/nodes/x01c0s0b0n0")).body.nid, 1);
  assert.deepEqual((await call("PUT", "/groups/green", { members: ["x1c0s0b00n0"] })).body.members, [one.xname]);
  assert.equal((await call("GET", "/nodes")).body.items.length, 1);
});

test("a node that somebody reserved is not locked or unlocked", async () => {
  const { call, inventory } = await openApi();
  await call("POST", "/nodes", one);
  const { done } = await inventory.locks.reserve({ xnames: [one.xname] }, 5, "rigid");
  const refused = await call("POST", "/nodes/nid1/lock");
  assert.equal(refused.status, 403);
  assert.match(refused.body.detail, /x1c0s0b0n0 is reserved by somebody else: its lock stays as it is/);
  assert.equal((await call("GET", "/nodes/nid1")).body.locked, false);
  await inventory.locks.release([{ xname: one.xname, key: done[0]?.reservationKey ?? "" }], "rigid");
  assert.equal((await call("POST", "/nodes/nid1/lock")).body.locked, true);
  assert.equal((await call("POST", "/nodes/nid1/lock")).status, 200, "what is locked already is no mistake");
  await inventory.locks.reserve({ xnames: [one.xname] }, undefined, "rigid");
  assert.equal((await call("POST", "/nodes/nid1/unlock")).status, 403);
  await inventory.locks.setDisabled({ xnames: [one.xname] }, true, "rigid");
  assert.match((await call("POST", "/nodes/nid1/unlock")).body.detail, /is closed for reservations/);
});

test("lists come in pages that say where the next begins", async () => {
  const { call } = await openApi();
  for (const nid of [1, 2, 3]) await call("PUT", `/nodes/x1c0s${nid}b0n0`, { nid });
  const first = (await call("GET", "/nodes?limit=2")).body;
  assert.deepEqual([first.items.length, first.next], [2, "x1c0s2b0n0"]);
  const second = (await call("GET", `/nodes?limit=2&after=${first.next}`)).body;
  assert.deepEqual([second.items.map(({ nid }: { nid: number }) => nid), second.next], [[3], null]);
  assert.equal((await call("GET", "/nodes?limit=3")).body.next, null);
  assert.equal((await call("GET", "/nodes?limit=0")).status, 400);
  assert.equal((await call("GET", "/nodes?state=Odd")).status, 400);
});

test("groups are put, listed and removed", async () => {
  const { call } = await openApi();
  await call("POST", "/nodes", one);
  assert.equal((await call("PUT", "/groups/green", { members: ["x9c0s0b0n0"] })).status, 404);
  assert.deepEqual((await call("PUT", "/groups/green", { members: [one.xname] })).body.members, [one.xname]);
  assert.equal((await call("GET", "/nodes?group=green")).body.items.length, 1);
  assert.equal((await call("GET", "/groups")).body.items[0].label, "green");
  assert.equal((await call("PUT", "/groups/a,b", {})).status, 400);
  assert.equal((await call("DELETE", "/groups/green")).status, 204);
  assert.equal((await call("GET", "/groups/green")).status, 404);
});

test("templates and sessions: put, start, look at, remove", async () => {
  const { call, woken, sessions } = await openApi();
  const set = { type: "s3", path: "s3://boot-images/img/manifest.json", node_list: [one.xname] };
  assert.equal((await call("PUT", "/templates/compute", { boot_sets: {} })).status, 400);
  assert.equal((await call("PUT", "/templates/compute", { boot_sets: { a: set } })).body.boot_sets.a.arch, "X86");
  assert.equal((await call("GET", "/templates")).body.items[0].name, "compute");

  assert.equal((await call("POST", "/sessions", { operation: "boot", template_name: "none" })).status, 404);
  assert.equal((await call("POST", "/sessions", { operation: "burn", template_name: "compute" })).status, 400);
  assert.equal(woken(), 0);
  const made = await call("POST", "/sessions", {
    operation: "boot",
    template_name: "compute",
    options: { max_boot_wait_time: 60 },
  });
  assert.deepEqual([made.status, made.body.status], [201, "pending"]);
  assert.equal(made.body.options.max_boot_wait_time, 60);
  assert.equal(made.body.options.default_retry_policy, 1);
  assert.equal(woken(), 1);
  const target = { imageId: "i", buildId: "b", kernel: "k", initrd: "i", kernelParameters: "", configuration: "" };
  await sessions.setUp(made.body.name, new Map([[one.xname, target]]));
  assert.deepEqual((await call("GET", `/sessions/${made.body.name}`)).body.failures, []);
  const components = (await call("GET", `/sessions/${made.body.name}/components`)).body;
  assert.deepEqual([components.items[0].xname, components.items[0].status], [one.xname, "power_on_pending"]);
  assert.equal((await call("DELETE", `/sessions/${made.body.name}`)).status, 204);
  assert.equal((await call("GET", `/sessions/${made.body.name}`)).status, 404);
  assert.deepEqual(await sessions.listComponents({ active: true }), []);
  assert.equal((await call("DELETE", "/templates/compute")).status, 204);
});

test("boots are listed by any name of their node", async () => {
  const { call, boots } = await openApi();
  await call("POST", "/nodes", one);
  const boot = await boots.begin(one.xname, { imageId: undefined, expectedBuildId: undefined });
  assert.equal((await call("GET", "/boots?node=nid1")).body.items[0].id, boot.id);
  assert.deepEqual((await call("GET", "/boots?node=nid9")).body.items, []);
  assert.equal((await call("GET", `/boots/${boot.id}`)).body.xname, one.xname);
  assert.equal((await call("GET", "/boots/none")).status, 404);
});
