import assert from "node:assert/strict";
import { chmod, link, lstat, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { run } from "../../lib/exec.ts";
import { digestLayer } from "./archive.ts";
import { pruneUnchanged } from "./prune.ts";
import { isOpaque, readXattrs } from "./xattrs.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-prune-"));
after(() => rm(root, { recursive: true }));
const old = 1_000_000;
const epoch = 2_000_000;

type Content = string | { readonly to: string } | { readonly gone: true } | { readonly linkedTo: string };
let made = 0;

/** A new layer; folders get `time`, as do the files. A path that ends with "/" is a folder. */
async function layer(entries: Readonly<Record<string, Content>>, time = old): Promise<string> {
  const folder = join(root, `layer${made++}`);
  await mkdir(folder);
  for (const [path, content] of Object.entries(entries)) {
    const place = join(folder, path);
    await mkdir(path.endsWith("/") ? place : dirname(place), { recursive: true });
    if (path.endsWith("/")) continue;
    if (typeof content === "string") await writeFile(place, content);
    else if ("to" in content) await symlink(content.to, place);
    else if ("linkedTo" in content) await link(join(folder, content.linkedTo), place);
    else await run(["mknod", place, "c", "0", "0"]);
  }
  await touch(folder, time);
  return folder;
}

const touch = (place: string, time: number) =>
  run(["find", place, "-exec", "touch", "-h", "-d", `@${time}`, "{}", "+"]);
const setfattr = (place: string, name: string, value: string) => run(["setfattr", "-n", name, "-v", value, place]);

async function left(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).sort();
}

async function timeOf(folder: string, path: string): Promise<number> {
  return (await lstat(join(folder, path))).mtimeMs / 1000;
}

test("what is as below goes, with the folders that only led to it", async () => {
  const lower = await layer({ "etc/a": "a", "etc/sub/b": "b", "etc/l": { to: "a" }, "usr/c": "c" });
  const upper = await layer({ "etc/a": "a", "etc/sub/b": "b", "etc/l": { to: "a" }, "usr/c": "C" });
  await pruneUnchanged(upper, [lower]);
  assert.deepEqual(await left(upper), ["usr", "usr/c"]);
  assert.equal(await timeOf(upper, "usr"), old, "taking a file out does not change its folder's time");
});

const changes: readonly (readonly [what: string, change: (file: string) => Promise<unknown>])[] = [
  ["content of the same size", (file) => writeFile(file, "b").then(() => touch(file, old))],
  ["size", (file) => writeFile(file, "aa").then(() => touch(file, old))],
  ["time", (file) => touch(file, old + 1)],
  ["mode", (file) => chmod(file, 0o600)],
  ["owner", (file) => run(["chown", "1:0", file])],
  ["group", (file) => run(["chown", "0:1", file])],
  ["an extended attribute", (file) => setfattr(file, "user.x", "1")],
  [
    "kind",
    (file) =>
      rm(file)
        .then(() => symlink("x", file))
        .then(() => touch(file, old)),
  ],
];
for (const [what, change] of changes) {
  test(`a file stays when it differs in ${what}`, async () => {
    const lower = await layer({ "etc/a": "a", "etc/b": "b" });
    const upper = await layer({ "etc/a": "a", "etc/b": "b" });
    await change(join(upper, "etc/a"));
    await pruneUnchanged(upper, [lower]);
    assert.deepEqual(await left(upper), ["etc", "etc/a"]);
  });
}

test("a link stays when it leads elsewhere, and so does what lost an extended attribute", async () => {
  const lower = await layer({ l: { to: "a" }, f: "" });
  const upper = await layer({ l: { to: "b" }, f: "" });
  await setfattr(join(lower, "f"), "user.x", "1");
  await pruneUnchanged(upper, [lower]);
  assert.deepEqual(await left(upper), ["f", "l"]);
});

test("the layers below count as one: the topmost that has it, less what is deleted or hidden", async () => {
  const lowest = await layer({ "a/x": "1", "b/x": "1", "c/x": "1", "d/x": "1" });
  const middle = await layer({ "a/x": "2", "b/x": { gone: true }, c: { gone: true }, "d/y": "1" });
  await setfattr(join(middle, "d"), "trusted.overlay.opaque", "y");
  const upper = await layer({ "a/x": "1", "b/x": "1", "c/x": "1", "d/x": "1", "d/y": "1" });
  await pruneUnchanged(upper, [middle, lowest]);
  assert.deepEqual(await left(upper), ["a", "a/x", "b", "b/x", "c", "c/x", "d", "d/x"]);
  await writeFile(join(upper, "a/x"), "2");
  await touch(join(upper, "a"), old);
  await pruneUnchanged(upper, [middle, lowest]);
  assert.deepEqual(await left(upper), ["b", "b/x", "c", "c/x", "d", "d/x"]);
});

