import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fastify from "fastify";
import { openFileBlobs } from "../../artifact/index.ts";
import {
  migrations as bootMigrations,
  openAccessLog,
  openBootEntries,
  openBootScripts,
  openNodeIdentities,
  scriptPaths,
} from "../../boot/index.ts";
import type { Image } from "../../image/index.ts";
import { migrate, openDatabase } from "../../lib/db.ts";
import { errorCodes, NetkilnError } from "../../lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../../node/index.ts";
import {
  migrations as telemetryMigrations,
  openBootRecords,
  openBootTokens,
  openEventStore,
} from "../../telemetry/index.ts";
import { registerNodeDoor } from "./routes.ts";
import { scriptAskOf, scriptQuerySchema } from "./schema.ts";
import { plainAsk } from "./script-express.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-door-"));
after(() => rm(folder, { recursive: true }));

const xname = "x1000c0s0b0n0";
const mac = "52:54:00:00:00:01";
const rootBytes = 8 * 1024 * 1024;

async function openDoor() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...telemetryMigrations, ...nodeMigrations, ...bootMigrations });
  const nodes = openNodeStore(db);
  await nodes.put(parseNode({ xname, nid: 1, interfaces: [{ mac }] }));
  const entries = openBootEntries(db);
  const boots = openBootRecords(db, openEventStore(db));
  const { interfaces } = openInventory(db);
  const bootTokens = openBootTokens(db, boots);
  const identities = openNodeIdentities({ nodes, interfaces, bootTokens, sharedAddresses: [] });
  const blobs = openFileBlobs(join(folder, "blobs"));
  const rootFile = join(folder, "root");
  await writeFile(rootFile, Buffer.alloc(rootBytes, 7));
  const image = {
    id: "img-1",
    name: "compute",
    buildId: "build-1",
    artifacts: {
      rootfs: await blobs.putFile(rootFile),
      kernel: await blobs.putBytes("kernel"),
      manifest: await blobs.putBytes("{}"),
    },
  } as unknown as Image;
  await entries.put(
    { hosts: [xname], macs: [], nids: [] },
    {
      kernel: "s3://boot-images/img-1/kernel",
      initrd: "",
      params: "root=live:s3://boot-images/img-1/rootfs",
      cloudInit: undefined,
    },
  );
  let reports = 0;
  const app = fastify();
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error instanceof NetkilnError ? errorCodes[error.code].status : (error.statusCode ?? 500);
    return reply.code(status).send({ detail: error.message });
  });
  after(() => app.close());
  const findImage = async (id: string) => ("img-1".startsWith(id) ? image : undefined);
  const scripts = openBootScripts({ db, findImage });
  const accesses = openAccessLog(db);
  registerNodeDoor(app, {
    nodes,
    scripts,
    accesses,
    boots,
    identities,
    blobs,
    findImage,
    onReport: () => (reports += 1),
  });
  return { app, boots, nodes, entries, accesses, identities, image, reports: () => reports };
}

const host = { host: "10.0.2.2:8080" };
const script = `/boot/v1/bootscript?mac=${mac}&arch=x86_64`;
const kinds = (boot: { phases: readonly { phase: string }[] } | undefined) => boot?.phases.map(({ phase }) => phase);
const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

