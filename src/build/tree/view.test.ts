import assert from "node:assert/strict";
import { linkSync, mkdirSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { sha256 } from "../../lib/files.ts";
import { plantTree, type Planted } from "../../lib/plant-tree.ts";
import { listingText, listLayer, parseListing, type LayerEntry } from "./listing.ts";
import { readerOf } from "./reader.ts";
import { nodesOf, overlay, placeOf, viewFolders, viewLayers, type TreeNode } from "./view.ts";

const whiteout = (path: string): LayerEntry => ({ path, kind: "whiteout" });

/** Lists planted layers, the topmost first; `marks` adds to the topmost what a test cannot make without root. */
async function view(t: TestContext, layers: Record<string, Planted>[], ...marks: LayerEntry[]): Promise<TreeNode> {
  const listed = [];
  for (const [index, planted] of layers.entries()) {
    const folder = plantTree(t, planted);
    const entries = await listLayer(folder);
    listed.push({ folder, entries: index === 0 ? [...entries, ...marks] : entries });
  }
  return viewLayers(listed);
}

function paths(root: TreeNode): string[] {
  return [...nodesOf(root)].map(({ entry }) => entry.path);
}

test("the topmost layer that has something shows, and folders show what all have", async (t) => {
  const root = await view(t, [
    { "etc/b": "upper", "usr/x": "" },
    { "etc/a": "lower", "etc/b": "lower" },
  ]);
  assert.deepEqual(paths(root), ["", "etc", "etc/a", "etc/b", "usr", "usr/x"]);
  assert.equal(await readerOf(root).readText("/etc/b"), "upper");
  assert.equal(await readerOf(root).digest("/etc/a", "sha256"), sha256("lower"));
  assert.equal(await readerOf(root).digest("/etc/a", "md5"), "81e073b428b50247daba38531dcf412a");
});

test("a whiteout takes out what is below, with all that is in it", async (t) => {
  const root = await view(t, [{ etc: "directory/" }, { "etc/a": "", "etc/d/e": "" }], whiteout("etc/d"));
  assert.deepEqual(paths(root), ["", "etc", "etc/a"]);
});

test("a file in the place of a folder hides what was in it, and so does a folder that says so", async (t) => {
  const replaced = await view(t, [{ etc: "text" }, { "etc/a": "" }]);
  assert.deepEqual(paths(replaced), ["", "etc"]);
  const back = await view(t, [{ "etc/new": "" }, { etc: "text" }, { "etc/old": "" }]);
  assert.deepEqual(paths(back), ["", "etc", "etc/new"]);
  const lower = plantTree(t, { "etc/a": "" });
  const upper = plantTree(t, { "etc/b": "" });
  const entries = (await listLayer(upper)).map((entry): LayerEntry =>
    entry.kind === "folder" && entry.path === "etc" ? { ...entry, opaque: true } : entry,
  );
  const opaque = viewLayers([
    { folder: upper, entries },
    { folder: lower, entries: await listLayer(lower) },
  ]);
  assert.deepEqual(paths(opaque), ["", "etc", "etc/b"]);
});

test("hard links are one file, names that are no UTF-8 are kept, and a socket is nothing", async (t) => {
  const folder = plantTree(t, { a: "content", lone: "x" });
  linkSync(join(folder, "a"), join(folder, "b"));
  mkdirSync(join(folder, "odd"));
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/odd/`), Buffer.from([0xff])]), "y");
  const server = createServer().listen(join(folder, "socket"));
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  const entries = await listLayer(folder);
  const [a, b, lone] = ["a", "b", "lone"].map((name) => entries.find(({ path }) => path === name));
  assert.ok(a?.kind === "file" && b?.kind === "file" && lone?.kind === "file");
  assert.deepEqual([a.inode, b.inode, lone.inode], [0, 0, undefined]);
  assert.ok(entries.some(({ path }) => path === "odd/\xff"));
  const root = await viewFolders(folder);
  assert.deepEqual(paths(root), ["", "a", "b", "lone", "odd", "odd/\xff"]);
  const odd = [...nodesOf(root)].at(-1);
  assert.equal(odd && placeOf(odd), `${folder}/odd/\xff`);
});

test("a listing that was kept is the one that was made", async (t) => {
  const folder = plantTree(t, { "etc/a": { text: "x", mode: 0o4755 }, link: { link: "etc/a" } });
  const entries = await listLayer(folder);
  const attributed = entries.map((entry) =>
    entry.kind === "file" ? { ...entry, xattrs: new Map([["user.x", Buffer.from([0, 255])]]) } : entry,
  );
  assert.deepEqual(parseListing(listingText([...attributed, whiteout("gone")])), [...attributed, whiteout("gone")]);
});

test("links are followed inside the tree, across its layers", async (t) => {
  const upper: Record<string, Planted> = { "bin/sh": { link: "/usr/bin/dash" }, up: { link: "../../etc/passwd" } };
  const tree = readerOf(await view(t, [upper, { "usr/bin/dash": "dash", "etc/passwd": "root" }]));
  assert.equal(await tree.readText("/bin/sh"), "dash");
  assert.equal(await tree.readText("/up"), "root");
  assert.equal(await tree.realpath("/bin/sh"), "/usr/bin/dash");
  assert.equal(await tree.locate("/bin/sh"), "/bin/sh");
  assert.equal(await tree.readlink("/bin/sh"), "/usr/bin/dash");
  assert.equal((await tree.lstat("/bin/sh"))?.isSymbolicLink(), true);
  assert.equal((await tree.stat("/bin/sh"))?.isFile(), true);
  assert.equal(await tree.stat("/bin/none"), undefined);
  assert.deepEqual(await tree.readdir("/usr/bin"), [{ name: "dash", type: "file" }]);
  await assert.rejects(tree.readText("/usr"), /\/usr is a directory, not a regular file/);
});

test("listing a layer gives others their turn, also within a large file and among many small ones", async (t) => {
  const turnsIn = async (folder: string) => {
    let turns = 0;
    const entries = await listLayer(folder, { throwIfAborted: () => void (turns += 1) });
    return { turns, entries };
  };
  const many = plantTree(t, Object.fromEntries(Array.from({ length: 2000 }, (_, number) => [String(number), ""])));
  assert.equal((await turnsIn(many)).turns, 3);
  const large = plantTree(t, { large: "" });
  truncateSync(join(large, "large"), 100 << 20);
  const { turns, entries } = await turnsIn(large);
  assert.equal(turns, 12);
  assert.deepEqual(
    entries.flatMap((entry) => (entry.kind === "file" ? [entry.sha256] : [])),
    ["20492a4d0d84f8beb1767f6616229f85d44c2827b64bdbfb260ee12fa1109e0e"],
  );
});

test("one more layer leaves the tree below as it was, and shares what it leaves alone", async (t) => {
  const below = await view(t, [{ "etc/a": "", "etc/d/e": "", "usr/x": "" }]);
  const folder = plantTree(t, { "etc/A": "", "etc/b": "", "etc/d": "text" });
  const root = overlay(below, { folder, entries: [...(await listLayer(folder)), whiteout("etc/a")] });
  assert.deepEqual(paths(root), ["", "etc", "etc/A", "etc/b", "etc/d", "usr", "usr/x"]);
  assert.deepEqual(paths(below), ["", "etc", "etc/a", "etc/d", "etc/d/e", "usr", "usr/x"]);
  assert.equal(root.inside?.get("usr"), below.inside?.get("usr"));
});

test("a listing that leaves a folder out is refused: what it shares would be changed", async (t) => {
  const below = await view(t, [{ "etc/a": "" }]);
  const folder = plantTree(t, { "etc/b": "" });
  const entries = (await listLayer(folder)).filter(({ path }) => path !== "etc");
  assert.throws(() => overlay(below, { folder, entries }), /has etc\/b before its folder/);
  assert.deepEqual(paths(below), ["", "etc", "etc/a"]);
});
