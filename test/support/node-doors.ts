/** The services by which nodes get their cloud-init data, on two doors as the server has them, over a database in memory. */
import fastify, { type FastifyInstance, type InjectOptions } from "fastify";
import { bssNodeSide } from "../../src/api/csm/bss/cloud-init.ts";
import { cloudInitNodeSide, cloudInitService } from "../../src/api/openchami/cloud-init/routes.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import {
  migrations as bootMigrations,
  openAccessLog,
  openBootEntries,
  openCloudInitStore,
  openNodeIdentities,
  type BootParameters,
} from "../../src/boot/index.ts";
import { migrate, openDatabase } from "../../src/lib/db.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../../src/node/index.ts";
import {
  migrations as telemetryMigrations,
  openBootRecords,
  openBootTokens,
  openEventStore,
} from "../../src/telemetry/index.ts";

/** Two nodes that the inventory knows by address, one that it does not, and addresses of nobody. */
export const first = { xname: "x1000c0s0b0n0", nid: 1, ip: "10.1.0.1", mac: "52:54:00:00:00:01" } as const;
export const second = { xname: "x1000c0s1b0n0", nid: 2, ip: "10.1.0.2", mac: "52:54:00:00:00:02" } as const;
export const far = { xname: "x1000c0s2b0n0", nid: 3, mac: "52:54:00:00:00:03" } as const;
export const stranger = "10.9.9.9";
export const proxy = "10.1.0.250";
export const nat = "10.1.0.251";

export async function openDoors() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...telemetryMigrations, ...nodeMigrations, ...bootMigrations });
  const nodes = openNodeStore(db);
  for (const { mac, ...one } of [first, second, far]) {
    const { xname, nid } = one;
    const groups = one === far ? [] : xname === first.xname ? ["compute", "gpu"] : ["login"];
    await nodes.put(
      parseNode({ xname, nid, groups, interfaces: [{ mac, ...("ip" in one && { ip: one.ip }) }], subRole: "Worker" }),
    );
  }
  const events = openEventStore(db);
  const boots = openBootRecords(db, events);
  const bootTokens = openBootTokens(db, boots);
  const { interfaces } = openInventory(db);
  const identities = openNodeIdentities({ nodes, interfaces, bootTokens, sharedAddresses: [nat] });
  const entries = openBootEntries(db);
  const cloudInit = openCloudInitStore(db);
  const accesses = openAccessLog(db);
  const parts = {
    nodes,
    events,
    boots,
    identities,
    entries,
    cloudInit,
    accesses,
    version: "1.2.3",
    door: () => "10.1.0.254:8077",
  };

  const admin = fastify();
  admin.addHook("onRequest", async (request) => {
    if (request.routeOptions.config.open === true || request.headers.authorization === "Bearer good") return;
    throw new NetkilnError("unauthorized", "this door needs a token");
  });
  const nodeDoor = fastify({ trustProxy: [proxy] });
  for (const app of [admin, nodeDoor]) answerProblems(app);
  registerService(admin, cloudInitService(parts));
  registerService(nodeDoor, bssNodeSide(parts));
  registerService(nodeDoor, cloudInitNodeSide(parts));

  const put = (host: string, cloud: BootParameters["cloudInit"]) =>
    entries.put({ hosts: [host], macs: [], nids: [] }, { params: "", kernel: "", initrd: "", cloudInit: cloud });
  return {
    ...parts,
    admin,
    nodeDoor,
    put,
    bootTokens,
    /** As ochami sends it: a token, and a body without a type. */
    ask: (method: "GET" | "POST" | "PUT" | "DELETE", path: string, body?: unknown) =>
      call(admin, {
        ...{ method, url: `/cloud-init${path}`, headers: { authorization: "Bearer good" } },
        ...(body !== undefined && { payload: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)) }),
      }),
    /** As a node asks, from its address. */
    from: (remoteAddress: string, url: string, more: InjectOptions = {}) =>
      call(nodeDoor, { method: "GET", url, remoteAddress, headers: { host: "10.1.0.254:8077" }, ...more }),
    close: async () => {
      await Promise.all([admin.close(), nodeDoor.close(), accesses.flush()]);
      await db.destroy();
    },
  };
}

async function call(app: FastifyInstance, options: InjectOptions) {
  const { statusCode, headers, body } = await app.inject(options);
  return { status: statusCode, type: String(headers["content-type"] ?? ""), headers, body };
}
