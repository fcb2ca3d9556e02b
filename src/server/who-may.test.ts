/** Every route with every kind of caller, against the table in who-may.txt. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fastify from "fastify";
import { mayAct, roles, type Role } from "../access/index.ts";
import { registerNodeSide, type NodeSideParts } from "../api/node-side.ts";
import { ociCatalog } from "./oci.ts";
import { gitLogin, plantAdminDoor, routesOf, type PlantedDoor } from "./plant-admin-door.ts";

interface Rule {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  readonly least: Role | "open";
  readonly tenants: boolean;
  readonly openReads: boolean;
}

const table = readTable(readFileSync(new URL("who-may.txt", import.meta.url), "utf8"));
const ofNodes = table.filter(({ service }) => service === "node-door");
const ofAdministrators = table.filter(({ service }) => service !== "node-door");

function readTable(text: string): readonly Rule[] {
  let service = "";
  let bases: readonly string[] = [];
  return text.split("\n").flatMap((line) => {
    if (line === "" || line.startsWith("#")) return [];
    const [first = "", ...words] = line.trim().split(/ +/);
    if (!line.startsWith(" ")) {
      service = first;
      bases = words.map((base) => (base === "/" ? "" : base));
      return [];
    }
    const path = first === "(base)" ? "" : first;
    return pairs(words).flatMap(([methods, who]) => {
      const [least = "", ...marks] = who.split("+");
      assert.ok(least === "open" || (roles as readonly string[]).includes(least), line);
      assert.ok(
        marks.every((mark) => mark === "tenants" || mark === "open_reads"),
        line,
      );
      return bases.flatMap((base) =>
        methods.split(",").map((method) => ({
          ...{ service, method, path: base + path },
          ...{ tenants: marks.includes("tenants"), openReads: marks.includes("open_reads") },
          least: least as Rule["least"],
        })),
      );
    });
  });
}

function pairs(words: readonly string[]): readonly (readonly [string, string])[] {
  return words.flatMap((word, at) => (at % 2 === 0 ? [[word, words[at + 1] ?? ""] as const] : []));
}

const shape = ({ method, path }: { method: string; path: string }) =>
  `${method} ${path.replaceAll(/\{\w+\}|:\w+|\*$/g, "{}")}`;
const sorted = (routes: readonly { method: string; path: string }[]) => routes.map(shape).sort();

/** What the handlers would do is of no interest here: who comes so far was let in. */
const letIn = 299;

let door: PlantedDoor;
/** By what stands in the header. */
const callers = new Map<string, { authorization?: string; role?: Role; tenant?: boolean }>();

before(async () => {
  door = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")), { sat: true });
  door.app.addHook("preParsing", async (_request, reply) => reply.code(letIn).send());
  await door.app.ready();
  const { tokens, tenants } = door.house;
  await tenants.create("blue", "");
  for (const role of roles) {
    const { secret } = await tokens.create({ name: role, days: 1, role });
    callers.set(role, { role, authorization: `Bearer ${secret}` });
    const ofTenant = await tokens.create({ name: `blue-${role}`, days: 1, role, tenant: "blue" });
    callers.set(`${role} of a tenant`, { role, tenant: true, authorization: `Bearer ${ofTenant.secret}` });
  }
  callers.set("nobody", {});
  callers.set("garbage", { authorization: "Bearer a.b.c" });
  const login = Buffer.from(`${gitLogin.username}:${gitLogin.password}`).toString("base64");
  callers.set("git", { authorization: `Basic ${login}` });
});
after(() => door.close());

test("the table has every route of the administrators' door, and no other", () => {
  assert.deepEqual(sorted(ofAdministrators), sorted(routesOf(door.app)));
});

test("each caller is let in where the table says so, and nowhere else", async () => {
  const wrong: string[] = [];
  for (const rule of ofAdministrators) {
    const url = rule.path.replaceAll(/\{(\w+)\}/g, "x");
    for (const [name, caller] of callers) {
      const { authorization } = caller;
      const headers = authorization === undefined ? {} : { authorization };
      const found = (await door.ask(rule.method as "GET", url, { headers })).status;
      const expected = statusFor(rule, name, caller);
      if (found !== expected) wrong.push(`${rule.method} ${rule.path} as ${name}: ${found}, not ${expected}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("where the configuration has open_reads, nobody reads what the table marks with it, and no more", async () => {
  const open = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")), { sat: true, openReads: true });
  open.app.addHook("preParsing", async (_request, reply) => reply.code(letIn).send());
  const wrong: string[] = [];
  for (const { method, path, least, openReads } of ofAdministrators) {
    const url = path.replaceAll(/\{(\w+)\}/g, "x");
    const found = (await open.ask(method as "GET", url)).status;
    const expected = least === "open" || openReads ? letIn : 401;
    if (found !== expected) wrong.push(`${method} ${path}: ${found}, not ${expected}`);
  }
  assert.deepEqual(wrong, []);
  await open.close();
});

function statusFor(
  { service, least, tenants }: Rule,
  name: string,
  { role, tenant }: { role?: Role; tenant?: boolean },
): number {
  if (least === "open" || (service === "vcs" && name === "git")) return letIn;
  if (role === undefined) return 401;
  return mayAct(role, least) && (tenant !== true || tenants) ? letIn : 403;
}

test("the node door has what nodes ask for, and nothing else", async () => {
  const app = fastify();
  const { house } = door;
  const parts = { ...house, findImage: async () => undefined, onReport: () => undefined, catalog: ociCatalog(house) };
  registerNodeSide(app, { ...parts, version: "0.0.0" } as NodeSideParts);
  await app.ready();
  assert.deepEqual(sorted(ofNodes), sorted(routesOf(app)));
  assert.ok(ofNodes.every(({ least }) => least === "open"));
  // Nobody's token opens anything of the other door here.
  const seen = new Set(sorted(ofNodes));
  const { authorization = "" } = callers.get("admin") ?? {};
  for (const rule of ofAdministrators.filter((one) => !seen.has(shape(one)))) {
    const url = rule.path.replaceAll(/\{(\w+)\}/g, "x");
    const { statusCode } = await app.inject({ method: rule.method as "GET", url, headers: { authorization } });
    // What nodes are served as GROUP.yaml or below /v2 is told to be missing by its own words.
    assert.ok(statusCode === 404 || statusCode === 422, `${rule.method} ${url}: ${statusCode}`);
  }
  await app.close();
});
