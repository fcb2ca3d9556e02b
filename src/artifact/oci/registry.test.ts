/** How a registry is asked, against a double that answers what real ones only do on certain days. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, test, type TestContext } from "node:test";
import { NetkilnError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/files.ts";
import { isLoopback, parseChallenge } from "./connection.ts";
import { findCredentials } from "./credentials.ts";
import { openRegistry } from "./registry.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-registry-"));
after(() => rm(folder, { recursive: true }));

const index = JSON.stringify({ schemaVersion: 2, manifests: [] });
const indexType = { "content-type": "application/vnd.oci.image.index.v1+json" };

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function body(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await request.toArray()).toString();
}

test("a token is fetched as the registry asks for it, and used until it is refused", async (t) => {
  const authFile = join(folder, "token.json");
  const asked: string[] = [];
  let valid = "token-1";
  const host: string = await serve(t, (request, response) => {
    const url = new URL(request.url ?? "", `http://${host}`);
    if (url.pathname === "/token") {
      asked.push(`${url.search} ${request.headers.authorization}`);
      return void response.end(JSON.stringify({ access_token: valid, expires_in: 60 }));
    }
    if (request.headers.authorization === `Bearer ${valid}`) return void response.writeHead(200, indexType).end(index);
    const challenge = `Bearer realm="http://${host}/token",service="registry, the one",scope="ignored"`;
    return void response.writeHead(401, { "www-authenticate": challenge }).end();
  });
  const auth = Buffer.from("kiln:secret").toString("base64");
  await writeFile(authFile, JSON.stringify({ auths: { [host]: { auth } } }));
  const registry = openRegistry({ registry: host, name: "site/base" }, { authFile });
  assert.equal((await registry.manifest("1")).digest, `sha256:${sha256(index)}`);
  await registry.manifest("1");
  valid = "token-2";
  await registry.manifest("1");
  const expected = `?scope=repository%3Asite%2Fbase%3Apull&service=registry%2C+the+one Basic ${auth}`;
  assert.deepEqual(asked, [expected, expected]);
});

test("an identity token is sent in the body of a POST", async (t) => {
  const authFile = join(folder, "identity.json");
  let form = "";
  const host: string = await serve(t, async (request, response) => {
    if (request.url === "/token") {
      form = `${request.method} ${await body(request)}`;
      return void response.end('{"token": "t"}');
    }
    if (request.headers.authorization === "Bearer t") return void response.writeHead(200, indexType).end(index);
    return void response.writeHead(401, { "www-authenticate": `bearer realm="http://${host}/token"` }).end();
  });
  await writeFile(authFile, JSON.stringify({ auths: { [host]: { identitytoken: "long+lived" } } }));
  await openRegistry({ registry: host, name: "a" }, { authFile }).manifest("1");
  const scope = "scope=repository%3Aa%3Apull";
  assert.equal(form, `POST grant_type=refresh_token&client_id=netkiln&refresh_token=long%2Blived&${scope}`);
});

test("where a registry sends its clients for blobs, the credentials do not go along", async (t) => {
  const seen: (string | undefined)[] = [];
  const store = await serve(t, (request, response) => {
    seen.push(request.headers.authorization);
    response.end("content");
  });
  const host = await serve(t, (request, response) => {
    if (request.headers.authorization === undefined) {
      return void response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
    }
    return void response.writeHead(307, { location: `http://${store}/blob` }).end();
  });
  const authFile = join(folder, "basic.json");
  await writeFile(authFile, JSON.stringify({ auths: { [host]: { auth: Buffer.from("a:b").toString("base64") } } }));
  const registry = openRegistry({ registry: host, name: "a" }, { authFile });
  await registry.fetchBlob({ digest: `sha256:${sha256("content")}`, size: 7 }, join(folder, "blob"));
  assert.deepEqual(seen, [undefined]);
});

test("nothing goes over plain HTTP to what is neither on loopback nor named insecure", async (t) => {
  assert.equal(isLoopback("127.8.9.1"), true);
  assert.equal(isLoopback("[::1]"), true);
  for (const other of ["127.evil.example", "localhost.example", "10.0.0.1", "[::2]"])
    assert.equal(isLoopback(other), false);
  const away = await serve(t, (_request, response) =>
    response.writeHead(307, { location: "http://registry.example/v2/" }).end(),
  );
  await assert.rejects(openRegistry({ registry: away, name: "a" }).manifest("1"), {
    code: "refused",
    message: `the registry ${away} wants to be asked over plain HTTP at registry.example`,
  });
  const realm = await serve(t, (_request, response) =>
    response.writeHead(401, { "www-authenticate": 'Bearer realm="http://tokens.example/"' }).end(),
  );
  await assert.rejects(openRegistry({ registry: realm, name: "a" }).manifest("1"), { code: "refused" });
});

test("a registry that redirects without an end, or says nothing of use, is told as such", async (t) => {
  const round: string = await serve(t, (_request, response) =>
    response.writeHead(302, { location: `http://${round}/again` }).end(),
  );
  await assert.rejects(openRegistry({ registry: round, name: "a" }).manifest("1"), /it redirects without an end/);
  const odd = await serve(t, (_request, response) =>
    response.writeHead(503, indexType).end('{"errors":[{"code":"UNAVAILABLE","message":"come back later"}]}'),
  );
  await assert.rejects(openRegistry({ registry: odd, name: "a" }).manifest("1"), (error: NetkilnError) => {
    assert.equal(error.message, `the registry ${odd} answers 503 to manifest 1 of ${odd}/a`);
    assert.deepEqual(error.output, ["UNAVAILABLE: come back later"]);
    return error.code === "unreachable";
  });
});

test("a manifest that is not what its digest or the registry's own word says is refused", async (t) => {
  const host = await serve(t, (_request, response) =>
    response.writeHead(200, { ...indexType, "docker-content-digest": `sha256:${"0".repeat(64)}` }).end(index),
  );
  const registry = openRegistry({ registry: host, name: "a" });
  const found = `found sha256:${sha256(index)}`;
  await assert.rejects(registry.manifest("1"), { message: new RegExp(`expected sha256:0{64}, ${found}$`) });
  const asked = `sha256:${"1".repeat(64)}`;
  await assert.rejects(registry.manifest(asked), { message: new RegExp(`expected ${asked}, ${found}$`) });
  const endless = await serve(t, (_request, response) =>
    Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(1 << 16))).pipe(response.writeHead(200)),
  );
  await assert.rejects(openRegistry({ registry: endless, name: "a" }).manifest("1"), /is too large: more than 4194304/);
});

test("a blob is taken only with its digest and its size, and reading ends with the first byte too much", async (t) => {
  const host = await serve(t, (_request, response) => response.end("x".repeat(100)));
  const registry = openRegistry({ registry: host, name: "a" });
  const digest = `sha256:${sha256("x".repeat(100))}`;
  const cases = [
    [{ digest, size: 99 }, /expected sha256:[0-9a-f]{64} with 99 bytes with more than 99 bytes$/],
    [{ digest, size: 101 }, /with 101 bytes, found sha256:[0-9a-f]{64} with 100 bytes$/],
    [{ digest: `sha256:${"0".repeat(64)}`, size: 100 }, new RegExp(`expected sha256:0{64}, found ${digest}$`)],
  ] as const;
  const before = await readdir(folder);
  for (const [descriptor, message] of cases) {
    await assert.rejects(registry.fetchBlob(descriptor, join(folder, "part")), { message });
  }
  assert.deepEqual(await readdir(folder), before);
});

test("all pages of tags are read, at the registry's own address", async (t) => {
  const host = await serve(t, (request, response) => {
    const page = Number(new URL(request.url ?? "", "http://x").searchParams.get("last") ?? 0);
    const link = `<http://internal.example/v2/a/tags/list?n=1000&last=${page + 1}>; rel="next"`;
    response.writeHead(200, page < 3 ? { link } : {}).end(JSON.stringify({ name: "a", tags: [`tag-${page}`] }));
  });
  assert.deepEqual(await openRegistry({ registry: host, name: "a" }).tags(), ["tag-0", "tag-1", "tag-2", "tag-3"]);
});

test("an upload goes up in pieces of the registry's least size, and a broken one is taken back", async (t) => {
  const log: string[] = [];
  let breaking = false;
  const host = await serve(t, async (request, response) => {
    const { "content-range": range = "", "content-length": length = "" } = request.headers;
    const size = (await body(request)).length;
    log.push([request.method, request.url, range, length, size].join(" "));
    const status = breaking && request.method === "PATCH" ? 500 : 202;
    response
      .writeHead(status, { location: `/v2/a/blobs/uploads/1?step=${log.length}`, "oci-chunk-min-length": "6" })
      .end();
  });
  const registry = openRegistry({ registry: host, name: "a" }, {}, { pieceSize: 4 });
  const content = Buffer.from("0123456789");
  const digest = `sha256:${sha256(content)}`;
  const open = (_digest: string, { start, end } = { start: 0, end: 9 }) =>
    Readable.from([content.subarray(start, end + 1)]);
  await registry.pushBlob({ digest, size: 10 }, open);
  assert.deepEqual(log.splice(0), [
    "POST /v2/a/blobs/uploads/  0 0",
    "PATCH /v2/a/blobs/uploads/1?step=1 0-5 6 6",
    "PATCH /v2/a/blobs/uploads/1?step=2 6-9 4 4",
    `PUT /v2/a/blobs/uploads/1?step=3&digest=${encodeURIComponent(digest)}  0 0`,
  ]);
  breaking = true;
  await assert.rejects(registry.pushBlob({ digest, size: 10 }, open), /answers 500 to upload of blob/);
  assert.equal(log.at(-1)?.split(" ").slice(0, 2).join(" "), "DELETE /v2/a/blobs/uploads/1?step=1");
});

test("credentials are those of the most specific entry, and stay out of messages", async () => {
  const file = join(folder, "auth.json");
  const auth = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
  const auths = {
    "https://registry.example/v1/": auth("all:1"),
    "registry.example/site": auth("site:2"),
    "registry.example/site/base": auth("base:3"),
    "broken.example": auth("no colon, secret"),
  };
  await writeFile(file, JSON.stringify({ auths, credHelpers: { "helped.example": "secretservice" } }));
  const user = async (registry: string, name: string) => {
    const found = await findCredentials(file, { registry, name });
    return found?.basic === undefined ? undefined : Buffer.from(found.basic, "base64").toString();
  };
  assert.equal(await user("registry.example", "site/base"), "base:3");
  assert.equal(await user("registry.example", "site/other"), "site:2");
  assert.equal(await user("registry.example", "sitex"), "all:1");
  assert.equal(await user("registry.example:5000", "site/base"), undefined);
  await assert.rejects(user("helped.example", "a"), /leaves the credentials of helped\.example to a helper program/);
  await assert.rejects(user("broken.example", "a"), (error: NetkilnError) => {
    return error.message.endsWith("is not USER:PASSWORD in base64") && !JSON.stringify(error).includes("secret");
  });
  await assert.rejects(
    findCredentials(join(folder, "none"), { registry: "a", name: "b" }),
    /cannot be read \(ENOENT\)/,
  );
});

test("challenges are read whatever their case and order", () => {
  const header = 'Basic realm="a, b", Bearer realm="https://x/token",service=plain';
  assert.deepEqual(
    [...(parseChallenge(header, "bearer") ?? [])],
    [
      ["realm", "https://x/token"],
      ["service", "plain"],
    ],
  );
  assert.deepEqual([...(parseChallenge(header, "basic") ?? [])], [["realm", "a, b"]]);
  assert.equal(parseChallenge("Negotiate", "bearer"), undefined);
  assert.equal(parseChallenge("Basic", "basic")?.size, 0);
});
