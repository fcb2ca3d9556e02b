import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { run } from "../../lib/exec.ts";
import { firstDifference, type Trace } from "./reuse.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-reuse-"));
after(() => rm(root, { recursive: true }));

async function layer(name: string, files: Record<string, string>, time = 1_000_000): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, name, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    await chmod(file, 0o644);
    await utimes(file, time, time);
  }
}

await layer("base", {
  "usr/lib/a": "a",
  "etc/modprobe.d/x.conf": "x",
  "etc/modprobe.d/z.conf": "z",
  "etc/slurm/slurm.conf": "old",
});
const trace: Trace = {
  layers: ["base"],
  paths: ["/usr/lib/a", "/etc/modprobe.d", "/etc/modprobe.d/x.conf", "/etc/absent", "/etc/multipath/conf"],
  folders: ["/etc/modprobe.d"],
  file: { sha256: "0", md5: "0", size: 0 },
};

const cases: readonly (readonly [what: string, files: Record<string, string>, told: string | undefined])[] = [
  ["a file that nobody looked at", { "etc/slurm/slurm.conf": "new" }, undefined],
  ["a new file in a folder that nobody listed", { "etc/slurm/topology.conf": "new" }, undefined],
  ["a file that was read, with the same content", { "usr/lib/a": "a" }, undefined],
  ["a file that was read, with another content", { "usr/lib/a": "b" }, "/usr/lib/a changed"],
  ["a file that was looked for in vain", { "etc/absent": "" }, "/etc/absent is new"],
  ["a file in a folder that was looked into in vain", { "etc/multipath/conf": "" }, "/etc/multipath is new"],
  ["a new file in a listed folder", { "etc/modprobe.d/y.conf": "" }, "/etc/modprobe.d/y.conf is new"],
  ["a folder for a file in a listed folder", { "etc/modprobe.d/z.conf/z": "" }, "/etc/modprobe.d/z.conf changed"],
];
for (const [index, [what, files, told]] of cases.entries()) {
  test(`${what}: ${told ?? "no difference"}`, async () => {
    await layer(`change${index}`, files);
    assert.equal(await firstDifference(trace, [`change${index}`, "base"], root), told);
  });
}

test("a file that was read makes a difference by its time alone: dracut copies it", async () => {
  await layer("older", { "usr/lib/a": "a" }, 900_000);
  assert.equal(await firstDifference(trace, ["older", "base"], root), "/usr/lib/a changed");
});

test("a file that was read and is removed makes a difference", async () => {
  await mkdir(join(root, "removed/usr/lib"), { recursive: true });
  await run(["mknod", join(root, "removed/usr/lib/a"), "c", "0", "0"]);
  assert.equal(await firstDifference(trace, ["removed", "base"], root), "/usr/lib/a is gone");
});

test("an opaque folder is doubt enough", async () => {
  await mkdir(join(root, "opaque/etc/slurm"), { recursive: true });
  assert.equal(await firstDifference(trace, ["opaque", "base"], root), undefined);
  await run(["setfattr", "-n", "trusted.overlay.opaque", "-v", "y", join(root, "opaque/etc/slurm")]);
  assert.match((await firstDifference(trace, ["opaque", "base"], root)) ?? "", /may hide/);
});

test("a layer that is gone counts as well as one that came", async () => {
  await layer("gone", { "usr/lib/a": "other" });
  assert.equal(await firstDifference({ ...trace, layers: ["gone", "base"] }, ["base"], root), "/usr/lib/a changed");
});
