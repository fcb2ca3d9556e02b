import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { run } from "../../lib/exec.ts";
import { openStack } from "../tree/stack.ts";
import { writeScaffold, type Scaffold } from "./scaffold.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-scaffold-"));
after(() => rm(root, { recursive: true }));

const scaffold: Scaffold = {
  aptSources: ["deb file:/none x main"],
  aptOptions: ['Acquire::Check-Date "false";'],
  resolvConf: "nameserver 127.0.0.1\n",
  rpmRepositories: "[site]\nbaseurl=file:///none\n",
};

let made = 0;
async function filesFor(tree: Readonly<Record<string, string>>, more: Partial<Scaffold> = {}) {
  const [lower, directory] = [join(root, `tree${made}`), join(root, `scaffold${made++}`)];
  for (const [path, text] of Object.entries({ "etc/motd": "", ...tree })) {
    await mkdir(dirname(join(lower, path)), { recursive: true });
    await writeFile(join(lower, path), text);
  }
  await run(["chmod", "0555", join(lower, "etc")]);
  await utimes(join(lower, "etc"), 1000, 1000);
  await writeScaffold(directory, { ...scaffold, ...more }, openStack([lower]));
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return { directory, files: files.map((file) => join(file.parentPath, file.name).slice(directory.length + 1)).sort() };
}

for (const [what, tree, expected] of [
  [
    "apt",
    { "usr/bin/apt-get": "" },
    ["etc/apt/apt.conf.d/99netkiln-build", "etc/apt/sources.list.d/netkiln-build.list", "usr/sbin/policy-rc.d"],
  ],
  ["dnf", { "usr/bin/dnf": "" }, ["etc/yum.repos.d/netkiln-build.repo"]],
  ["zypper", { "usr/bin/zypper": "" }, ["etc/zypp/repos.d/netkiln-build.repo"]],
  [
    "zypper, when its distribution is SUSE's and dnf is there as well",
    { "usr/bin/dnf": "", "usr/bin/zypper": "", "usr/lib/os-release": 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n' },
    ["etc/zypp/repos.d/netkiln-build.repo"],
  ],
  ["no package manager", {}, []],
] as const) {
  test(`a tree with ${what} gets its sources and no other's`, async () => {
    const { files } = await filesFor(tree);
    assert.deepEqual(files, [...expected, "etc/resolv.conf"].sort());
  });
}

test("folders that the tree has look as they do there", async () => {
  const { directory } = await filesFor({ "usr/bin/dnf": "" });
  const etc = await lstat(join(directory, "etc"));
  assert.deepEqual([etc.mode & 0o7777, etc.mtimeMs], [0o555, 1_000_000]);
});

test("where kernel modules are built, uname tells the tree's newest kernel", async () => {
  const { directory, files } = await filesFor({}, { buildsKernelModules: true });
  assert.ok(files.includes("usr/local/sbin/uname"));
  const modules = join(root, "modules");
  for (const version of ["6.1.0-9-amd64", "6.1.0-28-amd64"]) await mkdir(join(modules, version), { recursive: true });
  const program = join(root, "uname");
  const text = await readFile(join(directory, "usr/local/sbin/uname"), "utf8");
  await writeFile(program, text.replace("/lib/modules", modules), { mode: 0o755 });
  const ask = async (...options: string[]) => (await run([program, ...options])).stdout.trim();
  const real = async (...options: string[]) => (await run(["uname", ...options])).stdout.trim();
  const running = await real("-r");
  assert.equal(await ask("-r"), "6.1.0-28-amd64");
  assert.equal(await ask("-m"), await real("-m"));
  assert.equal(await ask("-a"), (await real("-a")).replace(running, "6.1.0-28-amd64"));
  await rm(modules, { recursive: true });
  assert.equal(await ask("-r"), running, "a tree without a kernel has no better answer");
});