test("a node gets its script, with links to the door by which it came, and that begins its boot", async () => {
  const { app, boots } = await openDoor();
  const first = await app.inject({ url: "/boot.ipxe", headers: host });
  assert.match(first.body, /^#!ipxe\nchain http:\/\/10\.0\.2\.2:8080\/boot\/v1\/bootscript\?mac=\$\{mac\}/);
  for (const path of [script, `/apis/bss${script}`]) {
    const { statusCode, body, headers } = await app.inject({ url: path, headers: host });
    const boot = await boots.latest(xname);
    assert.equal(statusCode, 200);
    assert.match(String(headers["content-type"]), /^text\/plain/);
    assert.ok(body.includes(`kernel --name kernel http://10.0.2.2:8080/boot-images/img-1/kernel?boot=${boot?.id} `));
    assert.ok(body.includes(`netkiln.report=http://10.0.2.2:8080/netkiln/v1/boots/${boot?.id} `));
    assert.deepEqual([boot?.imageId, boot?.expectedBuildId], ["img-1", "build-1"]);
    assert.deepEqual(kinds(boot), ["script"]);
  }
  assert.equal((await boots.list({ limit: 9 })).length, 2);
  await app.inject({ url: `${script}&retry=1`, headers: host });
  assert.equal((await boots.list({ limit: 9 })).length, 2);
});

test("a script is worked out anew as soon as something has changed, and says when a link leads to nothing", async () => {
  const { app, boots, nodes, entries, accesses } = await openDoor();
  const fetch = async () => (await app.inject({ url: script, headers: host })).body;
  assert.match(await fetch(), /root=live:http/);
  const own = { hosts: [xname], macs: [], nids: [] };
  await entries.patch(own, { params: "quiet" });
  assert.match(await fetch(), / quiet xname=/);
  await nodes.put(parseNode({ xname, nid: 7, interfaces: [{ mac }] }));
  assert.match(await fetch(), / nid=7 /);
  const begun = (await boots.list({ limit: 9 })).length;
  for (const [link, reason] of [
    ["s3://boot-images/gone/kernel", "there is no image gone"],
    ["s3://boot-images/img-1/boot_parameters", "image compute has no boot_parameters"],
    ["s3://other/kernel", "is no link to a file of an image"],
  ] as const) {
    await entries.patch(own, { kernel: link });
    const text = await fetch();
    assert.ok(text.includes("echo netkiln: ") && text.includes(reason), text);
    assert.match(text, /^sleep 30\nchain /m);
  }
  assert.equal((await boots.list({ limit: 9 })).length, begun, "no boot began");
  assert.deepEqual(
    (await accesses.list({}, { limit: 9 })).map(({ name, endpoint }) => [name, endpoint]),
    [[xname, "bootscript"]],
  );
});

test("an unknown node is told to wait, and a false host or an empty question gets an error", async () => {
  const { app, boots } = await openDoor();
  const { statusCode, body } = await app.inject({
    url: "/boot/v1/bootscript?mac=52:54:00:00:00:99&retry=3",
    headers: host,
  });
  assert.equal(statusCode, 200);
  assert.match(body, /is no node of the inventory[\s\S]*sleep 30\nchain .*mac=52:54:00:00:00:99&retry=4\n$/);
  assert.equal((await app.inject({ url: "/boot/v1/bootscript", headers: host })).statusCode, 400);
  assert.equal((await app.inject({ url: script, headers: { host: "a b" } })).statusCode, 400);
  assert.deepEqual(await boots.list({ limit: 9 }), []);
});

test("with json=1 a node's script is JSON, and no boot begins", async () => {
  const { app, boots } = await openDoor();
  const { statusCode, headers: sent, body } = await app.inject({ url: `${script}&json=1`, headers: host });
  assert.equal(statusCode, 200);
  assert.match(String(sent["content-type"]), /^application\/json/);
  const { kernel, params } = JSON.parse(body) as { kernel: string; params: string };
  assert.equal(kernel, "http://10.0.2.2:8080/boot-images/img-1/kernel");
  assert.match(params, /^root=live:http:.* xname=x1000c0s0b0n0 /);
  const unknown = await app.inject({ url: "/boot/v1/bootscript?nid=9&json=1", headers: host });
  assert.equal(unknown.statusCode, 404);
  assert.deepEqual(await boots.list({ limit: 9 }), []);
});

test("what is asked in the plain form is answered past the routes, and the same", async () => {
  const { app, boots, entries, accesses } = await openDoor();
  let routed = 0;
  app.addHook("onRequest", async () => void (routed += 1));
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const before = routed;
    // Each over a connection of its own, which the client would keep.
    const agent = new Agent({ keepAlive: true });
    const response = await new Promise<IncomingMessage>((resolve) =>
      httpRequest({ port, path, headers, agent }, resolve).end(),
    );
    const text = (await response.setEncoding("utf8").toArray()).join("");
    agent.destroy();
    const { date: _, ...sent } = response.headers;
    const boot = (await boots.latest(xname))?.id ?? "none";
    const same = text.replaceAll(boot, "BOOT").replaceAll(/BOOT-[0-9a-f]{32}/g, "TOKEN");
    const answer = [response.statusCode, sent, same];
    return { boot, express: routed === before, answer, text };
  };
  const [chain, chainByRoute] = [await get("/boot.ipxe"), await get("/boot.ipxe?")];
  assert.deepEqual([chain.express, chainByRoute.express], [true, false]);
  assert.deepEqual(chain.answer, chainByRoute.answer);
  const unknown = "/boot/v1/bootscript?mac=52:54:00:00:00:99";
  for (const path of [script, `/apis/bss${script}`, unknown]) {
    const [first, second, byRoute] = [await get(path), await get(path), await get(`${path}&ts=1`)];
    assert.deepEqual([first.express, second.express, byRoute.express], [true, true, false]);
    assert.deepEqual(first.answer, byRoute.answer);
    assert.deepEqual(second.answer, byRoute.answer);
    if (path === unknown) continue;
    assert.equal(new Set([first.boot, second.boot, byRoute.boot]).size, 3, "each begins a boot");
    assert.match(
      second.text,
      new RegExp(`boots/${second.boot}-[0-9a-f]{32}/ .*boots/${second.boot} [\\s\\S]*&retry=1\n$`),
    );
    const again = await get(`${path}&retry=4`);
    assert.deepEqual([again.express, again.boot], [true, byRoute.boot], "which a retry goes on with");
    assert.match(again.text, /&retry=5\n$/);
  }
  assert.deepEqual(kinds(await boots.latest(xname)), ["script"]);
  assert.equal((await boots.latest(xname))?.phases[0]?.detail["address"], "127.0.0.1");
  assert.equal((await accesses.list({}, { limit: 9 }))[0]?.name, xname);

  const falseHost = await new Promise<number | undefined>((resolve) => {
    const asking = httpRequest({ port, path: script, headers: { host: "a b" } }, ({ statusCode }) =>
      resolve(statusCode),
    );
    asking.end();
  });
  assert.equal(falseHost, 400);

  await entries.patch({ hosts: [xname], macs: [], nids: [] }, { params: "quiet" });
  assert.match((await get(script)).text, / quiet xname=/);
  assert.equal((await get(script, { "x-forwarded-for": "10.0.0.1" })).express, false);
});

