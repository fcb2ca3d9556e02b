/**
 * Requests that are none, and servers that cannot start: what is said is compared word for word, and nothing may have
 * changed. Needs root.
 */
import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openMistakenSite, type MistakenSite } from "../support/mistakes.ts";
import { send } from "../support/send.ts";
import { makeFolder, runCli, type TestServer } from "../support/server.ts";
import { tool, type Site } from "../support/site.ts";

let world: MistakenSite;
let site: Site;
let server: TestServer;

before(async () => {
  world = await openMistakenSite();
  ({ site, server } = world);
});
after(() => world.close());

describe("the doors", () => {
  const path = "/apis/netkiln/v1/images";
  const problem = (body: string) => JSON.parse(body) as Record<string, unknown>;

  test("over TCP let in with a valid token only", async () => {
    const url = server.admin ?? "";
    const { secret } = await server.json<{ secret: string }>("tokens", "create", "ci");
    const ask = (authorization?: string) =>
      send({ url }, "GET", path, { body: "", ...(authorization !== undefined && { headers: { authorization } }) });
    for (const wrong of [undefined, "Bearer wrong", `Bearer ${secret}x`, `Basic ${secret}`, "Bearer "]) {
      const { status, body } = await ask(wrong);
      assert.equal(status, 401, wrong);
      assert.deepEqual(problem(body), {
        type: "about:blank",
        title: "Unauthorized",
        status: 401,
        detail: "this door needs a valid token (Authorization: Bearer ...)",
        code: "unauthorized",
        hint: "make one on the server's host: netkiln tokens create NAME",
      });
    }
    assert.equal((await ask(`Bearer ${secret}`)).status, 200);
    const cli = (token: Record<string, string>) =>
      runCli(["--server", url, "images", "list"], { environment: token, cwd: site.folder });
    const without = await cli({});
    assert.equal(without.exitCode, 4);
    assert.equal(
      without.stderr,
      "error: this door needs a valid token (Authorization: Bearer ...)\nhint: make one on the server's host: netkiln tokens create NAME\n",
    );
    const having = await cli({ NETKILN_TOKEN: secret });
    assert.equal(having.exitCode, 0, having.stderr);
    await server.cli("tokens", "delete", "ci");
    assert.equal((await ask(`Bearer ${secret}`)).status, 401, "a token that was deleted");
    assert.equal((await send({ url: server.nodeDoor }, "GET", path)).status, 404, "nodes find no administration");
  });

  test("refuse what is no request, and say why", async () => {
    const before = await world.state();
    const post = async (type: string, body: string | Buffer, to = "bootprep/runs") => {
      const { status, body: answer } = await server.http("POST", `/apis/netkiln/v1/${to}`, { type, body });
      const { detail, hint } = problem(answer);
      return [status, detail, ...(hint === undefined ? [] : [hint])];
    };
    const json = "application/json";
    const types = "send application/json, or application/x-tar for a recipe";
    assert.deepEqual(await post(json, "{"), [
      400,
      "Body is not valid JSON but content-type is set to 'application/json'",
    ]);
    assert.deepEqual(await post(json, ""), [
      400,
      "Body cannot be empty when content-type is set to 'application/json'",
    ]);
    assert.deepEqual(await post(json, '{"text": 5}'), [400, "the request is not valid: it has 3 mistakes"]);
    assert.deepEqual(await post("text/plain", "{}"), [400, 'the content type "text/plain" is not understood', types]);
    assert.deepEqual(await post("application/gzip", "{}", "recipes"), [
      400,
      'the content type "application/gzip" is not understood',
      types,
    ]);
    assert.deepEqual(await post(json, "{}", "recipes"), [
      400,
      "a recipe is sent as a tar archive (content-type: application/x-tar)",
    ]);
    assert.deepEqual(await post(json, Buffer.alloc(2 << 20, " ")), [
      413,
      "the request's body is too large: at most 1048576 bytes are taken here",
    ]);
    assert.deepEqual(await post(json, "{}", "nothing"), [404, "there is no POST /apis/netkiln/v1/nothing"]);
    assert.equal((await server.http("GET", `${path}?limit=x`)).status, 400);
    assert.deepEqual(await world.state(), before);
  });
});

describe("a server", () => {
  const serve = (...args: string[]) => runCli(["serve", "--node-door", "127.0.0.1:0", ...args]);

  test("that does not run is missed, and the way to start it is told", async () => {
    const { exitCode, stderr } = await runCli(["images", "list"], { environment: { NETKILN_DATA: site.folder } });
    assert.equal(exitCode, 5);
    assert.equal(
      stderr,
      `error: no netkiln server answers on unix:${site.folder}/netkiln.sock (ENOENT)\nhint: start one with: netkiln serve\n`,
    );
  });

  test("does not start beside another one on the same data", async () => {
    const { exitCode, stderr } = await serve("--data", server.data);
    assert.equal(exitCode, 4);
    assert.equal(
      stderr,
      `error: a netkiln server is running already on ${server.data}/netkiln.sock\nhint: stop it, or choose another data folder with --data\n`,
    );
    assert.equal((await server.cli("images", "list")).exitCode, 0, "and leaves the other one alone");
  });

  test("does not start with a configuration that it does not understand", async () => {
    const data = await makeFolder();
    const config = join(data, "config.yaml");
    await writeFile(config, "builds_at_once: many\nnode_dor_listen: 127.0.0.1:0\n");
    const wrong = await serve("--data", data, "--config", config);
    assert.equal(wrong.exitCode, 2);
    assert.match(
      wrong.stderr,
      /config\.yaml:1:17: builds_at_once: .*number.*\n.*config\.yaml:2:1: unknown key "node_dor_listen"\n/,
    );
    const missing = await serve("--data", data, "--config", "/nonexistent.yaml");
    assert.equal(missing.stderr, "error: the configuration file /nonexistent.yaml does not exist\n");
    const address = await serve("--data", data, "--listen", "8080");
    assert.equal(address.exitCode, 2);
    assert.equal(address.stderr, 'error: admin_listen must be "ADDRESS:PORT", not "8080"\n');
    const taken = await serve("--data", data, "--listen", new URL(server.nodeDoor).host);
    assert.equal(taken.exitCode, 2);
    assert.match(
      taken.stderr,
      /^error: cannot listen on 127\.0\.0\.1:\d+: listen EADDRINUSE.*\nhint: choose another address/,
    );
    assert.deepEqual(
      (await readdir(data)).filter((name) => name.endsWith(".sock")),
      [],
      "no socket is left",
    );
    await tool("rm", "-r", data);
  });
});
