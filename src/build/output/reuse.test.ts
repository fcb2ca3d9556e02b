import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { run } from "../../lib/exec.ts";
import { looksTheSame, type Trace } from "./reuse.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-reuse-"));
after(() => rm(root, { recursive: true }));

async function layer(name: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const file = join(root, name, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    await chmod(file, 0o644);
  }
}

await layer("base", { "usr/lib/a": "a", "etc/modprobe.d/x.conf": "x", "etc/slurm/slurm.conf": "old" });
const trace: Trace = {
  layers: ["base"],
  paths: ["/usr/lib/a", "/etc/modprobe.d", "/etc/modprobe.d/x.conf", "/etc/absent", "/etc/multipath/conf"],
  folders: ["/etc/modprobe.d"],
  file: { sha256: "0", md5: "0", size: 0 },
};

const cases: readonly (readonly [what: string, files: Record<string, string>, same: boolean])[] = [
  ["a file that nobody looked at", { "etc/slurm/slurm.conf": "new" }, true],
  ["a new file in a folder that nobody listed", { "etc/slurm/topology.conf": "new" }, true],
  ["a file that was read, with the same content", { "usr/lib/a": "a" }, true],
  ["a file that was read, with another content", { "usr/lib/a": "b" }, false],
  ["a file that was looked for in vain", { "etc/absent": "" }, false],
  ["a file in a folder that was looked into in vain", { "etc/multipath/conf": "" }, false],
  ["a new file in a listed folder", { "etc/modprobe.d/y.conf": "" }, false],
];
for (const [index, [what, files, same]] of cases.entries()) {
  test(`${what}: ${same ? "the same" : "not the same"}`, async () => {
    await layer(`change${index}`, files);
    assert.equal(await looksTheSame(trace, [`change${index}`, "base"], root), same);
  });
}

test("a file that was read and is removed makes a difference", async () => {
  await mkdir(join(root, "removed/usr/lib"), { recursive: true });
  await run(["mknod", join(root, "removed/usr/lib/a"), "c", "0", "0"]);
  assert.equal(await looksTheSame(trace, ["removed", "base"], root), false);
});

test("an opaque folder is doubt enough", async () => {
  await mkdir(join(root, "opaque/etc/slurm"), { recursive: true });
  assert.equal(await looksTheSame(trace, ["opaque", "base"], root), true);
  await run(["setfattr", "-n", "trusted.overlay.opaque", "-v", "y", join(root, "opaque/etc/slurm")]);
  assert.equal(await looksTheSame(trace, ["opaque", "base"], root), false);
});

test("a layer that is gone counts as well as one that came", async () => {
  await layer("gone", { "usr/lib/a": "other" });
  assert.equal(await looksTheSame({ ...trace, layers: ["gone", "base"] }, ["base"], root), false);
});
