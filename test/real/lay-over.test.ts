/** Files laid over a tree, where the layer can be written as it is and where the tree has to be mounted; needs root. */
import assert from "node:assert/strict";
import { chmod, chown, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { layOver } from "../../src/build/layer/lay-over.ts";
import { listLayer } from "../../src/build/tree/listing.ts";
import { pruneUnchanged } from "../../src/build/tree/prune.ts";
import { openStack } from "../../src/build/tree/stack.ts";
import { run } from "../../src/lib/exec.ts";

let root: string;
before(async () => {
  // Overlayfs does not take every file system, such as that of /tmp in a container.
  root = await mkdtemp("/var/tmp/nk-lay-over-");
  const tree = join(root, "tree");
  for (const folder of ["etc/private", "usr/lib/site"]) await mkdir(join(tree, folder), { recursive: true });
  await mkdir(join(root, "empty"));
  await symlink("usr/lib", join(tree, "lib"));
  await symlink("/nowhere", join(tree, "etc/link"));
  await writeFile(join(tree, "etc/old"), "old\n");
  await chown(join(tree, "etc/private"), 7, 8);
  await chmod(join(tree, "etc/private"), 0o2750);
  await mkdir(join(tree, "srv/größe"), { recursive: true });
  await chmod(join(tree, "srv/größe"), 0o700);
  await symlink("größe", join(tree, "srv/maß"));
  await run(["setfattr", "-n", "user.site", "-v", "own", join(tree, "usr/lib/site")]);
});
after(() => rm(root, { recursive: true, force: true }));

/** Listings have paths as bytes. */
const inText = (line: string) => Buffer.from(line, "latin1").toString("utf8");

/** The layer that these files make, as lines of path, kind, mode and owner; and whether tar had to unpack them. */
async function layOverTree(files: readonly string[]): Promise<{ lines: string[]; mounted: boolean; xattrs: string[] }> {
  const work = await mkdtemp(join(root, "work-"));
  const upper = join(work, "upper");
  await mkdir(upper, { mode: 0o755 });
  const lower = [join(root, "tree"), join(root, "empty")];
  const stage = async (folder: string) => {
    for (const file of files) {
      await mkdir(dirname(join(folder, file)), { recursive: true, mode: 0o755 });
      await writeFile(join(folder, file), file, { mode: 0o640 });
    }
  };
  const changes = { kind: "keep", upper } as const;
  const sandbox = { layers: root, lower, changes, work, devices: false, network: false };
  await layOver(stage, sandbox, openStack(lower), {});
  await pruneUnchanged(upper, lower);
  const entries = (await listLayer(upper)).filter((entry) => entry.kind !== "whiteout");
  const staging = await run(["find", work, "-maxdepth", "1", "-name", "staging"]);
  return {
    lines: entries.map(({ path, kind, mode, uid, gid }) => `${path} ${kind} ${mode.toString(8)} ${uid}:${gid}`),
    mounted: staging.stdout !== "",
    xattrs: entries.filter(({ xattrs }) => xattrs.size > 0).map(({ path }) => path),
  };
}

test("files go beside the tree's own, whose folders stay as they are", async () => {
  assert.deepEqual(await layOverTree(["etc/private/deep/new", "etc/old", "etc/link"]), {
    lines: [
      " folder 755 0:0",
      "etc folder 755 0:0",
      "etc/link file 640 0:0",
      "etc/old file 640 0:0",
      "etc/private folder 2750 7:8",
      "etc/private/deep folder 755 0:0",
      "etc/private/deep/new file 640 0:0",
    ],
    mounted: false,
    xattrs: [],
  });
});

test("links to folders are followed, and attributes of folders kept, with the tree mounted", async () => {
  assert.deepEqual(await layOverTree(["lib/site/new", "etc/private/deep/new"]), {
    lines: [
      " folder 755 0:0",
      "etc folder 755 0:0",
      "etc/private folder 2750 7:8",
      "etc/private/deep folder 755 0:0",
      "etc/private/deep/new file 640 0:0",
      "usr folder 755 0:0",
      "usr/lib folder 755 0:0",
      "usr/lib/site folder 755 0:0",
      "usr/lib/site/new file 640 0:0",
    ],
    mounted: true,
    xattrs: ["usr/lib/site"],
  });
  assert.deepEqual((await layOverTree(["usr/lib/site/new"])).xattrs, ["usr/lib/site"]);
});

test("so it is with names that are not plain English", async () => {
  const { lines, mounted } = await layOverTree(["srv/größe/x"]);
  assert.deepEqual([lines.map(inText)[2], mounted], ["srv/größe folder 700 0:0", false]);
  const linked = await layOverTree(["srv/maß/x"]);
  assert.deepEqual([linked.lines.map(inText).at(-1), linked.mounted], ["srv/größe/x file 640 0:0", true]);
});

test("a file does not take the place of a folder with something in it", async () => {
  await assert.rejects(layOverTree(["usr"]), { message: "tar failed with exit code 2" });
});
