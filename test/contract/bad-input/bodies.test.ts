/** Bodies that no service can take: told in its own form, and nothing is changed. Over every operation that is documented. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { OpenApiDocument } from "../../../src/api/openapi/document.ts";
import { everything, plantThings, xname } from "../support/planted.ts";
import { assertProblem, openServed, type Reply, type Served } from "../support/served.ts";

let served: Served;
let document: OpenApiDocument;

before(async () => {
  served = await openServed({ sat: { repositories: {} } });
  await plantThings(served);
  document = (await served.ask("GET", "/openapi.json")).json as OpenApiDocument;
});
after(() => served.close());

interface Write {
  readonly service: string;
  readonly method: string;
  readonly path: string;
  /** What its body is documented as. */
  readonly type: string | undefined;
}

/** What parts of paths stand for; there is such a thing in each service that is planted. */
const names: Readonly<Record<string, string>> = {
  ...{ configuration_id: "compute", session_template_id: "compute", group_label: "green", partition_name: "p1" },
};

function writes(): readonly Write[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== "get")
      .map(
        ([
          method,
          {
            tags: [service = ""],
            requestBody,
          },
        ]) => ({
          ...{ service, method: method.toUpperCase() },
          path: path.replaceAll(/\{(\w+)\}/g, (_, name: string) => names[name] ?? xname),
          type: requestBody && Object.keys(requestBody.content)[0],
        }),
      ),
  );
}

const json = { "content-type": "application/json" };