test("what fails after a boot has begun begins no other one", async () => {
  const { app, boots, identities } = await openDoor();
  identities.tokenFor = () => {
    throw new Error("no more tokens");
  };
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const response = await fetch(url + script);
  assert.equal(response.status, 500);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.match(await response.text(), /an unexpected error happened; the server's log has more/);
  assert.equal((await boots.list({ limit: 9 })).length, 1);
});

test("the plain form of a question is read as the schema reads it", () => {
  const [base] = scriptPaths;
  for (const query of [
    "mac=52:54:00:00:00:01",
    "mac=52-54-00-00-00-0A&arch=x86_64",
    "name=x1000c0s0b0n0&retry=7",
    "name=nid000001&arch=arm64&retry=999999",
    "nid=007",
    "nid=0&retry=0",
  ]) {
    const parsed = scriptQuerySchema.parse(Object.fromEntries(new URLSearchParams(query)));
    for (const path of scriptPaths) {
      assert.deepEqual(plainAsk(`${path}?${query}`), { ask: scriptAskOf(parsed, path), retry: parsed.retry }, query);
    }
  }
  const url = `${base}?nid=1`;
  for (const query of [
    "",
    "nid=",
    "nid=1&nid=2",
    "nid=1&json=1",
    "mac=a%3Ab",
    "name=a+b",
    "nid=1&retry=-1",
    "nid=1&ts=1",
  ])
    assert.equal(plainAsk(`${base}?${query}`), undefined, query);
  assert.equal(plainAsk(`${base}?nid=1234567890`), undefined);
  assert.equal(plainAsk(`${url}&retry=1000001`), undefined);
  assert.equal(plainAsk(`/x${url}`), undefined);
});

test("files are whole or in ranges, and the phase is reached with the last byte", async () => {
  const { app, boots, image } = await openDoor();
  await app.inject({ url: script, headers: host });
  const boot = (await boots.latest(xname))?.id;
  const url = `/boot-images/img-1/rootfs?boot=${boot}`;
  const head = await app.inject({ method: "HEAD", url });
  assert.deepEqual(
    [head.statusCode, head.headers["content-length"], head.headers.etag, head.headers["accept-ranges"], head.body],
    [200, String(rootBytes), `"${image.artifacts.rootfs?.sha256}"`, "bytes", ""],
  );
  const part = await app.inject({ url, headers: { range: "bytes=0-3" } });
  assert.deepEqual([part.statusCode, part.rawPayload], [206, Buffer.alloc(4, 7)]);
  assert.equal((await app.inject({ url, headers: { "if-none-match": head.headers.etag as string } })).statusCode, 304);
  assert.equal((await app.inject({ url, headers: { range: `bytes=${rootBytes}-` } })).statusCode, 416);
  await settle();
  assert.deepEqual(kinds(await boots.latest(xname)), ["script"]);

  const whole = await app.inject({ url });
  assert.equal(whole.headers["content-length"], String(rootBytes));
  assert.equal(whole.rawPayload.length, rootBytes);
  await app.inject({ url: `/boot-images/img-1/kernel?boot=${boot}` });
  await app.inject({ url: "/boot-images/img-1/kernel" });
  await app.inject({ url: "/boot-images/img-1/kernel?boot=unknown" });
  await settle();
  assert.deepEqual(kinds(await boots.latest(xname)), ["script", "root", "kernel"]);
});

test("a connection that is cut reaches no phase", async () => {
  const { app, boots } = await openDoor();
  await app.inject({ url: script, headers: host });
  const boot = (await boots.latest(xname))?.id;
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  await new Promise<void>((resolve) => {
    const request = httpRequest({ port, path: `/boot-images/img-1/rootfs?boot=${boot}` }, (response) => {
      response.once("data", () => request.destroy());
      response.once("error", () => resolve());
    });
    request.end();
  });
  await settle();
  assert.deepEqual(kinds(await boots.latest(xname)), ["script"]);
});

test("nothing but the files of an image, by its whole id, is there", async () => {
  const { app } = await openDoor();
  const paths = [
    "/boot-images/img-1/initrd",
    "/boot-images/img-1/constructor",
    "/boot-images/img/kernel",
    "/boot-images/other/kernel",
    "/boot-images/img-1/..%2fkernel",
    "/apis/netkiln/v1/nodes",
    "/",
  ];
  for (const url of paths) assert.equal((await app.inject({ url })).statusCode, 404, url);
  const manifest = await app.inject({ url: "/boot-images/img-1/manifest.json" });
  assert.deepEqual([manifest.statusCode, manifest.body], [200, "{}"]);
  assert.deepEqual((await app.inject({ url: "/healthz" })).json(), { status: "ok" });
});

test("a node reports with the boot's id, and only so", async () => {
  const { app, boots, nodes, reports } = await openDoor();
  await app.inject({ url: script, headers: host });
  const id = (await boots.latest(xname))?.id;
  const post = (boot: string | undefined, body: object) =>
    app.inject({ method: "POST", url: `/netkiln/v1/boots/${boot}`, payload: body });
  // What node/bin/report sends.
  const ready = {
    boot: id,
    phase: "ready",
    state: "degraded",
    failed: "a.service b.service",
    build: "build-1",
    uptime: 12.5,
    detail: "degraded",
  };
  assert.equal((await post(id, { boot: id, phase: "userspace" })).statusCode, 204);
  assert.equal((await post(id, ready)).statusCode, 204);
  assert.equal((await post("unknown", ready)).statusCode, 404);
  assert.equal((await post(id, { phase: "kernel" })).statusCode, 400);
  assert.equal((await post(id, { phase: "ready", detail: "x".repeat(5000) })).statusCode, 413);
  assert.equal(reports(), 2);
  const record = await boots.latest(xname);
  assert.deepEqual(kinds(record), ["script", "userspace", "ready"]);
  assert.deepEqual(record?.phases.at(-1)?.detail, {
    buildId: "build-1",
    state: "degraded",
    failedUnits: ["a.service", "b.service"],
    uptime: 12.5,
    message: "degraded",
  });
  assert.equal((await nodes.get(xname))?.state, "Ready");
});

test("a node is ready also when somebody else fetched its script meanwhile", async () => {
  const { app, boots, nodes } = await openDoor();
  const id = await boots.forScript(xname, { retry: 0, target: { imageId: "image-1", expectedBuildId: "build-1" } });
  await app.inject({ url: script, headers: host });
  const payload = { phase: "ready", build: "build-1" };
  await app.inject({ method: "POST", url: `/netkiln/v1/boots/${id}`, payload });
  assert.equal((await nodes.get(xname))?.state, "Ready");
});

test("a script has a token where the address that asks says nothing, and none for another component's address", async () => {
  const { app, nodes } = await openDoor();
  const seedFor = async (remoteAddress: string) => {
    const { body } = await app.inject({ url: script, headers: host, remoteAddress });
    return / ds=nocloud-net;s=http:\/\/10\.0\.2\.2:8080\/(\S*)/.exec(body)?.[1];
  };
  assert.match((await seedFor("10.9.9.9")) ?? "", /^boots\/[0-9a-f]{32}-[0-9a-f]{32}\/$/);
  const interfaces = [{ mac: "52:54:00:00:00:02", ip: "10.9.9.9" }];
  await nodes.put(parseNode({ xname: "x1000c0s1b0n0", nid: 2, interfaces }));
  assert.equal(await seedFor("10.9.9.9"), "");
  await nodes.put(parseNode({ xname, nid: 1, interfaces: [{ mac, ip: "10.1.0.1" }] }));
  assert.equal(await seedFor("10.8.8.8"), "");
  assert.equal(await seedFor("10.1.0.1"), "");
});
