import assert from "node:assert/strict";
import { chmod, cp, lutimes, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { viewFolders } from "../tree/view.ts";
import { firstDifference, observe } from "./observed.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-observed-"));
after(() => rm(root, { recursive: true }));

const base = join(root, "base");
async function put(tree: string, path: string, content: string, time = 1_000_000): Promise<void> {
  const file = join(tree, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  await chmod(file, 0o644);
  await lutimes(file, time, time);
}
async function link(tree: string, target: string, path: string): Promise<void> {
  await rm(join(tree, path), { recursive: true, force: true });
  await symlink(target, join(tree, path));
  await lutimes(join(tree, path), 1_000_000, 1_000_000);
}

await put(base, "usr/lib/a", "a");
await put(base, "etc/modprobe.d/x.conf", "x");
await put(base, "etc/modprobe.d/z.conf", "z");
await put(base, "etc/slurm/slurm.conf", "old");
await put(base, "opt/real/target", "t");
await link(base, "usr/lib", "lib");
await link(base, "/opt/real", "opt/absolute");
await link(base, "loop", "loop");

const baseView = await viewFolders(base);
const observed = await observe(baseView, {
  paths: ["/lib/a", "/etc/modprobe.d/x.conf", "/etc/absent", "/etc/multipath/conf", "/opt/absolute/target", "/loop/x"],
  folders: ["/etc/modprobe.d", "/etc/nowhere"],
});

test("links and folders on the way are places too, and no link leads out of the tree", () => {
  const { places, folders } = observed;
  assert.deepEqual(
    Object.entries(places).map(([path, place]) => `${path} ${place.kind}`),
    [
      "/ folder",
      "/etc folder",
      "/etc/absent absent",
      "/etc/modprobe.d folder",
      "/etc/modprobe.d/x.conf file",
      "/etc/multipath absent",
      "/etc/nowhere absent",
      "/lib link",
      "/loop link",
      "/opt folder",
      "/opt/absolute link",
      "/opt/real folder",
      "/opt/real/target file",
      "/usr folder",
      "/usr/lib folder",
      "/usr/lib/a file",
    ],
  );
  assert.deepEqual(folders, { "/etc/modprobe.d": { "x.conf": "file", "z.conf": "file" } });
});

test("a name that is too long is looked for in vain", async () => {
  const path = `/etc/${"x".repeat(300)}`;
  const { places } = await observe(baseView, { paths: [path], folders: [] });
  assert.deepEqual(places[path], { kind: "absent" });
  assert.equal(firstDifference(baseView, { places, folders: {} }), undefined);
});

const cases: readonly (readonly [
  what: string,
  change: (tree: string) => Promise<unknown>,
  told: string | undefined,
])[] = [
  ["nothing", async () => undefined, undefined],
  ["a file that nobody looked at", (tree) => put(tree, "etc/slurm/slurm.conf", "new"), undefined],
  ["a new file in a folder that nobody listed", (tree) => put(tree, "etc/slurm/topology.conf", ""), undefined],
  ["a file that was read, written again the same", (tree) => put(tree, "usr/lib/a", "a"), undefined],
  ["a file that was read, of the same size", (tree) => put(tree, "usr/lib/a", "b"), "/usr/lib/a changed (its content)"],
  ["a file that was read, longer", (tree) => put(tree, "usr/lib/a", "aa"), "/usr/lib/a changed (its size)"],
  ["its time", (tree) => put(tree, "usr/lib/a", "a", 900_000), "/usr/lib/a changed (its time)"],
  ["its mode", (tree) => chmod(join(tree, "usr/lib/a"), 0o755), "/usr/lib/a changed (its mode)"],
  ["a file that was read and is removed", (tree) => rm(join(tree, "usr/lib/a")), "/usr/lib/a is gone"],
  ["a file that was looked for in vain", (tree) => put(tree, "etc/absent", ""), "/etc/absent is new"],
  ["a folder that was looked into in vain", (tree) => put(tree, "etc/multipath/conf", ""), "/etc/multipath is new"],
  ["a new file in a listed folder", (tree) => put(tree, "etc/modprobe.d/y.conf", ""), "/etc/modprobe.d/y.conf is new"],
  [
    "a file that is gone from a listed folder",
    (tree) => rm(join(tree, "etc/modprobe.d/z.conf")),
    "/etc/modprobe.d/z.conf is gone",
  ],
  [
    "what is in a file of a listed folder that nobody read",
    (tree) => put(tree, "etc/modprobe.d/z.conf", "?"),
    undefined,
  ],
  [
    "a folder for a file in a listed folder",
    async (tree) => {
      await rm(join(tree, "etc/modprobe.d/z.conf"));
      await mkdir(join(tree, "etc/modprobe.d/z.conf"));
    },
    "/etc/modprobe.d/z.conf was a file and is a folder",
  ],
  ["a link on the way that leads elsewhere", (tree) => link(tree, "opt", "lib"), "/lib changed (its size)"],
  [
    "a folder on the way that is a link to the same things, out of the tree",
    async (tree) => {
      await rm(join(tree, "usr"), { recursive: true });
      await link(tree, join(base, "usr"), "usr");
    },
    "/usr was a folder and is a link",
  ],
  [
    "a file whose name every object knows",
    (tree) => put(tree, "etc/modprobe.d/constructor", ""),
    "/etc/modprobe.d/constructor is new",
  ],
  ["a folder's mode", (tree) => chmod(join(tree, "etc"), 0o700), "/etc changed (its mode)"],
];
for (const [index, [what, change, told]] of cases.entries()) {
  test(`${what}: ${told ?? "no difference"}`, async () => {
    const tree = join(root, `case${index}`);
    await cp(base, tree, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    for (const path of ["lib", "opt/absolute", "loop"]) await lutimes(join(tree, path), 1_000_000, 1_000_000);
    await change(tree);
    assert.equal(firstDifference(await viewFolders(tree), observed), told);
  });
}
