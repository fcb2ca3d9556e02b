import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import fastify from "fastify";
import { migrations, openTokenStore } from "../../access/index.ts";
import { migrate, openDatabase } from "../../lib/db.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { registerVcs } from "./routes.ts";

const gitLogin = { username: "git-reader", password: "0".repeat(64) };
const type = "application/x-git-upload-pack-request";
const refs = "/vcs/cray/a.git/info/refs?service=git-upload-pack";
const pack = "/vcs/cray/a.git/git-upload-pack";
const basic = (login: string) => `Basic ${Buffer.from(login).toString("base64")}`;
const good = basic(`${gitLogin.username}:${gitLogin.password}`);

/** Repositories that say what they were asked. */
async function openApi({ requireLogin = true } = {}) {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const tokens = openTokenStore(db);
  const said = async (path: string, ...more: unknown[]) => {
    if (path === "cray/a") return Readable.from([Buffer.from([path, ...more].join(" "))]);
    throw new NetkilnError("not_found", `there is no repository ${path}`);
  };
  const app = fastify();
  after(() => app.close());
  registerVcs(
    app,
    {
      gitLogin,
      admission: {
        callerOf: async (authorization = "") => {
          const token = await tokens.check(authorization.slice("Bearer ".length));
          if (token === undefined) throw new NetkilnError("unauthorized", "no token");
          return { name: token.name, role: token.role };
        },
      },
      repositories: {
        advertise: (path, { version }) => said(path, version),
        uploadPack: (path, { version, body }) => said(path, version, body.toString()),
      },
    },
    { requireLogin },
  );
  const ask = async (
    method: "GET" | "POST",
    url: string,
    headers: Record<string, string> = {},
    payload?: Buffer | string,
  ) => {
    const answer = await app.inject({ method, url, headers, ...(payload !== undefined && { payload }) });
    return { status: answer.statusCode, headers: answer.headers, body: answer.body };
  };
  return { ask, tokens };
}

test("only who has the login or a token reads, and git is told to ask for it", async () => {
  const { ask, tokens } = await openApi();
  const { secret } = await tokens.create({ name: "ci", days: 1, role: "reader" });
  for (const authorization of [good, basic(`anyone:${secret}`), `Bearer ${secret}`, `bearer ${secret}`]) {
    assert.equal((await ask("GET", refs, { authorization })).status, 200, authorization);
  }
  const bad = [
    "",
    basic(`${gitLogin.username}:wrong`),
    basic(`other:${gitLogin.password}`),
    basic(gitLogin.password),
    basic("a:"),
    `Bearer ${gitLogin.password}`,
    `Bearer ${secret}0`,
  ];
  for (const authorization of bad) {
    const { status, headers, body } = await ask("GET", refs, { authorization });
    assert.deepEqual([status, headers["www-authenticate"]], [401, 'Basic realm="netkiln"'], authorization);
    assert.equal(body.includes(secret), false);
    assert.equal((await ask("POST", pack, { authorization, "content-type": type }, "0000")).status, 401);
  }
});

test("the socket needs no login", async () => {
  const { ask } = await openApi({ requireLogin: false });
  assert.equal((await ask("GET", refs)).status, 200);
});

test("the announcement stands before the references, but not in version 2", async () => {
  const { ask } = await openApi({ requireLogin: false });
  const plain = await ask("GET", refs);
  assert.equal(plain.headers["content-type"], "application/x-git-upload-pack-advertisement");
  assert.equal(plain.body, "001e# service=git-upload-pack\n0000cray/a 0");
  assert.match((await ask("GET", refs, { "git-protocol": "version=1" })).body, /0000cray\/a 1$/);
  assert.equal((await ask("GET", refs, { "git-protocol": "version=2" })).body, "cray/a 2");
  assert.equal((await ask("GET", refs.replace(".git", ""), { "git-protocol": "version=2" })).body, "cray/a 2");
  assert.match((await ask("GET", refs, { "git-protocol": "version=2; rm -rf /" })).body, /cray\/a 0$/);
});

test("bodies come plain and packed, and no larger than is taken", async () => {
  const { ask } = await openApi({ requireLogin: false });
  const headers = { "content-type": type, "git-protocol": "version=2" };
  assert.equal((await ask("POST", pack, headers, "0000")).body, "cray/a 2 0000");
  const packed = { ...headers, "content-encoding": "gzip" };
  assert.equal((await ask("POST", pack, packed, gzipSync("0011want"))).body, "cray/a 2 0011want");
  assert.deepEqual((await ask("POST", pack, packed, "no gzip")).status, 400);
  assert.equal((await ask("POST", pack, packed, gzipSync(Buffer.alloc((16 << 20) + 1)))).status, 413);
  assert.equal((await ask("POST", pack, { "content-type": "application/json" }, "{}")).status, 415);
});

test("nothing is written, and nothing else is read", async () => {
  const { ask } = await openApi({ requireLogin: false });
  assert.deepEqual(await ask("GET", "/vcs/cray/a.git/info/refs?service=git-receive-pack").then((a) => a.status), 403);
  assert.equal((await ask("POST", "/vcs/cray/a.git/git-receive-pack", { "content-type": type }, "0000")).status, 403);
  const none = [
    "/vcs/cray/a.git/info/refs",
    "/vcs/cray/a.git/HEAD",
    "/vcs/cray/b.git/info/refs?service=git-upload-pack",
    "/vcs/cray%2F..%2F..%2Fetc/info/refs?service=git-upload-pack",
    "/vcs//cray/a/info/refs?service=git-upload-pack",
    "/vcs/cray/a%00/info/refs?service=git-upload-pack",
    "/vcs/--upload-pack=x/info/refs?service=git-upload-pack",
    "/vcs/__proto__/info/refs?service=git-upload-pack",
  ];
  for (const url of none) assert.equal((await ask("GET", url)).status, 404, url);
  const missing = await ask("GET", "/vcs/cray/b.git/info/refs?service=git-upload-pack");
  assert.deepEqual(
    [missing.body, missing.headers["content-type"]],
    ["there is no repository cray/b\n", "text/plain; charset=utf-8"],
  );
});