/** None of these is a thing that could be meant. */
const unreadable: readonly (readonly [what: string, body: string | Buffer])[] = [
  ["cut off", '{"name": "a", "layers": ['],
  ["no JSON", "name: a\nlayers: []\n"],
  ["two values", "{} {}"],
  ["no text", Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
  ["a prototype", '{"__proto__": {"admin": true}}'],
  ["a prototype in disguise", '{"\\u005f_proto__": {"admin": true}}'],
  ["nested without end", "[".repeat(100_000)],
];

/** Cloud-init's groups are refused so, as OpenCHAMI's server does. */
const unprocessable = /^\/cloud-init\/admin\/groups/;
const ofService = (path: string) => (unprocessable.test(path) ? 422 : 400);

test("what cannot be read is refused by every operation that takes JSON", async () => {
  const before = await everything(served);
  const operations = writes().filter(({ type }) => type === "application/json");
  assert.ok(operations.length > 150, `${operations.length} operations`);
  for (const { method, path } of operations) {
    for (const [what, body] of unreadable) {
      const answer = await served.ask(method, path, { body, headers: json });
      const isLong = what === "nested without end" && answer.status === 413;
      assertProblem(answer, isLong ? 413 : ofService(path), `${method} ${path} with ${what}`);
    }
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("what is no object is refused by every operation that takes one", async () => {
  const before = await everything(served);
  for (const { method, path } of writes().filter(({ type }) => type === "application/json")) {
    for (const body of ["7", '"text"', "true"]) {
      const answer = await served.ask(method, path, { body, headers: json });
      // IMS tells a value of another kind from none.
      assertProblem(answer, path.startsWith("/apis/ims/") ? 422 : ofService(path), `${method} ${path} with ${body}`);
    }
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("members that every object inherits are unknown members", async () => {
  for (const member of ["constructor", "toString", "hasOwnProperty"]) {
    const answer = await served.ask("POST", "/apis/ims/v3/images", { body: { name: "a", [member]: 1 }, headers: json });
    assertProblem(answer, 422, member);
    assert.deepEqual(answer.json.errors, { [member]: ["Unknown field."] });
  }
});

test("YAML that cannot be read is told with its place", async () => {
  const broken = "schema_version: 1.0.2\nimages: [\n";
  for (const [path, more] of [
    ["/apis/netkiln/v1/bootprep/plans", { directory: "/" }],
    ["/apis/netkiln/v1/bootprep/runs", { directory: "/" }],
    ["/apis/netkiln/v1/products", {}],
  ] as const) {
    const answer = await served.ask("POST", path, { body: { file: "a.yaml", text: broken, ...more }, headers: json });
    assertProblem(answer, 400, path);
    assert.match(answer.text, /a\.yaml/, path);
  }
});

/** `ochami` sends no type, and others send one that is not true: what can be read is taken. Our own client sends JSON. */
const typed: readonly (readonly [path: string, method: string, body: unknown, status: number, foreign: number])[] = [
  ["/apis/ims/v3/public-keys", "POST", { name: "k", public_key: "ssh-rsa A" }, 201, 201],
  ["/apis/cfs/v2/configurations/typed", "PUT", { layers: [] }, 200, 200],
  ["/apis/cfs/v3/configurations/typed", "PUT", { layers: [] }, 200, 200],
  ["/apis/bos/v2/options", "PATCH", { max_boot_wait_time: 1200 }, 200, 200],
  ["/apis/bss/boot/v1/bootparameters", "PUT", { hosts: [xname], kernel: "http://s/k" }, 200, 200],
  ["/boot/v1/bootparameters", "PUT", { hosts: [xname], kernel: "http://s/k" }, 200, 200],
  ["/hsm/v2/locks/status", "POST", { ComponentIDs: [xname] }, 200, 200],
  ["/power-status", "POST", { xname: [xname] }, 200, 200],
  ["/cloud-init/admin/cluster-defaults", "POST", { "cluster-name": "demo" }, 201, 201],
  ["/apis/netkiln/v1/groups/typed", "PUT", [], 200, 400],
];

test("a content type is of no importance to the services of others", async () => {
  for (const [path, method, body, status, foreign] of typed) {
    assert.equal((await served.ask(method, path, { body, headers: json })).status, status, path);
    for (const type of [undefined, "text/plain", "application/x-www-form-urlencoded", "application/yaml"]) {
      const headers = type === undefined ? {} : { "content-type": type };
      const answer = await served.ask(method, path, { body, headers });
      assert.equal(answer.status, foreign, `${path} with ${type ?? "no type"}: ${answer.text}`);
      if (foreign >= 400) assertProblem(answer, foreign, path);
    }
  }
  const token = "/keycloak/realms/shasta/protocol/openid-connect/token";
  for (const headers of [{}, json]) {
    const { status, json: told } = await served.askAt(served.admin, "POST", token, { body: "{}", headers });
    assert.deepEqual([status, told.error], [415, "invalid_request"]);
    assert.ok(told.error_description.length > 0);
  }
});

const huge = 100 << 20;
/** Where another one is read. */
const types: readonly (readonly [start: string, type: string])[] = [
  ["/keycloak/", "application/x-www-form-urlencoded"],
  ["/vcs/", "application/x-git-upload-pack-request"],
];
const chunk = Buffer.alloc(64 << 10, " ");

/** As many bytes as are taken, but no more than `huge`; and how many had gone when the answer came. */
async function flood(
  method: string,
  path: string,
  { declared, authorization }: { declared: boolean; authorization: string },
): Promise<{ text: string; sent: number }> {
  const socket = connect(Number(served.admin.port), served.admin.hostname);
  const answer: string[] = [];
  socket.setEncoding("utf8").on("data", (part: string) => answer.push(part));
  socket.on("error", () => undefined);
  const length = declared ? `content-length: ${huge}` : "transfer-encoding: chunked";
  const type = `content-type: ${types.find(([start]) => path.startsWith(start))?.[1] ?? "application/json"}`;
  socket.write(
    `${method} ${path} HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\n${type}\r\n${length}\r\n\r\n`,
  );
  let sent = 0;
  while (sent < huge && answer.length === 0 && !socket.destroyed) {
    if (!declared) socket.write(`${chunk.length.toString(16)}\r\n`);
    const isTaken = socket.write(chunk);
    if (!declared) socket.write("\r\n");
    sent += chunk.length;
    if (isTaken) await sleep(0);
    else await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), sleep(1000)]);
  }
  for (let waited = 0; !answer.join("").includes("\r\n\r\n") && waited < 100; waited += 1) await sleep(20);
  socket.destroy();
  return { text: answer.join(""), sent };
}

/** One of each service that takes a body, and one that takes none. */
const flooded: readonly (readonly [method: string, path: string])[] = [
  ["POST", "/apis/ims/v3/images"],
  ["DELETE", "/apis/ims/v3/jobs"],
  ["PUT", "/apis/cfs/v2/configurations/a"],
  ["PUT", "/apis/cfs/v3/configurations/a"],
  ["GET", "/apis/cfs/v3/configurations"],
  ["PUT", "/apis/bos/v2/sessiontemplates/a"],
  ["POST", "/apis/bss/boot/v1/bootparameters"],
  ["GET", "/boot/v1/bootparameters"],
  ["POST", "/boot/v1/hosts"],
  ["POST", "/hsm/v2/State/Components"],
  ["GET", "/hsm/v2/State/Components"],
  ["POST", "/transitions"],
  ["POST", "/cloud-init/admin/groups"],
  ["POST", "/keycloak/realms/shasta/protocol/openid-connect/token"],
  ["POST", "/apis/netkiln/v1/builds"],
  ["GET", "/apis/netkiln/v1/images"],
  ["POST", "/vcs/cray/a.git/git-upload-pack"],
  ["GET", "/api/v1/namespaces/services/pods"],
];

test("100 MB are refused before they are sent", async () => {
  const before = await everything(served);
  const authorization = `Bearer ${served.token}`;
  for (const [method, path] of flooded) {
    const { text, sent } = await flood(method, path, { declared: true, authorization });
    assert.match(text, /^HTTP\/1\.1 413 /, `${method} ${path}`);
    assert.ok(sent < 8 << 20, `${method} ${path}: ${sent} bytes were sent before the answer came`);
  }
  const unknown = await flood("POST", "/apis/ims/v3/images", { declared: true, authorization: "Bearer wrong" });
  assert.match(unknown.text, /^HTTP\/1\.1 401 /, "who may not ask at all is told that");
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("100 MB of unknown length are refused when they become too many", async () => {
  const authorization = `Bearer ${served.token}`;
  // These take a body. What is sent to the others is of no use, and read by nobody.
  for (const [method, path] of flooded.filter(([verb]) => verb === "POST" || verb === "PUT")) {
    const { text, sent } = await flood(method, path, { declared: false, authorization });
    assert.match(text, /^HTTP\/1\.1 413 /, `${method} ${path}`);
    assert.ok(sent < 40 << 20, `${method} ${path}: ${sent} bytes were sent before the answer came`);
  }
});

test("who goes on sending after the answer is cut off", async () => {
  const socket = connect(Number(served.admin.port), served.admin.hostname);
  const authorization = `Bearer ${served.token}`;
  socket.write(
    `POST /apis/ims/v3/images HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\ncontent-length: ${huge}\r\n\r\n`,
  );
  const answer = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  assert.match(String(answer), /^HTTP\/1\.1 413 /);
  const began = performance.now();
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => undefined);
  const drip = setInterval(() => socket.write(" "), 50);
  await Promise.race([closed, sleep(20_000, undefined, { ref: false })]);
  clearInterval(drip);
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds > 2 && seconds < 15, `after ${seconds} s`);
});

test("an answer still comes to whoever sends all of it first", async () => {
  const answer: Reply = await served.ask("POST", "/apis/ims/v3/images", { body: Buffer.alloc(20 << 20, " ") });
  assertProblem(answer, 413, "20 MiB");
});

test("also to one that asks for the connection to be closed, which it then is", async () => {
  const socket = connect({ port: Number(served.admin.port), host: served.admin.hostname, allowHalfOpen: true });
  const authorization = `Bearer ${served.token}`;
  const size = 20 << 20;
  socket.write(
    `POST /apis/ims/v3/images HTTP/1.1\r\nhost: a\r\nauthorization: ${authorization}\r\nconnection: close\r\n` +
      `content-length: ${size}\r\n\r\n`,
  );
  const sent = new Promise((resolve, reject) => socket.once("finish", resolve).once("error", reject));
  socket.end(Buffer.alloc(size, " "));
  await sent;
  let answer = "";
  socket.setEncoding("utf8").on("data", (part: string) => (answer += part));
  await new Promise((resolve) => socket.once("close", resolve));
  assert.match(answer, /^HTTP\/1\.1 413 [^]*"title"/);
});

test("the node door waits half a minute for a request to come", { timeout: 60_000 }, async () => {
  const socket = connect(Number(served.nodeDoor.port), served.nodeDoor.hostname);
  let said = "";
  socket.setEncoding("utf8").on("data", (text: string) => (said += text));
  socket.on("error", () => undefined);
  const form = "content-type: application/x-www-form-urlencoded";
  socket.write(`POST /phone-home HTTP/1.1\r\nhost: a\r\n${form}\r\ncontent-length: 10\r\n\r\n`);
  const began = performance.now();
  await new Promise((resolve) => socket.once("close", resolve));
  const seconds = (performance.now() - began) / 1000;
  assert.match(said, /^HTTP\/1\.1 408 /);
  assert.ok(seconds > 25 && seconds < 50, `after ${seconds} s`);
});
