import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { run } from "../../lib/exec.ts";
import { viewFolders, type TreeNode } from "../tree/view.ts";
import { compareKernels, newestKernel, survey } from "./survey.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-survey-"));
after(() => rm(root, { recursive: true }));
let number = 0;

/** A tree of empty files, or of those with content; "PATH -> TARGET" is a link. */
async function treeOf(files: readonly (string | readonly [string, string])[]): Promise<TreeNode> {
  number += 1;
  const tree = join(root, String(number));
  for (const file of files) {
    const [path, content] = typeof file === "string" ? [file, ""] : file;
    const [place = "", target] = path.split(" -> ");
    await mkdir(dirname(join(tree, place)), { recursive: true });
    await (target === undefined ? writeFile(join(tree, place), content) : symlink(target, join(tree, place)));
  }
  return viewFolders(tree);
}

const layouts: readonly (readonly [what: string, files: string[], version: string, image: string])[] = [
  [
    "Debian",
    [
      "usr/lib/modules/6.1.0-9-amd64/x",
      "usr/lib/modules/6.1.0-10-amd64/x",
      "boot/vmlinuz-6.1.0-9-amd64",
      "boot/vmlinuz-6.1.0-10-amd64",
    ],
    "6.1.0-10-amd64",
    "/boot/vmlinuz-6.1.0-10-amd64",
  ],
  [
    "EL",
    ["usr/lib/modules/5.14.0-427.el9.x86_64/vmlinuz", "usr/lib/modules/5.14.0-427.13.1.el9_4.x86_64/vmlinuz"],
    "5.14.0-427.13.1.el9_4.x86_64",
    "/usr/lib/modules/5.14.0-427.13.1.el9_4.x86_64/vmlinuz",
  ],
  [
    "EL with a debug kernel",
    ["usr/lib/modules/5.14.0-1.el9.x86_64/vmlinuz", "usr/lib/modules/5.14.0-1.el9.x86_64+debug/vmlinuz"],
    "5.14.0-1.el9.x86_64",
    "/usr/lib/modules/5.14.0-1.el9.x86_64/vmlinuz",
  ],
  [
    "SUSE, linked from /boot",
    [
      "usr/lib/modules/6.4.0-1-default/vmlinuz",
      "boot/vmlinuz-6.4.0-1-default -> ../usr/lib/modules/6.4.0-1-default/vmlinuz",
    ],
    "6.4.0-1-default",
    "/usr/lib/modules/6.4.0-1-default/vmlinuz",
  ],
  [
    "SUSE whose /usr is not merged",
    ["lib/modules/5.3.18-1-default/x", "boot/vmlinuz-5.3.18-1-default"],
    "5.3.18-1-default",
    "/boot/vmlinuz-5.3.18-1-default",
  ],
  [
    "SUSE on aarch64",
    [
      "lib -> usr/lib",
      "usr/lib/modules/6.4.0-1-default/Image",
      "boot/Image-6.4.0-1-default -> /usr/lib/modules/6.4.0-1-default/Image",
    ],
    "6.4.0-1-default",
    "/usr/lib/modules/6.4.0-1-default/Image",
  ],
  ["a compressed image", ["usr/lib/modules/6.6.1/x", "boot/Image.gz-6.6.1"], "6.6.1", "/boot/Image.gz-6.6.1"],
  [
    "a link that is absolute",
    ["usr/lib/modules/6.6.1/x", "opt/kernel", "boot/vmlinuz-6.6.1 -> /opt/kernel"],
    "6.6.1",
    "/opt/kernel",
  ],
  [
    "modules of a newer kernel that is not there",
    ["usr/lib/modules/6.9.0/x", "usr/lib/modules/6.6.1/vmlinuz"],
    "6.6.1",
    "/usr/lib/modules/6.6.1/vmlinuz",
  ],
];
for (const [what, files, version, image] of layouts) {
  test(`the kernel is found as it stands in ${what}`, async () => {
    assert.deepEqual(newestKernel(await survey(await treeOf(files), [])), { version, image });
  });
}

test("a tree without a kernel is refused with what was looked for", async () => {
  assert.throws(() => newestKernel({ kernels: [], withoutImage: [] }), /no kernel: \/usr\/lib\/modules is empty/);
  const found = await survey(await treeOf(["usr/lib/modules/6.6.1/modules.dep", "boot/vmlinuz -> /etc/passwd"]), []);
  assert.throws(
    () => newestKernel(found),
    /modules of 6\.6\.1, but no kernel: none of \/usr\/lib\/modules\/6\.6\.1\/vmlinuz, \/boot\/vmlinuz-6\.6\.1, .*vmlinux-6\.6\.1 is there/,
  );
});

test("versions are ordered as rpm orders them", () => {
  const sorted = ["5.14.0-427.el9", "5.14.0-1.el9", "6.1.0", "5.14.0-427.13.1.el9_4", "6.1.0+rt", "5.14.0-70.el9"];
  assert.deepEqual(sorted.sort(compareKernels), [
    "6.1.0",
    "6.1.0+rt",
    "5.14.0-427.13.1.el9_4",
    "5.14.0-427.el9",
    "5.14.0-70.el9",
    "5.14.0-1.el9",
  ]);
});

test("what an initrd can be made of is told", async () => {
  const tree = await treeOf([
    "usr/lib/modules/6.6.1/vmlinuz",
    ["usr/lib/modules/6.6.1/modules.dep", "kernel/net/virtio-net.ko.xz: kernel/a.ko.xz\nkernel/a.ko.xz:\n"],
    ["usr/lib/modules/6.6.1/modules.builtin", "kernel/fs/squashfs/squashfs.ko\n"],
    ["boot/config-6.6.1", "# CONFIG_RD_ZSTD is not set\n"],
    "usr/lib/dracut/modules.d/99base/x",
    "usr/lib/dracut/modules.d/95iscsi/x",
    "usr/bin/dracut",
    "sbin/iscsid",
    "var/lib/rpm/x",
  ]);
  const found = await survey(tree, ["iscsid", "curl"]);
  assert.deepEqual(found.drivers, { loadable: ["virtio_net", "a"], builtIn: ["squashfs"] });
  assert.deepEqual(found.dracutModules.toSorted(), ["base", "iscsi"]);
  assert.deepEqual([found.dracut, found.programs, found.unpacksZstd, found.family], [true, ["iscsid"], false, "rpm"]);
  assert.ok(found.looks.folders.includes("/usr/lib/modules") && found.looks.paths.includes("/usr/bin/curl"));
});

test("only a file is a kernel, not a folder or a pipe of its name", async () => {
  const tree = await mkdtemp(join(root, "pipe-"));
  await mkdir(join(tree, "usr/lib/modules/6.1/vmlinuz"), { recursive: true });
  await mkdir(join(tree, "boot"));
  await run(["mkfifo", join(tree, "boot/vmlinuz-6.1")]);
  assert.deepEqual((await survey(await viewFolders(tree), [])).withoutImage, ["6.1"]);
  await writeFile(join(tree, "boot/vmlinux-6.1"), "");
  assert.equal(newestKernel(await survey(await viewFolders(tree), [])).image, "/boot/vmlinux-6.1");
});
