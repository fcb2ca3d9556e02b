import assert from "node:assert/strict";
import { test } from "node:test";
import { readTrace } from "./trace.ts";

test("what was looked at is told from both sides of the chroot; what is not of the tree is left out", () => {
  const { paths, folders } = readTrace(
    `700 execve("/usr/sbin/chroot", ["chroot", "/mnt", "dracut"], 0x1 /* 9 vars */) = 0
700 openat(AT_FDCWD</var/work>, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>
700 execve("/usr/bin/dracut", ["dracut", "--force"], 0x1 /* 9 vars */) = 0
700 openat(AT_FDCWD</mnt>, "/lib/modules", O_RDONLY|O_DIRECTORY|O_CLOEXEC) = 4</mnt/usr/lib/modules>
701 access("/etc/absent", F_OK) = -1 ENOENT (No such file or directory)
701 newfstatat(AT_FDCWD</mnt/usr/lib/dracut>, "modules.d/90x/../99base", {st_mode=S_IFDIR|0755}, 0) = 0
702 openat(AT_FDCWD</mnt>, "/usr/lib/slow", O_RDONLY <unfinished ...>
702 <... openat resumed>) = 5</mnt/usr/lib/real>
703 readlink("/proc/self/exe", "/usr/bin/bash", 4095) = 13
703 openat(AT_FDCWD</mnt/tmp/dracut.x>, "initramfs/file", O_WRONLY|O_CREAT, 0666) = 3</mnt/tmp/dracut.x/initramfs/file>
`,
    "/mnt",
  );
  for (const path of [
    "/usr/bin/dracut",
    "/lib/modules",
    "/usr/lib/modules",
    "/etc/absent",
    "/usr/lib/dracut/modules.d/99base",
    "/usr/lib/slow",
    "/usr/lib/real",
  ]) {
    assert.ok(paths.has(path), path);
  }
  assert.deepEqual(
    [...paths].filter((path) => /ld\.so|proc|tmp|file/.test(path)),
    [],
  );
  assert.deepEqual([...folders], ["/usr/lib/modules"]);
});
