import assert from "node:assert/strict";
import { after, test } from "node:test";
import fastify from "fastify";
import {
  migrations as bootMigrations,
  openAccessLog,
  openBootEntries,
  openBootFiles,
  openBootScripts,
  openCloudInitStore,
  openNodeIdentities,
} from "../../../boot/index.ts";
import type { Image } from "../../../image/index.ts";
import { migrate, openDatabase } from "../../../lib/db.ts";
import { errorCodes, NetkilnError } from "../../../lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../../../node/index.ts";
import {
  migrations as telemetryMigrations,
  openBootRecords,
  openBootTokens,
  openEventStore,
} from "../../../telemetry/index.ts";
import { registerService } from "../../service.ts";
import { bssService } from "./routes.ts";

async function openApi() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...telemetryMigrations, ...nodeMigrations, ...bootMigrations });
  const nodes = openNodeStore(db);
  await nodes.put(parseNode({ xname: "x1c0s0b0n0", nid: 1 }));
  const app = fastify();
  app.setErrorHandler((error, _request, reply) =>
    reply.code(error instanceof NetkilnError ? errorCodes[error.code].status : 500).send({ detail: String(error) }),
  );
  after(() => app.close());
  const image = { id: "i", name: "img", buildId: "b", artifacts: { kernel: {} } } as unknown as Image;
  const inventory = openInventory(db);
  const events = openEventStore(db);
  const boots = openBootRecords(db, events);
  const bootTokens = openBootTokens(db, boots);
  const { interfaces } = inventory;
  const parts = {
    ...{ cloudInit: openCloudInitStore(db), events, boots },
    identities: openNodeIdentities({ nodes, interfaces, bootTokens, sharedAddresses: [] }),
    ...{ nodes, inventory, version: "1.2.3", door: () => "door:80" },
    ...{ entries: openBootEntries(db), bootFiles: openBootFiles(db), accesses: openAccessLog(db) },
    scripts: openBootScripts({ db, findImage: async (id) => (id === "i" ? image : undefined) }),
  };
  registerService(app, bssService(parts));
  registerService(app, bssService(parts, "openchami"));
  return app;
}

const url = "/apis/bss/boot/v1/bootparameters";
const token = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

test("boot parameters are created once, replaced, changed and removed, with a referral token for what is written", async () => {
  const app = await openApi();
  const payload = { hosts: ["x1c0s0b0n0"], macs: null, params: "quiet", kernel: "http://k", initrd: "http://i" };
  const created = await app.inject({ method: "POST", url, payload });
  assert.equal(created.statusCode, 201);
  assert.match(String(created.headers["bss-referral-token"]), token);
  assert.equal((await app.inject({ method: "POST", url, payload })).statusCode, 400);
  const replaced = await app.inject({
    method: "PUT",
    url,
    payload: { ...payload, "cloud-init": { "user-data": { a: 1 } } },
  });
  assert.equal(replaced.statusCode, 200);
  assert.match(String(replaced.headers["bss-referral-token"]), token);
  assert.notEqual(replaced.headers["bss-referral-token"], created.headers["bss-referral-token"]);
  const patched = await app.inject({ method: "PATCH", url, payload: { hosts: ["x1c0s0b0n0"], params: "debug" } });
  assert.equal(patched.statusCode, 200);
  const expected = {
    hosts: ["x1c0s0b0n0"],
    params: "debug",
    kernel: "http://k",
    initrd: "http://i",
    "cloud-init": { "user-data": { a: 1 } },
  };
  assert.deepEqual((await app.inject({ url: `${url}?name=x1c0s0b0n0` })).json(), [expected]);
  assert.equal((await app.inject({ method: "DELETE", url, payload: { hosts: ["x1c0s0b0n0"] } })).statusCode, 200);
  assert.equal((await app.inject({ url: `${url}?name=x1c0s0b0n0` })).statusCode, 404);
  assert.equal((await app.inject({ method: "PATCH", url, payload: { hosts: ["x1c0s0b0n0"] } })).statusCode, 404);
});

test("a GET takes its names from the query or from a body, and without any gives all, kernels apart", async () => {
  const app = await openApi();
  for (const names of [{ hosts: ["Default"] }, { macs: ["52-54-00-00-00-01"] }, { nids: [1] }]) {
    await app.inject({ method: "PUT", url, payload: { ...names, kernel: "http://k" } });
  }
  const names = async (options: { url: string; payload?: object }) => {
    const list: Record<string, unknown>[] = (await app.inject({ method: "GET", ...options })).json();
    return list.map(({ hosts, macs, nids, kernel }) => hosts ?? macs ?? nids ?? kernel);
  };
  assert.deepEqual(await names({ url }), ["http://k", ["Default"], ["52:54:00:00:00:01"], [1]]);
  assert.deepEqual(await names({ url, payload: { hosts: ["Default"] } }), [["Default"]]);
  assert.deepEqual(await names({ url: `${url}?mac=52:54:00:00:00:01&nid=1` }), [["52:54:00:00:00:01"], [1]]);
  assert.equal((await app.inject({ method: "GET", url, payload: "{" })).statusCode, 400);
});

test("an operator can look at a node's script, which begins no boot", async () => {
  const app = await openApi();
  const script = "/apis/bss/boot/v1/bootscript";
  assert.equal((await app.inject({ url: script })).statusCode, 400);
  assert.equal((await app.inject({ url: `${script}?name=x1c0s0b0n0` })).statusCode, 404);
  await app.inject({ method: "PUT", url, payload: { hosts: ["Default"], kernel: "s3://boot-images/i/kernel" } });
  const { body } = await app.inject({ url: `${script}?nid=1` });
  assert.match(body, /^kernel --name kernel http:\/\/door:80\/boot-images\/i\/kernel xname=x1c0s0b0n0 nid=1 /m);
});
