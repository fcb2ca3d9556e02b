import assert from "node:assert/strict";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { OpenApiDocument } from "../api/openapi/document.ts";
import { csmServices, type CsmParts } from "../api/csm/services.ts";
import { plantAdminDoor, routesOf, type PlantedDoor } from "./plant-admin-door.ts";

let door: PlantedDoor;
let document: OpenApiDocument;

before(async () => {
  door = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")), { sat: true });
  const { status, body } = await door.ask("GET", "/openapi.json");
  assert.equal(status, 200);
  document = body;
});
after(() => door.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({ path, method: method.toUpperCase(), one })),
  );
const shape = (method: string, path: string) => `${method} ${path.replaceAll(/\{\w+\}|:\w+|\*$/g, "{}")}`;

test("every operation of every service is in the document, below each base", () => {
  const documented = new Set(operations().map(({ method, path }) => shape(method, path)));
  const missing = csmServices({ inventory: {} } as CsmParts).flatMap(({ bases, operations: table }) =>
    bases
      .flatMap((base) => table.map(({ method, path }) => shape(method, base + path)))
      .filter((one) => !documented.has(one)),
  );
  assert.deepEqual(missing, []);
  for (const own of ["GET /apis/netkiln/v1/images", "POST /apis/netkiln/v1/images/{}/promote", "GET /openapi.json"]) {
    assert.ok(documented.has(own), own);
  }
});

test("every route of the server is in the document, and nothing else", () => {
  const served = routesOf(door.app).map(({ method, path }) => shape(method, path));
  const documented = operations().map(({ method, path }) => shape(method, path));
  assert.deepEqual([...new Set(served)].sort(), [...new Set(documented)].sort());
});

test("the document is whole: ids, references, parameters and schemas", () => {
  assert.match(document.openapi, /^3\.1\./);
  const ids = operations().map(({ one }) => one.operationId);
  assert.equal(new Set(ids).size, ids.length, "each id once");
  const shapes = Object.keys(document.paths).map((path) => shape("", path));
  assert.equal(new Set(shapes).size, shapes.length, "no path in two spellings");
  const tags = new Set(document.tags.map(({ name }) => name));
  for (const { path, one } of operations()) {
    const inPath = one.parameters.filter((each) => each.in === "path").map(({ name }) => name);
    assert.deepEqual(
      inPath,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      path,
    );
    const names = one.parameters.map(({ name, in: place }) => `${place} ${name}`);
    assert.equal(new Set(names).size, names.length, `${one.operationId}: ${names.join()}`);
    assert.ok(
      one.tags.every((tag) => tags.has(tag)),
      path,
    );
  }
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: "document", ...document } as object);
  for (const name of Object.keys(document.components.schemas)) {
    assert.doesNotThrow(() => ajv.compile({ $ref: `document#/components/schemas/${name}` }), name);
  }
  for (const [, reference = ""] of JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)) {
    const name = reference.replace("#/components/schemas/", "");
    assert.ok(name in document.components.schemas, reference);
  }
  for (const { one } of operations()) {
    for (const { schema } of one.parameters) assert.doesNotThrow(() => ajv.compile(schema), one.operationId);
  }
});

test("what is documented is what is checked", () => {
  const body = document.components.schemas["netkiln.POST_apis_netkiln_v1_accounts"];
  assert.deepEqual((body as { properties: Record<string, unknown> }).properties["role"], {
    default: "reader",
    type: "string",
    enum: ["admin", "operator", "reader"],
  });
  const list = document.paths["/hsm/v2/State/Components"]?.["get"];
  assert.ok(list?.parameters.some(({ name }) => name === "type"));
  assert.equal(list?.description, "Least role: reader.");
  assert.equal(document.paths["/apis/netkiln/v1/tokens"]?.["get"]?.description, "Least role: admin.");
});

test("each operation says what it needs, as the door that was asked has it", async (t) => {
  const security = ({ paths }: OpenApiDocument, method: string, path: string) => paths[path]?.[method]?.security;
  const bearer = [{ bearer: [] }];
  const cases = [
    ["get", "/api/v1/namespaces/{namespace}/configmaps", bearer],
    ["get", "/vcs/{rest}", [{ git: [] }, ...bearer]],
    ["post", "/vcs/{rest}", [{ git: [] }, ...bearer]],
    ["get", "/hsm/v2/State/Components", bearer],
    ["get", "/openapi.json", []],
    ["post", "/keycloak/realms/shasta/protocol/openid-connect/token", []],
  ] as const;
  for (const [method, path, expected] of cases) assert.deepEqual(security(document, method, path), expected, path);
  for (const name of operations().flatMap(({ one }) => one.security.flatMap(Object.keys))) {
    assert.ok(name in document.components.securitySchemes, name);
  }

  const open = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")), { openReads: true });
  t.after(() => open.close());
  const ofOpen = (await open.ask("GET", "/openapi.json")).body as OpenApiDocument;
  assert.deepEqual(security(ofOpen, "get", "/hsm/v2/State/Components"), [{}, ...bearer]);
  assert.deepEqual(security(ofOpen, "post", "/hsm/v2/State/Components"), bearer);
  assert.equal(security(ofOpen, "get", "/vcs/{rest}"), undefined, "without the option there is none of it");

  const socket = await plantAdminDoor(await mkdtemp(join(tmpdir(), "nk-door-")), { requireToken: false });
  t.after(() => socket.close());
  const ofSocket = (await socket.ask("GET", "/openapi.json")).body as OpenApiDocument;
  assert.deepEqual(security(ofSocket, "post", "/hsm/v2/State/Components"), []);
});

test("the pages are complete in themselves and show every service", async () => {
  const index = await door.ask("GET", "/docs");
  assert.match(String(index.headers["content-security-policy"]), /^default-src 'none'; style-src 'sha256-/);
  assert.match(String(index.headers["content-type"]), /^text\/html/);
  for (const { name } of document.tags) {
    assert.ok(index.text.includes(`href="/docs/${name}"`), name);
    const { status, text } = await door.ask("GET", `/docs/${name}`);
    assert.equal(status, 200);
    assert.doesNotMatch(text, /<script|src=|<link|javascript:|@import|url\(/i);
    const first = operations().find(({ one }) => one.tags.includes(name) && one["x-alias"] !== true);
    assert.ok(first !== undefined && text.includes(`<code>${first.path}</code>`), name);
  }
  assert.equal((await door.ask("GET", "/docs/<b>")).status, 404);
});
