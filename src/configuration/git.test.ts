import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { run } from "../lib/exec.ts";
import { openGitStore } from "./git.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-git-"));
after(() => rm(folder, { recursive: true }));
const repository = join(folder, "site");
const git = openGitStore(join(folder, "cache"));

async function commit(message: string, seconds: number): Promise<string> {
  const date = `${seconds} +0000`;
  const env = { GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date, HOME: folder };
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
  await run(["git", "-C", repository, "add", "-A"], { env });
  await run(["git", "-C", repository, ...identity, "commit", "-q", "-m", message], { env });
  return (await run(["git", "-C", repository, "rev-parse", "HEAD"], { env })).stdout.trim();
}

let first = "";
let second = "";
before(async () => {
  await mkdir(join(repository, "ansible"), { recursive: true });
  await run(["git", "init", "-q", "-b", "main", repository], { env: { HOME: folder } });
  await writeFile(join(repository, "ansible/site.yml"), "one\n");
  first = await commit("first", 1_700_000_000);
  await writeFile(join(repository, "README"), "outside\n");
  second = await commit("second", 1_700_000_100);
});

test("a branch and a short commit id resolve to a commit", async () => {
  assert.equal(await git.resolve(repository, { branch: "main" }), second);
  assert.equal(await git.resolve(`file://${repository}`, { commit: first.slice(0, 10) }), first);
});

test("what does not exist is named", async () => {
  await assert.rejects(git.resolve(repository, { commit: "0".repeat(40) }), /commit "0{40}" does not exist in/);
  await assert.rejects(git.resolve(repository, { branch: "mian" }), { hint: "its branches: main" });
  await assert.rejects(git.resolve(repository, { branch: "--all" }), /branch "--all" does not exist/);
  await assert.rejects(git.resolve(join(folder, "nowhere"), { branch: "main" }), /is not a folder/);
  await assert.rejects(git.resolve(folder, { branch: "main" }), /is not in a git repository/);
});

test("a folder inside a work tree is a repository of its own", async () => {
  const url = join(repository, "ansible");
  assert.equal(await git.resolve(url, { branch: "HEAD" }), first, "the last commit that touched it");
  assert.deepEqual(
    (await git.files(url, second)).map((file) => file.path),
    ["site.yml"],
  );
  assert.equal(await git.read(url, first, "site.yml"), "one\n");
  const target = join(folder, "export");
  await mkdir(target);
  await git.export(url, first, target);
  assert.deepEqual(await readdir(target), ["site.yml"]);
  assert.equal(await readFile(join(target, "site.yml"), "utf8"), "one\n");
});

test("a file that a commit did not change is not asked for again, and one that is missing is named", async () => {
  const own = openGitStore(join(folder, "cache"));
  const url = join(repository, "ansible");
  await own.read(url, first, "site.yml");
  await own.files(url, second);
  await rename(join(repository, ".git"), join(folder, "away"));
  try {
    assert.equal(await own.read(url, second, "site.yml"), "one\n");
  } finally {
    await rename(join(folder, "away"), join(repository, ".git"));
  }
  await assert.rejects(own.read(url, second, "README"), /there is no file README at [0-9a-f]{12} of /);
});

test("uncommitted changes of a work tree are seen", async () => {
  assert.deepEqual(await git.uncommitted(repository), []);
  await writeFile(join(repository, "ansible/site.yml"), "changed\n");
  assert.deepEqual(await git.uncommitted(join(repository, "ansible")), ["ansible/site.yml"]);
  await writeFile(join(repository, "ansible/site.yml"), "one\n");
});

test("a remote repository that says nothing is given up", { timeout: 20_000 }, async () => {
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  const connections: Socket[] = [];
  silent.on("connection", (connection) => connections.push(connection));
  const url = `git://127.0.0.1:${(silent.address() as AddressInfo).port}/x.git`;
  try {
    const impatient = openGitStore(join(folder, "cache"), { timeoutMs: 500 });
    await assert.rejects(impatient.resolve(url, { branch: "main" }), {
      message: `cannot read the git repository ${url}`,
      output: ["git did not finish in time"],
    });
  } finally {
    for (const connection of connections) connection.destroy();
    silent.close();
  }
});

test("a remote repository that cannot be reached is named", async () => {
  await assert.rejects(
    git.resolve("https://127.0.0.1:1/x.git", { branch: "main" }),
    /cannot read the git repository https/,
  );
  assert.deepEqual(await readdir(join(folder, "cache")), [], "no part of a mirror is left");
  await assert.rejects(git.resolve("ext::sh -c date", { branch: "main" }), /cannot read the git repository ext/);
});

test("a password in a URL is in no message", async () => {
  await assert.rejects(git.resolve("https://me:secret@127.0.0.1:1/x.git", { branch: "main" }), (error: Error) => {
    assert.match(error.message, /https:\/\/me@127\.0\.0\.1:1\/x\.git/);
    return !error.message.includes("secret");
  });
});

test("a login goes to its repository, and nowhere else", async () => {
  const seen: (string | undefined)[] = [];
  const server = createHttpServer((request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const login = { username: "crayvcs", password: "secret" };
  const loginFor = async (url: string) => (url === `${base}/ours.git` ? login : undefined);
  const store = openGitStore(join(folder, "cache-login"), { loginFor });
  await assert.rejects(store.resolve(`${base}/ours.git`, { branch: "main" }), /cannot read the git repository/);
  await assert.rejects(store.resolve(`${base}/theirs.git`, { branch: "main" }), /cannot read the git repository/);
  assert.deepEqual(new Set(seen), new Set([`Basic ${Buffer.from("crayvcs:secret").toString("base64")}`, undefined]));
  server.close();
});

test("a folder that becomes a repository of its own counts as one from then on", async () => {
  const inner = join(repository, "inner");
  await mkdir(inner);
  await writeFile(join(inner, "site.yml"), "outer\n");
  const outer = await commit("outer", 1_700_000_300);
  assert.equal(await git.resolve(inner, { branch: "HEAD" }), outer);
  const env = { HOME: folder };
  await run(["git", "init", "-q", "-b", "main", inner], { env });
  await run(["git", "-C", inner, "add", "-A"], { env });
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
  await run(["git", "-C", inner, ...identity, "commit", "-q", "-m", "inner"], { env });
  const own = (await run(["git", "-C", inner, "rev-parse", "HEAD"], { env })).stdout.trim();
  assert.equal(await git.resolve(inner, { branch: "HEAD" }), own);
  assert.equal(await git.read(inner, own, "site.yml"), "outer\n");
});

test("a link that comes to lead elsewhere is followed", async () => {
  const link = join(repository, "current");
  await mkdir(join(repository, "other"));
  await writeFile(join(repository, "other/site.yml"), "other\n");
  const commitId = await commit("other", 1_700_000_400);
  await symlink("ansible", link);
  assert.equal(
    await git.read(link, commitId, "site.yml"),
    await readFile(join(repository, "ansible/site.yml"), "utf8"),
  );
  await rm(link);
  await symlink("other", link);
  await writeFile(join(repository, "other/new.yml"), "new\n");
  const next = await commit("next", 1_700_000_500);
  assert.equal(await git.read(link, next, "site.yml"), "other\n");
});