test("marks and sockets that hide nothing go: on another tree, under the same name, they would", async () => {
  const lower = await layer({ "opt/x": "a file", "opt/hidden/below": "" });
  const upper = await layer({ "opt/x/f": "f", "opt/hidden/f": "f", "opt/new/f": "f" });
  for (const path of ["opt/x", "opt/hidden", "opt/new"]) {
    await setfattr(join(upper, path), "trusted.overlay.opaque", "y");
  }
  const server = createServer().listen(join(upper, "opt/socket"));
  await once(server, "listening");
  await pruneUnchanged(upper, [lower]);
  server.close();
  assert.deepEqual(await left(upper), [
    "opt",
    "opt/hidden",
    "opt/hidden/f",
    "opt/new",
    "opt/new/f",
    "opt/x",
    "opt/x/f",
  ]);
  const marked = [...(await readXattrs(upper))].filter(([, xattrs]) => isOpaque(xattrs));
  assert.deepEqual(
    marked.map(([path]) => path),
    [join(upper, "opt/hidden")],
  );
});

test("nothing is taken out of an opaque folder", async () => {
  const lower = await layer({ "etc/a": "a", "etc/b": "b" });
  const upper = await layer({ "etc/a": "a" });
  await setfattr(join(upper, "etc"), "trusted.overlay.opaque", "y");
  await pruneUnchanged(upper, [lower]);
  assert.deepEqual(await left(upper), ["etc", "etc/a"]);
});

test("a deletion of nothing goes, one of something stays", async () => {
  const lower = await layer({ "etc/a": "a", "etc/l": { to: "/nowhere" } });
  const upper = await layer({ "etc/a": { gone: true }, "etc/l": { gone: true }, "etc/never": { gone: true } }, epoch);
  await pruneUnchanged(upper, [lower]);
  assert.deepEqual(await left(upper), ["etc", "etc/a", "etc/l"]);
  assert.equal(await timeOf(upper, "etc"), epoch);
});

test("a folder stays when it differs, or is new, and an empty one that is as below goes", async () => {
  const lower = await layer({ "same/": "", "mode/": "", "full/a": "" });
  const upper = await layer({ "same/": "", "mode/": "", "full/": "", "new/": "" }, epoch);
  await chmod(join(upper, "mode"), 0o700);
  await pruneUnchanged(upper, [lower]);
  assert.deepEqual(await left(upper), ["mode", "new"]);
});

test("a folder's time is that from below while it lists the same names", async () => {
  const lower = await layer({ "changed/a": "a", "more/a": "a", "less/a": "a" });
  const upper = await layer({ "changed/a": "A", "more/b": "b", "less/a": { gone: true }, "new/c": "c" }, epoch);
  await pruneUnchanged(upper, [lower]);
  assert.deepEqual(
    await Promise.all(["changed", "changed/a", "more", "less", "new"].map((path) => timeOf(upper, path))),
    [old, epoch, epoch, epoch, epoch],
  );
});

test("linked files go together or not at all", async () => {
  const lower = await layer({ a: "x", b: { linkedTo: "a" }, c: "x", d: "x" });
  const whole = await layer({ a: "x", b: { linkedTo: "a" } });
  await pruneUnchanged(whole, [lower]);
  assert.deepEqual(await left(whole), []);
  const withAnother = await layer({ a: "x", b: { linkedTo: "a" }, e: { linkedTo: "a" } });
  await pruneUnchanged(withAnother, [lower]);
  assert.deepEqual(await left(withAnother), ["a", "b", "e"]);
  const notLinkedBelow = await layer({ c: "x", d: { linkedTo: "c" } });
  await pruneUnchanged(notLinkedBelow, [lower]);
  assert.deepEqual(await left(notLinkedBelow), ["c", "d"]);
});

test("a layer without anything new has the digest of an empty one", async () => {
  const lower = await layer({ "etc/a": "a" });
  const upper = await layer({ "etc/a": "a" }, old);
  await pruneUnchanged(upper, [lower]);
  assert.deepEqual(await digestLayer(upper, [lower]), await digestLayer(await layer({}), [lower]));
});

test("the lowest layer has nothing below it and stays as it is", async () => {
  const upper = await layer({ "etc/a": "a", gone: { gone: true } });
  await pruneUnchanged(upper, []);
  assert.deepEqual(await left(upper), ["etc", "etc/a", "gone"]);
});
