/**
 * A Debian tree for aarch64 made on an x86-64 machine, whose programs run in qemu-user. Needs root, and Debian's
 * qemu-user-static and arch-test. What is registered with the kernel for it is taken back at the end.
 */
import assert from "node:assert/strict";
import { mkdir, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFileBlobs } from "../../src/artifact/index.ts";
import { debian } from "../../src/build/base/debian.ts";
import type { Lock } from "../../src/build/base/types.ts";
import type { DebianSpec } from "../../src/image/index.ts";
import { openBaseWorld } from "../support/base-world.ts";
import { makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

const spec: DebianSpec = {
  ...{ name: "x", distribution: "debian", suite: "bookworm", arch: "aarch64", variant: "minbase" },
  ...{ components: ["main"], packages: ["attr"], layers: [], checks: [], outputs: ["squashfs"] },
  ...{ exclude: ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"], epoch: 1_750_000_000 },
};
const binfmt = "/proc/sys/fs/binfmt_misc";
const handler = join(binfmt, "qemu-aarch64");

/** Whether binfmt_misc is mounted, and what is registered there. */
async function hostState(): Promise<unknown> {
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  const mounted = mounts.filter((line) => line.split(" ")[4] === binfmt).length;
  const names = (await readdir(binfmt)).sort();
  return { mounted, handlers: await Promise.all(names.map(async (name) => [name, await textOf(join(binfmt, name))])) };
}

const textOf = (path: string) => readFile(path, "utf8").catch(() => "");

let folder: string;
let former: unknown;
let lock: Lock;
/** What takes back what the test has changed on the host, the last change first. */
const undo: (() => Promise<unknown>)[] = [];

before(async () => {
  folder = await makeFolder();
  former = await hostState();
});

after(async () => {
  for (const step of undo.reverse()) await step();
  await rm(folder, { recursive: true });
  assert.deepEqual(await hostState(), former, "the host is as it was");
});

const worldAt = (name: string) =>
  openBaseWorld(openFileBlobs(join(folder, "blobs")), join(folder, name), { signal: AbortSignal.timeout(1_200_000) });

test("its packages are locked without any of them being run", async () => {
  lock = await debian.resolve(spec, await worldAt("resolve"));
  assert.deepEqual(new Set(lock.packages.map(({ arch }) => arch)), new Set(["all", "arm64"]));
  assert.ok(lock.packages.some(({ name }) => name === "attr"));
  await rm(join(folder, "resolve"), { recursive: true });
});

test("it is not begun where its programs cannot run, and what is missing is said", async (context) => {
  if ((await textOf(handler)).startsWith("enabled")) return context.skip("this host runs them");
  const tree = join(folder, "early");
  await mkdir(tree);
  await assert.rejects(debian.make(spec, lock, tree, await worldAt("refused")), {
    code: "refused",
    message:
      /^a tree for aarch64 cannot be made on this machine: (binfmt_misc is not mounted|no handler qemu-aarch64 is registered in binfmt_misc)$/,
    hint: /mount -t binfmt_misc|install qemu-user-static and arch-test/,
  });
  assert.deepEqual(await readdir(tree), []);
  assert.deepEqual(await hostState(), former, "asking has changed nothing");
});

test("it is made where they run in qemu, from the lock alone", async () => {
  if ((await textOf(join(binfmt, "status"))) === "") {
    await tool("mount", "-t", "binfmt_misc", "binfmt_misc", binfmt);
    undo.push(() => tool("umount", binfmt));
  }
  if (!(await textOf(handler)).startsWith("enabled")) {
    await writeFile(join(binfmt, "register"), await readFile("/usr/lib/binfmt.d/qemu-aarch64.conf", "utf8"));
    undo.push(() => writeFile(handler, "-1"));
  }
  const tree = join(folder, "tree");
  await mkdir(tree, { mode: 0o755 });
  await debian.make(spec, lock, tree, await worldAt("make"));

  const file = await open(join(tree, "usr/bin/attr"));
  const { buffer } = await file.read(Buffer.alloc(20), 0, 20, 0);
  await file.close();
  // e_machine of ELF(5): EM_AARCH64.
  assert.equal(buffer.readUInt16LE(18), 183);
  assert.equal(await readFile(join(tree, "var/lib/dpkg/arch"), "utf8"), "arm64\n");
  assert.match(await tool("chroot", tree, "/usr/bin/getfattr", "--version"), /^getfattr \d/);
  const programs = await readdir(join(tree, "usr/bin"));
  assert.deepEqual(
    programs.filter((name) => name.startsWith("qemu")),
    [],
    "qemu is not in it",
  );
});
