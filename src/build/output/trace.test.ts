import assert from "node:assert/strict";
import { test } from "node:test";
import { readTrace } from "./trace.ts";

/** How a program that is traced with `strace -f -q -y` gets into /mnt. */
const entered = `700 execve("/usr/sbin/chroot", ["chroot", "/mnt", "dracut"], 0x1 /* 9 vars */) = 0
700 openat(AT_FDCWD</var/work>, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3</etc/ld.so.cache>
700 chroot("/mnt")                    = 0
700 chdir("/")                        = 0
`;
const read = (log: string) => {
  const traced = readTrace(entered + log, "/mnt");
  // The way in looks at the root of the tree.
  return { ...traced, paths: traced.paths.filter((path) => path !== "/") };
};

test("what was looked at is told from both sides of the chroot; what is not of the tree is left out", () => {
  const { paths, folders, unclear } = read(
    `700 execve("/usr/bin/dracut", ["dracut", "--force"], 0x1 /* 9 vars */) = 0
700 openat(AT_FDCWD</mnt>, "/lib/modules", O_RDONLY|O_DIRECTORY|O_CLOEXEC) = 4</mnt/usr/lib/modules>
700 getdents64(4</mnt/usr/lib/modules>, 0x5 /* 3 entries */, 32768) = 80
700 openat(AT_FDCWD</mnt>, "/etc/opened", O_RDONLY|O_DIRECTORY) = 5</mnt/etc/opened>
700 access("/etc/absent", F_OK)      = -1 ENOENT (No such file or directory)
700 newfstatat(AT_FDCWD</mnt/usr/lib/dracut>, "modules.d/90x/../99base", {st_mode=S_IFDIR|0755}, 0) = 0
700 newfstatat(5</mnt/usr/lib>, "", {st_mode=S_IFDIR|0755}, AT_EMPTY_PATH) = 0
700 readlink("/proc/self/exe", "/usr/bin/bash", 4095) = 13
700 rename("/etc/old", "/etc/new")    = -1 ENOENT (No such file or directory)
700 openat(AT_FDCWD</mnt/tmp/dracut.x>, "initramfs/file", O_WRONLY|O_CREAT, 0666) = 3</mnt/tmp/dracut.x/initramfs/file>
`,
  );
  assert.equal(unclear, undefined);
  assert.deepEqual([...paths].sort(), [
    "/etc/absent",
    "/etc/new",
    "/etc/old",
    "/etc/opened",
    "/lib/modules",
    "/usr/bin/dracut",
    "/usr/lib/dracut/modules.d/90x/../99base",
    "/usr/lib/modules",
  ]);
  assert.deepEqual(folders, ["/usr/lib/modules"]);
});

test("calls that were interrupted in the log are read whole, and those that never ended count too", () => {
  const { paths } = read(`700 openat(AT_FDCWD</mnt>, "/usr/lib/slow", O_RDONLY <unfinished ...>
700 <... openat resumed>)             = 5</mnt/usr/lib/real>
700 access("/etc/last",  <unfinished ...>
`);
  assert.deepEqual(paths, ["/usr/lib/slow", "/usr/lib/real", "/etc/last"]);
});

test("a relative name means the working folder that the process had", () => {
  const { paths, unclear } = read(`700 chdir("/usr/lib")                 = 0
700 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7) = 701
700 chdir("/etc")                     = 0
701 access("child", F_OK)             = 0
700 access("parent", F_OK)            = 0
701 chdir("sub")                      = 0
701 readlink("x", 0x7, 99)            = -1 EINVAL (Invalid argument)
700 fchdir(4</mnt/opt>)               = 0
700 chdir("/gone")                    = -1 ENOENT (No such file or directory)
700 execve("./run", ["./run"], 0x1)   = 0
`);
  assert.equal(unclear, undefined);
  for (const path of ["/usr/lib/child", "/etc/parent", "/usr/lib/sub/x", "/opt/run", "/gone"]) {
    assert.ok(paths.includes(path), path);
  }
});

test("a child whose lines come before its parent's has the parent's folder, also when its number was another's", () => {
  const { paths, unclear } = read(`700 chdir("/usr")                     = 0
700 vfork( <unfinished ...>
701 access("a", F_OK)                 = 0
700 <... vfork resumed>)              = 701
701 +++ exited with 0 +++
700 chdir("/etc")                     = 0
700 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
701 access("b", F_OK)                 = 0
700 <... clone resumed>, child_tidptr=0x7) = 701
`);
  assert.equal(unclear, undefined);
  assert.deepEqual(
    paths.filter((path) => /\/[ab]$/.test(path)),
    ["/usr/a", "/etc/b"],
  );
});

test("names in another root are not names of the tree", () => {
  const { paths, unclear } = read(`700 chroot("/tmp/d/initramfs")        = 0
700 access("/etc/ld.so.conf", R_OK)   = 0
700 openat(AT_FDCWD</mnt/tmp/d>, "/etc/x", O_RDONLY) = 3</mnt/tmp/d/initramfs/etc/x>
`);
  assert.equal(unclear, undefined);
  assert.deepEqual(paths, []);
});

test("a link into the tree that the program makes is a look at where it leads", () => {
  const { paths, unclear } = read(`700 symlink("/usr/lib/a", "/tmp/d/a") = 0
700 symlinkat("../../etc/b", AT_FDCWD</mnt/tmp/d>, "b") = 0
700 symlink("c", "/tmp/d/c.so")       = 0
`);
  assert.equal(unclear, undefined);
  assert.deepEqual(paths, ["/usr/lib/a", "/etc/b"]);
});

test("names are taken out of strace's escapes", () => {
  const { paths, folders } = read(`700 access("/etc/a\\"b\\\\\\303\\244\\n", F_OK) = 0
700 getdents64(4</mnt/etc/x\\76y>, 0x5, 32768) = 80
`);
  assert.deepEqual(paths, ['/etc/a"b\\ä\n']);
  assert.deepEqual(folders, ["/etc/x>y"]);
});

const doubts: readonly (readonly [what: string, log: string])[] = [
  ["a relative name of a process that nobody has made", '999 access("x", F_OK) = 0'],
  [
    "a relative name of threads of which one changes the folder",
    `700 clone3({flags=CLONE_VM|CLONE_FS, child_tid=0x7} => {parent_tid=[702]}, 88) = 702
702 chdir("/etc") = 0
700 access("x", F_OK) = 0`,
  ],
  ["a name that is not UTF-8", '700 access("/etc/\\377", F_OK) = 0'],
  ["a name that was cut", '700 access("/etc/long"..., F_OK) = 0'],
  ["a file system that was mounted", '700 mount("/a", "/b", NULL, MS_BIND, NULL) = 0'],
  ["a root inside the tree", '700 chroot("/srv/other") = 0'],
  ["a way out of the program's own files", '700 access("/tmp/d/../../etc/x", F_OK) = 0'],
  ["a way around by /proc", '700 access("/proc/self/root/etc/x", F_OK) = 0'],
  ["a line that is no call", "700 ???"],
  ["a line without a process", "strace: something"],
];
for (const [what, log] of doubts) {
  test(`${what} leaves a doubt`, () => {
    assert.equal(typeof read(log).unclear, "string");
  });
}
