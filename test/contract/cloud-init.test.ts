/** OpenCHAMI's cloud-init server against its contract, and the Boot Script Service's part of the same. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import fastify, { type FastifyInstance } from "fastify";
import { parse } from "yaml";
import { bssService } from "../../src/api/csm/bss/routes.ts";
import { cloudInitService } from "../../src/api/openchami/cloud-init/routes.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import { parseNode } from "../../src/node/index.ts";
import { readConfig } from "../../src/server/config.ts";
import { openHouse, type House } from "../../src/server/open.ts";
import { makeFolder } from "../support/server.ts";
import { contractFile, readContract, type Document } from "./support/contract.ts";
import { openTrial, type Trial } from "./support/trial.ts";

const files = { cloudInit: "openchami-cloud-init.swagger.yaml", bss: "bss-v1.swagger.yaml" };
const here = Object.values(files).every((file) => existsSync(contractFile(file)));
const skip = here ? false : "a contract's file is not here";

const xname = "x1000c0s0b0n0";
/** What `inject` comes from. */
const address = "127.0.0.1";

/**
 * The real service answers 422 to an address that it does not know wherever it needs to know it, and gives its document
 * as an object, which `ochami` reads.
 */
function amend({ paths }: Document): void {
  for (const path of ["/vendor-data", "/{group}.yaml", "/phone-home/{id}"]) {
    for (const { responses } of Object.values(paths[path] ?? {})) Object.assign(responses, { 422: {} });
  }
  Object.assign(paths["/openapi.json"]?.["get"]?.responses["200"] ?? {}, { schema: { type: "object" } });
}

describe("cloud-init", { skip }, () => {
  let house: House;
  let app: FastifyInstance;
  let trial: Trial;
  let bss: Trial;

  before(async () => {
    house = await openHouse(readConfig({ data: await makeFolder() }, { NETKILN_CONFIG: undefined }));
    app = fastify();
    answerProblems(app);
    const parts = { ...house, door: () => "10.0.0.1:8077" };
    registerService(app, cloudInitService(parts));
    registerService(app, bssService(parts));
    await house.nodes.put(parseNode({ xname, nid: 1, groups: ["compute"] }));
    trial = openTrial(app, "/cloud-init", readContract(files.cloudInit, amend));
    bss = openTrial(app, "/apis/bss", readContract(files.bss));
  });
  after(async () => {
    await app.close();
    await house.accesses.flush();
    await house.db.destroy();
  });

  const isFrom = async (known: boolean) => {
    const interfaces = known ? [{ mac: "52:54:00:00:00:01", ip: address }] : [];
    await house.nodes.put(parseNode({ xname, nid: 1, groups: ["compute"], interfaces }));
  };

  test("what operators set", async () => {
    await trial.ask("POST /admin/cluster-defaults", 201, { body: { "cluster-name": "demo", "nid-length": 3 } });
    await trial.ask("POST /admin/cluster-defaults", 400, { body: { "nid-length": "three" } });
    await trial.ask("GET /admin/cluster-defaults", 200);
    const body = {
      name: "compute",
      description: "Nodes",
      file: { content: "#cloud-config\na: 1\n", encoding: "plain" },
    };
    await trial.ask("POST /admin/groups", 201, { body });
    await trial.ask("POST /admin/groups", 409, { body });
    await trial.ask("POST /admin/groups", 422, { body: "{" });
    await trial.ask("GET /admin/groups", 200);
    await trial.ask("GET /admin/groups/{id}", 200, { params: { id: "compute" } });
    await trial.ask("GET /admin/groups/{id}", 404, { params: { id: "none" } });
    await trial.ask("PUT /admin/groups/{name}", 201, { params: { name: "gpu" }, body: { ...body, name: "gpu" } });
    await trial.ask("PUT /admin/groups/{name}", 422, { params: { name: "gpu" }, body: {} });
    await trial.ask("DELETE /admin/groups/{id}", 200, { params: { id: "gpu" } });
    await trial.ask("PUT /admin/instance-info/{id}", 201, { params: { id: xname }, body: { region: "north" } });
    await trial.ask("PUT /admin/instance-info/{id}", 400, { params: { id: xname }, body: { region: 7 } });
  });

  test("what a node gets, as an administrator sees it", async () => {
    const below = "/admin/impersonation/{id}";
    const meta = await trial.ask<string>(`GET ${below}/meta-data`, 200, { params: { id: xname } });
    const data = parse(meta) as Record<string, unknown>;
    assert.deepEqual(Object.keys(data), ["instance-id", "local-hostname", "hostname", "cluster-name", "instance_data"]);
    await trial.ask(`GET ${below}/meta-data`, 404, { params: { id: "x9c0s0b0n0" } });
    await trial.ask(`GET ${below}/user-data`, 200, { params: { id: xname } });
    await trial.ask(`GET ${below}/vendor-data`, 200, { params: { id: xname } });
    await trial.ask(`GET ${below}/{group}.yaml`, 200, { params: { id: xname, group: "compute" } });
    await trial.ask(`GET ${below}/{group}.yaml`, 404, { params: { id: xname, group: "gpu" } });
  });

  test("what a node gets by its address, and an unknown address does not", async () => {
    await isFrom(true);
    await trial.ask("GET /meta-data", 200);
    await trial.ask("GET /user-data", 200);
    await trial.ask("GET /vendor-data", 200);
    await trial.ask("GET /{group}.yaml", 200, { params: { group: "compute" } });
    await trial.ask("GET /{group}.yaml", 404, { params: { group: "gpu" } });
    const call = { params: { id: "i-1" }, body: { hostname: "n" } };
    await trial.ask("POST /phone-home/{id}", 200, call);
    await trial.ask("POST /phone-home/{id}", 400, { ...call, body: "{" });
    await isFrom(false);
    await trial.ask("GET /meta-data", 422);
    await trial.ask("GET /vendor-data", 422);
    await trial.ask("GET /{group}.yaml", 422, { params: { group: "compute" } });
    await trial.ask("POST /phone-home/{id}", 422, call);
  });

  test("the service itself", async () => {
    const document = await trial.ask<{ paths: Record<string, unknown> }>("GET /openapi.json", 200);
    assert.ok(document.paths["/admin/groups/{name}"]);
    await trial.ask("POST /wg-init", 400, { body: { public_key: "a" } });
    trial.assertAllTried(["POST /wg-init"]);
  });

  test("the cloud-init objects of boot parameters", async () => {
    await isFrom(true);
    const names = { hosts: [xname], macs: [], nids: [] };
    const cloudInit = { "meta-data": { a: { b: 1 } }, "user-data": { c: 2 } };
    await house.entries.put(names, { params: "", kernel: "", initrd: "", cloudInit });
    await bss.ask("meta_data_get", 200);
    assert.deepEqual(await bss.ask("meta_data_get", 200, { query: { key: "a" } }), { b: 1 });
    await bss.ask("meta_data_get", 404, { query: { key: "a.c" } });
    await bss.ask("meta_data_get", 400, { query: { key: "" } });
    assert.deepEqual(parse(await bss.ask("user_data_get", 200)), { c: 2, "local-hostname": xname });
    await bss.ask("phone_home_post", 200, { body: { hostname: "n", pub_key_rsa: "ssh-rsa AAAA" } });
    await bss.ask("phone_home_post", 400, { body: "{" });
    await isFrom(false);
    await bss.ask("phone_home_post", 404, { body: { hostname: "n" } });
  });
});
