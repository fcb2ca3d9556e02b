/**
 * Package locks resolved by the real apt from an archive in Ubuntu's form: a suite with an updates suite, main and
 * universe, signed with a key of its own. Its packages are empty, so nothing is built from them.
 */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFileBlobs } from "../../src/artifact/index.ts";
import { debian } from "../../src/build/base/debian.ts";
import type { Lock } from "../../src/build/base/types.ts";
import type { DebianSpec } from "../../src/image/index.ts";
import { failureOf } from "../../src/lib/failure-of.ts";
import { makeArchive, makeDeb, startMirror, type Archive, type Mirror } from "../support/apt-archive.ts";
import { openBaseWorld } from "../support/base-world.ts";
import { makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

let folder: string;
let archive: Archive;
let mirror: Mirror;

const spec: DebianSpec = {
  ...{ name: "x", distribution: "ubuntu", suite: "noble", arch: "x86_64", variant: "minbase" },
  ...{ components: ["main", "universe"], packages: ["tool"], exclude: [], layers: [], checks: [] },
  ...{ outputs: ["squashfs"], epoch: 1_750_000_000 },
};

before(async () => {
  folder = await makeFolder();
  await mkdir(join(folder, "archive"));
  archive = await makeArchive(join(folder, "archive"), "amd64");
  mirror = await startMirror(archive.folder);
  const make = (name: string, version: string, ...fields: string[]) =>
    makeDeb(folder, name, version, ["Architecture: amd64", ...fields]);
  await archive.add("noble", "main", [
    await make("basis", "1", "Essential: yes", "Priority: required", "Depends: word"),
    await make("word-plain", "1", "Priority: required", "Provides: word"),
    await make("needed", "1:1.0~rc1", "Priority: required"),
    await make("optional", "1", "Priority: optional"),
  ]);
  await archive.add("noble", "universe", [
    await make("tool", "1", "Depends: library (>= 1)", "Recommends: optional"),
    await make("tool-fancy", "1", "Provides: word", "Depends: absent"),
    await make("library", "1"),
  ]);
  await archive.add("noble-updates", "universe", [await make("library", "2")]);
  for (const suite of ["noble", "noble-updates"]) await archive.publish(suite);
});

after(async () => {
  await mirror.stop();
  await rm(folder, { recursive: true });
});

let count = 0;

/** A blob store of its own for each test, and what was printed. */
function site(name: string) {
  const blobs = openFileBlobs(join(folder, name, "blobs"));
  const log: string[] = [];
  const sources = (components = "main universe", key = archive.key) =>
    ["noble", "noble-updates"].map((suite) => {
      const own = suite === "noble" ? components : components.replace("main ", "");
      return `deb [signed-by=${key}] ${mirror.url} ${suite} ${own}`;
    });
  const resolve = async (more: Partial<DebianSpec> = {}, aptSources: readonly string[] = sources()): Promise<Lock> => {
    const given = { aptSources, onLine: (line: string) => void log.push(line), signal: AbortSignal.timeout(60_000) };
    const world = await openBaseWorld(blobs, join(folder, name, `step-${(count += 1)}`), given);
    return debian.resolve({ ...spec, ...more }, world);
  };
  const refused = async (more: Partial<DebianSpec>, message: string | RegExp, hint: RegExp, from = sources()) => {
    const error = await failureOf(resolve(more, from));
    if (typeof message === "string") assert.equal(error.message, message);
    else assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
  };
  return { blobs, log, sources, resolve, refused };
}

const versions = (lock: Lock) => lock.packages.map(({ name, version }) => `${name} ${version}`);
const blobsIn = async (name: string) =>
  (await readdir(join(folder, name, "blobs"), { recursive: true }).catch(() => [])).filter((path) =>
    /[0-9a-f]{64}$/.test(path),
  );

test("a lock holds what is essential, required and asked for, with dependencies, in the newest version", async () => {
  const { resolve, blobs, log } = site("whole");
  const lock = await resolve();
  assert.equal(lock.family, "deb");
  assert.deepEqual(versions(lock), ["basis 1", "library 2", "needed 1:1.0~rc1", "tool 1", "word-plain 1"]);
  for (const { sha256, size } of lock.packages) assert.equal((await readFile(blobs.path(sha256))).length, size);
  const index = await readFile(blobs.path(lock.files["Packages"] ?? ""), "utf8");
  assert.match(index, /^Package: basis\n/);
  assert.match(index, /\nFilename: pool\/needed_1%3a1\.0~rc1_amd64\.deb\n/);
  assert.ok(!index.includes(mirror.url) && !index.includes("universe"));
  assert.ok(log.some((line) => line.startsWith("5 packages: 0 are here, 5 to fetch")));
  assert.equal(mirror.fetched.length, 5);
  assert.deepEqual(await resolve(), lock);
  assert.equal(mirror.fetched.length, 5, "what is here is not fetched again");
});

test("a pinned version is taken, and each variant chooses its own", async () => {
  const { resolve } = site("chosen");
  assert.ok(versions(await resolve({ packages: ["library=1"] })).includes("library 1"));
  assert.deepEqual(versions(await resolve({ variant: "essential", packages: [] })), ["basis 1", "word-plain 1"]);
  assert.deepEqual(versions(await resolve({ packages: [] })), ["basis 1", "needed 1:1.0~rc1", "word-plain 1"]);
});

test("the same packages from another mirror, or from a folder, give the same lock", async () => {
  const { resolve } = site("elsewhere");
  const other = await startMirror(archive.folder);
  try {
    const lock = await resolve();
    const line = (uri: string, suite: string, components: string) =>
      `deb [signed-by=${archive.key}] ${uri} ${suite} ${components}`;
    for (const [index, uri] of [other.url, `file:${archive.folder}`].entries()) {
      const from = [line(uri, "noble", "main universe"), line(uri, "noble-updates", "universe")];
      assert.deepEqual(await site(`from-${index}`).resolve({}, from), lock);
    }
    assert.equal(other.fetched.length, 5);
    assert.ok((await readdir(join(archive.folder, "pool/main/basis"))).length === 1, "its files stay where they are");
  } finally {
    await other.stop();
  }
});

test("mistakes in the packages are told in apt's words", async () => {
  const { refused, sources } = site("mistakes");
  const correct = /^correct the packages of recipe\.yaml and import it again/;
  await refused({ packages: ["toool"] }, "apt-get failed: Unable to locate package toool", correct);
  await refused({ packages: ["tool=7"] }, "apt-get failed: Version '7' for 'tool' was not found", correct);
  await refused({ packages: ["word"] }, "apt-get failed: Package 'word' has no installation candidate", correct);
  await refused(
    { packages: ["tool-fancy"] },
    /^apt-get failed: Unable to correct problems/,
    /^a package needs another one/,
  );
  const main = [sources("main")[0] ?? ""];
  await refused({}, "apt-get failed: Unable to locate package tool", correct, main);
  const none = /^the package sources have no essential packages of ubuntu noble for aarch64$/;
  await refused(
    { arch: "aarch64" },
    none,
    /^check that they have this suite, the component main, and this architecture$/,
  );
  assert.deepEqual(await blobsIn("mistakes"), []);
});

test("an archive that is signed with another key, or not at all, is refused", async () => {
  const { refused, sources } = site("unsigned");
  const other = join(folder, "other");
  await mkdir(other);
  const { key } = await makeArchive(other, "amd64");
  const install = /^install the archive's keyring on this host and name it in the source/;
  await refused(
    {},
    /^apt-get failed: The repository '.* noble InRelease' is not signed\.$/,
    install,
    sources("main universe", key),
  );
  const unsigned = join(folder, "unsigned-archive");
  await tool("cp", "-r", archive.folder, unsigned);
  await rm(join(unsigned, "dists/noble/InRelease"));
  const line = `deb [signed-by=${archive.key}] file:${unsigned} noble main universe`;
  await refused({}, /^apt-get failed: The repository '.*' is not signed\.$/, install, [line]);
  assert.deepEqual(await blobsIn("unsigned"), []);
});

test("a mirror that is not there, or lacks the suite, is named", async () => {
  const { refused } = site("gone");
  const options = `[signed-by=${archive.key}]`;
  await refused(
    {},
    /^apt-get failed: Failed to fetch http:\/\/127\.0\.0\.1:1\/dists\/noble\/InRelease .*refused/,
    /^check the mirror and the way to it/,
    [`deb ${options} http://127.0.0.1:1 noble main`],
  );
  await refused(
    {},
    /^apt-get failed: The repository '.* nobel Release' does not have a Release file\.$/,
    /^the mirror does not have it: check its URL and the suite/,
    [`deb ${options} ${mirror.url} nobel main`],
  );
});

test("a mirror that dies midway leaves what has come; the next time only the rest is fetched", async () => {
  const { refused, resolve, log } = site("midway");
  const small = await resolve({ packages: [] });
  assert.equal(small.packages.length, 3);
  mirror.behave("cut");
  await refused(
    {},
    /^apt-helper failed: Failed to fetch http:.*\.deb /,
    /packages that have come are not fetched again$/,
  );
  mirror.behave("missing");
  await refused({}, /^apt-helper failed: Failed to fetch http:.*404/, /^the mirror does not have it/);
  mirror.behave("well");
  assert.equal((await blobsIn("midway")).length, 4, "three packages and an index: no half of a package is kept");
  assert.equal((await resolve()).packages.length, 5);
  assert.ok(log.some((line) => line.startsWith("5 packages: 3 are here, 2 to fetch")));
});

test("a package whose digest is not that of the signed index is refused", async () => {
  const { refused } = site("digest");
  mirror.behave("other");
  await refused(
    {},
    /^apt-helper failed: Failed to fetch .*\.deb +Hash Sum mismatch$/,
    /^the mirror does not have the file that its signed index names/,
  );
  mirror.behave("well");
  assert.deepEqual(await blobsIn("digest"), []);
});
