/** A disk that fills while an image is built: a small tmpfs as the data folder, which the test makes larger. Needs root. */
import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Build } from "../support/answers.ts";
import { assertNoWorkLeft, listing, makeFolder, startServer, type TestServer } from "../support/server.ts";
import { makeSite, tool, type Site } from "../support/site.ts";

let site: Site;
let data: string;
let server: TestServer;

before(async () => {
  site = await makeSite();
  data = await makeFolder();
  // Less than the packages of the tree need while they are unpacked.
  await tool("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", data);
  server = await startServer({ data, cwd: site.folder });
  assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
});

after(async () => {
  await server.stop();
  await tool("umount", data);
  await rm(data, { recursive: true });
  await site.clear();
});

const run = () => server.cli("bootprep", "run", "bootprep.yaml");
const resize = (mebibytes: number) => tool("mount", "-o", `remount,size=${mebibytes}m`, data);

/** Names and sizes; what is stored once more gets a new time. */
const blobs = async () => (await listing(join(data, "blobs"))).map((line) => line.replace(/ [\d.]+$/, ""));

async function fails(step: string): Promise<void> {
  const kept = await listing(join(data, "layers"));
  const { exitCode, stderr } = await run();
  assert.equal(exitCode, 1, stderr);
  assert.match(stderr, /no space left on device|database or disk is full/i);
  assert.match(stderr, new RegExp(`\nerror: image node: ${step}: (.*: )?the disk is full\n`));
  assert.match(
    stderr,
    new RegExp(
      `\nhint: make room on the file system of ${data} \\(\\d+ MiB were left\\), then run the same again: finished steps are kept; netkiln builds logs [0-9a-f]{8} has the whole story\n$`,
    ),
  );
  await assertNoWorkLeft(data);
  assert.deepEqual(
    (await listing(join(data, "layers"))).slice(0, kept.length).length,
    kept.length,
    "what was there is there still",
  );
}

test("a base that does not fit fails, leaves nothing, and is built when there is room", async () => {
  await fails("base \\(debian bookworm\\)");
  assert.deepEqual(await listing(join(data, "layers")), ["empty"], "no half of a tree is kept");
  assert.deepEqual(await server.json("images", "list"), []);
  await resize(1024);
  const { exitCode, stderr } = await run();
  assert.equal(exitCode, 0, stderr);
});

test("a package of the root that does not fit fails, and only that is done again when there is room", async () => {
  const images = await server.json<unknown[]>("images", "list");
  const stored = await blobs();
  const used = Number((await tool("df", "--block-size=1M", "--output=used", data)).split("\n")[1]);
  await resize(used + 20);
  await site.commit({ "first.yml": "- hosts: Compute\n  tasks: [{shell: echo new > /etc/greeting}]\n" });
  // What goes on beside the packing may find the disk full before it does.
  await fails("(rootfs \\(squashfs\\)|gate|inventory)");
  assert.deepEqual(await server.json("images", "list"), images, "nothing was published");
  const left = new Set(await blobs());
  for (const kept of stored) assert.ok(left.has(kept), kept);
  await resize(1024);
  const { exitCode, stderr } = await run();
  assert.equal(exitCode, 0, stderr);
  const { steps } = await server.json<Build>("builds", "describe", "node");
  const again = steps.filter(({ state }) => state !== "cached").map(({ title }) => title);
  // The gate and the inventory go on beside it, and are stopped when the packing fails before they have ended.
  assert.deepEqual(
    again.filter((title) => title !== "gate" && title !== "inventory"),
    ["rootfs (squashfs)"],
  );
});

test("a server whose disk others have filled says so, and goes on when there is room", async () => {
  const filler = join(data, "filler");
  await tool("sh", "-c", `dd if=/dev/zero of=${filler} bs=4k 2>/dev/null || true`);
  const before = await blobs();
  await writeFile(join(site.folder, "recipe/files/etc/more"), "more\n");
  const refused = await server.cli("recipes", "import", "recipe");
  assert.equal(refused.exitCode, 1);
  assert.equal(
    refused.stderr,
    "error: the disk of the server's data folder is full\nhint: make room on it, then try again; nothing was changed\n",
  );
  assert.deepEqual(await blobs(), before, "no part of a file is left");
  assert.equal((await server.cli("images", "list")).exitCode, 0, "what only reads goes on");
  await rm(filler);
  assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
});
