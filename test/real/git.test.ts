/** Playbooks in a remote repository, over git's own protocol on the loopback device. Builds nothing; needs git daemon. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openGitStore } from "../../src/configuration/index.ts";
import { processesOf, startServer, waitUntil, type TestServer } from "../support/server.ts";
import { makeSite, type Site } from "../support/site.ts";

let site: Site;
let server: TestServer;
let daemon: ChildProcess;
let port: number;
let url: string;
/** What a hanging fetch may take before a test gives up. */
const bounded = { timeout: 180_000 };

before(async () => {
  site = await makeSite();
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  port = (probe.address() as AddressInfo).port;
  await new Promise((resolve) => probe.close(resolve));
  url = `git://127.0.0.1:${port}/ansible`;
  await startDaemon();
  server = await startServer({ cwd: site.folder });
});

after(async () => {
  await stopDaemon();
  await server.stop();
  await site.clear();
});

async function startDaemon(): Promise<void> {
  // Its own program, not `git daemon`, which would leave it running when it is killed itself.
  const program = "/usr/lib/git-core/git-daemon";
  const place = ["--listen=127.0.0.1", `--port=${port}`, "--reuseaddr", `--base-path=${site.folder}`];
  const environment = {
    PATH: process.env["PATH"],
    GIT_CONFIG_COUNT: "1",
    GIT_CONFIG_KEY_0: "safe.directory",
    GIT_CONFIG_VALUE_0: "*",
  };
  daemon = spawn(program, [...place, "--export-all", "--timeout=10"], { stdio: "ignore", env: environment });
  await waitUntil(10, async () => {
    const socket = connect(port, "127.0.0.1");
    const answered = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    return answered;
  });
}

async function stopDaemon(): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  daemon.kill("SIGTERM");
  await once(daemon, "exit");
}

/** Carries out a file with one layer, and returns the commit that its configuration then has. */
async function resolve(reference: string, name = "remote"): Promise<string> {
  const { exitCode, stderr } = await configure(reference, name);
  assert.equal(exitCode, 0, stderr);
  const { layers } = await server.json<{ layers: { commit: string; url: string }[] }>(
    "configurations",
    "describe",
    name,
  );
  assert.equal(layers[0]?.url, url);
  return layers[0]?.commit ?? "";
}

async function configure(reference: string, name = "remote", from = url) {
  await site.write(
    `${name}.yaml`,
    `configurations:\n  - name: ${name}\n    layers: [{playbook: first.yml, git: {url: "${from}", ${reference}}}]\n`,
  );
  return server.cli("bootprep", "run", `${name}.yaml`);
}

const mirrors = () => readdir(join(server.data, "git"));

test("a branch is mirrored once, and fetched again when it has moved", bounded, async () => {
  const first = (await site.git("rev-parse", "HEAD")).trim();
  assert.equal(await resolve("branch: main"), first);
  assert.equal((await mirrors()).length, 1);
  const second = await site.commit({ "second.yml": "[]\n" });
  assert.notEqual(second, first);
  assert.equal(await resolve("branch: main"), second);
  await site.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "rewritten");
  const rewritten = (await site.git("rev-parse", "HEAD")).trim();
  assert.equal(await resolve("branch: main"), rewritten, "a branch that was rewritten");
  assert.equal((await mirrors()).length, 1);
});

test("a commit that the mirror lacks is fetched, and one that it has needs no network", bounded, async () => {
  const first = (await site.git("rev-parse", "HEAD")).trim();
  const newer = await site.commit({ "third.yml": "[]\n" });
  assert.equal(await resolve(`commit: ${newer}`), newer);
  await stopDaemon();
  assert.equal(await resolve(`commit: ${newer}`), newer);
  assert.equal(await resolve(`commit: ${first.slice(0, 12)}`), first, "by the beginning of its id");
  await startDaemon();
});

test("what the remote does not have is told with what it has", bounded, async () => {
  await site.git("branch", "other");
  const branch = await configure("branch: mian");
  assert.equal(branch.exitCode, 2);
  assert.equal(
    branch.stderr,
    `remote.yaml:3:88: configuration "remote", layer 1: branch "mian" does not exist in ${url} (its branches: main, other)\nerror: remote.yaml has 1 mistake\n`,
  );
  await site.git("branch", "-D", "other");
  const gone = await configure("branch: other");
  assert.match(
    gone.stderr,
    /branch "other" does not exist in .* \(its branches: main\)\n/,
    "a branch that was removed",
  );
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const unknown = await configure(`commit: ${commit}`);
  assert.equal(unknown.exitCode, 2);
  assert.match(unknown.stderr, new RegExp(`commit "${commit}" does not exist in ${url} \\(was it pushed\\?\\)\n`));
});

test("a layer is planned from the mirror, and its files are taken out of it", bounded, async () => {
  const commit = await site.commit({ "roles/greet/tasks/main.yml": "[]\n" });
  assert.equal(await resolve("branch: main"), commit);
  const git = openGitStore(join(server.data, "git"));
  assert.deepEqual(
    (await git.files(url, commit)).map(({ path }) => path),
    ["first.yml", "roles/greet/tasks/main.yml", "second.yml", "third.yml"],
  );
  const target = join(site.folder, "exported");
  await mkdir(target);
  await git.export(url, commit, target);
  assert.equal(await readFile(join(target, "roles/greet/tasks/main.yml"), "utf8"), "[]\n");
  assert.deepEqual(await git.uncommitted(url), [], "a remote repository has no work tree");
});

test("requests at the same time share a mirror", bounded, async () => {
  const before = (await mirrors()).length;
  const also = `${url}/.git`;
  const answers = await Promise.all(["a", "b", "c"].map((name) => configure("branch: main", name, also)));
  assert.deepEqual(
    answers.map(({ exitCode }) => exitCode),
    [0, 0, 0],
    answers.map(({ stderr }) => stderr).join(),
  );
  assert.equal((await mirrors()).length, before + 1);
});

test("a remote that cannot be reached or read is named, in git's own words", bounded, async () => {
  const hint = "hint: check the URL, and that this host reaches it without being asked for a password\n";
  const missing = `git://127.0.0.1:${port}/missing`;
  const refused = await configure("branch: main", "missing", missing);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /fatal: remote error: access denied or repository not exported: \/missing\n/);
  assert.ok(refused.stderr.endsWith(`error: cannot read the git repository ${missing}\n${hint}`), refused.stderr);
  await stopDaemon();
  const { exitCode, stderr } = await configure("branch: main");
  assert.equal(exitCode, 1);
  assert.match(stderr, /Connection refused/);
  assert.ok(stderr.endsWith(`error: cannot read the git repository ${url}\n${hint}`), stderr);
  assert.deepEqual(
    (await mirrors()).filter((name) => !/^[0-9a-f]{64}$/.test(name)),
    [],
    "no part of a mirror is left",
  );
  assert.equal((await processesOf(join(server.data, "git"))).length, 0);
  await startDaemon();
  assert.match(await resolve("branch: main"), /^[0-9a-f]{40}$/);
});
