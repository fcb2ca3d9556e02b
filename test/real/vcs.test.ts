/** Repositories that the server serves, read with the real git as sat and CFS do. Builds nothing. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { send } from "../support/send.ts";
import { processesOf, startServer, waitUntil, type TestServer } from "../support/server.ts";
import { makeSite, type Site } from "../support/site.ts";

const recipeBranch = "cray/hpc-csm-software-recipe/23.7.0";

let site: Site;
let server: TestServer;
let login: { user: string; password: string };
let token: string;

before(async () => {
  site = await makeSite();
  await site.commit({ "product_vars.yaml": "cos: {version: 2.5.97}\n", "roles/a/tasks/main.yml": "[]\n" });
  await site.git("branch", recipeBranch);
  await site.git("clone", "--quiet", "--bare", join(site.folder, "ansible"), join(site.folder, "bare.git"));
  await site.write(
    "config.yaml",
    `sat:
  gateway: https://gateway.example.org
  repositories:
    cray/work-tree: ${join(site.folder, "ansible")}
    cray/hpc-csm-software-recipe: ${join(site.folder, "bare.git")}
    cray/inside: ${join(site.folder, "ansible/roles")}
    cray/gone: ${join(site.folder, "gone")}
`,
  );
  server = await startServer({
    cwd: site.folder,
    args: ["--listen", "127.0.0.1:0", "--config", join(site.folder, "config.yaml")],
  });
  token = (await server.json<{ secret: string }>("tokens", "create", "git")).secret;
  const secret = await server.http("GET", "/api/v1/namespaces/services/secrets/vcs-user-credentials");
  const { data } = JSON.parse(secret.body) as { data: { vcs_username: string; vcs_password: string } };
  const decoded = (text: string) => Buffer.from(text, "base64").toString();
  login = { user: decoded(data.vcs_username), password: decoded(data.vcs_password) };
  await site.write("askpass", '#!/bin/sh\nprintf %s "$PASSWORD"\n', 0o755);
});

after(async () => {
  await server.stop();
  await site.clear();
});

interface GitResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real git, with the password told as sat tells it: by a program that prints it. */
async function git(
  args: readonly string[],
  { password = login.password, cwd = site.folder, input = "", trace = false } = {},
): Promise<GitResult> {
  const env = {
    ...(trace && { GIT_TRACE_CURL: "1", GIT_TRACE_CURL_NO_DATA: "1" }),
    PATH: process.env["PATH"],
    HOME: "/nonexistent",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: join(site.folder, "askpass"),
    PASSWORD: password,
  };
  return new Promise((resolve) => {
    const child = execFile("git", args, { env, cwd, timeout: 180_000 }, (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
    );
    // Most of what is run here has ended before it would read.
    child.stdin?.on("error", () => undefined).end(input);
  });
}

function urlOf(path: string, user = login.user): string {
  return `${(server.admin ?? "").replace("//", `//${user}@`)}/vcs/${path}`;
}

/** The status of a request whose path nobody has put in order. */
async function statusAsIs(path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(server.admin ?? "");
  const outgoing = request({ hostname, port, path, headers: { authorization: `Bearer ${token}` } }).end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

async function good(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await git(args);
  assert.equal(exitCode, 0, `git ${args.join(" ")}: ${stderr}`);
  return stdout;
}

const recipes = () => urlOf("cray/hpc-csm-software-recipe.git");

test("references are listed in every version of the protocol", async () => {
  const head = (await site.git("rev-parse", "HEAD")).trim();
  for (const version of [0, 1, 2]) {
    const listed = await good("-c", `protocol.version=${version}`, "ls-remote", recipes());
    assert.match(listed, new RegExp(`^${head}\trefs/heads/${recipeBranch}$`, "m"), `version ${version}`);
  }
});

test("one branch is cloned without its history, and fetched when it has gone on", async () => {
  for (const version of [0, 2]) {
    const target = join(site.folder, `shallow-${version}`);
    const shallow = ["--branch", recipeBranch, "--single-branch", "--depth", "1"];
    await good("-c", `protocol.version=${version}`, "clone", ...shallow, recipes(), target);
    assert.match(await readFile(join(target, "product_vars.yaml"), "utf8"), /2\.5\.97/);
    assert.equal((await git(["rev-list", "--count", "HEAD"], { cwd: target })).stdout, "1\n");
  }
  const target = join(site.folder, "whole");
  await good("clone", urlOf("cray/work-tree.git"), target);
  const next = await site.commit({ "second.yml": "[]\n" });
  assert.equal((await git(["fetch", "origin"], { cwd: target })).exitCode, 0);
  assert.equal((await git(["rev-parse", "origin/main"], { cwd: target })).stdout.trim(), next);
  await good(
    "-c",
    `http.extraHeader=Authorization: Bearer ${token}`,
    "ls-remote",
    `${server.admin}/vcs/cray/work-tree`,
  );
});

test("a client that has much of its own sends a packed request", async () => {
  const target = join(site.folder, "many");
  await good("clone", "--quiet", urlOf("cray/work-tree.git"), target);
  const commits = Array.from(
    { length: 200 },
    () => "commit refs/heads/own\ncommitter a <a@b> 4102444800 +0000\ndata 1\nx\n",
  );
  const imported = await git(["-C", target, "fast-import", "--quiet"], { input: commits.join("") });
  assert.equal(imported.exitCode, 0, imported.stderr);
  const next = await site.commit({ "fourth.yml": "[]\n" });
  for (const version of [0, 2]) {
    const fetched = await git(["-C", target, "-c", `protocol.version=${version}`, "fetch", "origin"], { trace: true });
    assert.equal(fetched.exitCode, 0, fetched.stderr);
    if (version === 0) assert.ok(/Content-Encoding: gzip/i.test(fetched.stderr), "the request is packed");
  }
  assert.equal((await good("-C", target, "rev-parse", "origin/main")).trim(), next);
});

test("a wrong password is refused, and a token does as a password", async () => {
  const wrong = await git(["ls-remote", recipes()], { password: "wrong" });
  assert.equal(wrong.exitCode, 128);
  assert.match(wrong.stderr, /Authentication failed/);
  const byToken = await git(["ls-remote", urlOf("cray/work-tree.git", "anyone")], { password: token });
  assert.equal(byToken.exitCode, 0, byToken.stderr);
  const api = await send({ url: server.admin ?? "" }, "GET", "/apis/netkiln/v1/images", {
    body: "",
    headers: { authorization: `Bearer ${login.password}` },
  });
  assert.equal(api.status, 401, "git's password opens nothing else");
});

test("what is not served is not found, whatever its name", async () => {
  for (const path of ["cray/other.git", "cray/%252e%252e/ansible", "cray", "cray/gone.git"]) {
    const { exitCode, stderr } = await git(["ls-remote", urlOf(path)]);
    assert.equal(exitCode, 128, path);
    assert.match(stderr, /not found/, path);
  }
  for (const path of ["/vcs/../../etc", "/vcs/cray/../cray/work-tree.git", "/vcs/cray/%2e%2e/cray/work-tree.git"]) {
    assert.equal(await statusAsIs(`${path}/info/refs?service=git-upload-pack`), 404, path);
  }
  const inside = await git(["ls-remote", urlOf("cray/inside.git")]);
  assert.match(inside.stderr, /remote: .*roles is a folder inside a repository, and no repository/);
});

test("nothing can be pushed", async () => {
  const target = join(site.folder, "pushing");
  await good("clone", "--quiet", recipes(), target);
  const pushed = await git(["push", "origin", "HEAD:refs/heads/new"], { cwd: target });
  assert.notEqual(pushed.exitCode, 0);
  assert.match(pushed.stderr, /repositories can only be read here/);
  assert.doesNotMatch(await good("ls-remote", recipes()), /refs\/heads\/new/);
});

test("what a client asks for and is not there is told in git's own words", async () => {
  const target = join(site.folder, "asking");
  await mkdir(target);
  await good("init", "--quiet", target);
  const missing = "0123456789012345678901234567890123456789";
  const { exitCode, stderr } = await git(["fetch", recipes(), missing], { cwd: target });
  assert.notEqual(exitCode, 0);
  assert.match(stderr, new RegExp(`not our ref ${missing}`));
});

test("a configuration with a clone URL of the gateway reads the repository itself", async () => {
  const clone_url = "https://gateway.example.org/vcs/cray/work-tree.git";
  const body = JSON.stringify({ layers: [{ name: "one", clone_url, playbook: "first.yml", branch: "main" }] });
  const answer = await server.http("PUT", "/apis/cfs/v3/configurations/c", { type: "application/json", body });
  assert.equal(answer.status, 200, answer.body);
  const { layers } = JSON.parse(answer.body) as { layers: { commit: string; clone_url: string }[] };
  assert.equal(layers[0]?.commit, (await site.git("rev-parse", "main")).trim());
  assert.equal(layers[0]?.clone_url, clone_url);
});

test("a remote repository is served from its mirror, as new as it is there", async () => {
  const upstream = (server.admin ?? "").replace("//", `//any:${token}@`);
  await site.write("second.yaml", `sat: {repositories: {mirrored: "${upstream}/vcs/cray/work-tree.git"}}\n`);
  const second = await startServer({ args: ["--listen", "127.0.0.1:0", "--config", join(site.folder, "second.yaml")] });
  try {
    const { secret } = await second.json<{ secret: string }>("tokens", "create", "git");
    const url = `${(second.admin ?? "").replace("//", "//any@")}/vcs/mirrored.git`;
    const list = async () => {
      const listed = await git(["ls-remote", url, "refs/heads/main"], { password: secret });
      assert.equal(listed.exitCode, 0, listed.stderr);
      return listed.stdout.slice(0, 40);
    };
    assert.equal(await list(), (await site.git("rev-parse", "main")).trim());
    const next = await site.commit({ "third.yml": "[]\n" });
    assert.equal(await list(), next);
    assert.equal((await readdir(join(second.data, "git"))).length, 1);
  } finally {
    await second.stop();
  }
});

test("a client that goes away leaves no git behind", async () => {
  await site.commit({ large: randomBytes(8 << 20).toString("hex") });
  const serving = async () => (await processesOf(site.folder)).filter((command) => command.includes("upload-pack"));
  const url = `${server.admin ?? ""}/vcs/cray/work-tree`;
  const environment = {
    PATH: process.env["PATH"],
    HOME: "/nonexistent",
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "http.extraHeader",
    GIT_CONFIG_VALUE_0: `Authorization: Bearer ${token}`,
  };
  const client = spawn("git", ["clone", "--quiet", url, join(site.folder, "left")], {
    env: environment,
    stdio: "ignore",
    detached: true,
  });
  await waitUntil(60, async () => (await serving()).length > 0);
  // Its helper, which has the connection, too.
  process.kill(-(client.pid ?? 0), "SIGKILL");
  await waitUntil(60, async () => (await serving()).length === 0);
});
