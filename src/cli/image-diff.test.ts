import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImageDiff } from "../image/index.ts";
import { renderImageDiff } from "./image-diff.ts";

const none: ImageDiff = {
  from: { name: "compute-1.0.0", id: "8110388c-4180-4655-9003-6b384e70bcc5" },
  to: { name: "compute-1.1.0", id: "80bf96c1-4987-4739-99f6-9d224f868631" },
  packages: { added: [], removed: [], changed: [] },
  files: { added: [], removed: [], changed: [] },
  units: [],
  sysctl: [],
  privileges: [],
  sizes: [
    { name: "tree", from: 1024, to: 1024, same: true },
    { name: "rootfs", from: 1024, to: 1024, same: false },
  ],
};
const file = (path: string) => ({ path, kind: "file", mode: "0644", uid: 0, gid: 0, size: 10, sha256: "a" }) as const;

test("everything that differs has its table, the most telling first", () => {
  const lines = renderImageDiff({
    ...none,
    packages: {
      changed: [{ kind: "deb", name: "bash", arch: "amd64", from: "5.2-1", to: "5.2-2" }],
      added: [{ kind: "npm", name: "tool", version: "1.0.0" }],
      removed: [{ kind: "deb", name: "old", arch: "all", version: "1" }],
    },
    privileges: [{ name: "/usr/bin/ping", from: "cap_net_raw=ep", to: "setuid 0" }],
    units: [
      {
        name: "ssh.service",
        change: "enabled",
        from: { name: "ssh.service", state: "disabled", wantedBy: [] },
        to: { name: "ssh.service", state: "enabled", wantedBy: ["multi-user.target"] },
      },
    ],
    sysctl: [{ name: "vm.swappiness", to: "1" }],
    files: {
      changed: [
        {
          path: "/etc/motd",
          aspects: ["content", "mode"],
          from: file("/etc/motd"),
          to: { ...file("/etc/motd"), size: 2048, mode: "0600" },
        },
      ],
      added: [file("/etc/new")],
      removed: [{ path: "/etc/link", kind: "symlink", mode: "0777", uid: 0, gid: 0, target: "x" }],
    },
    sizes: [
      { name: "tree", from: 1024, to: 3072, same: false },
      { name: "rootfs", from: 2048, to: 1024, same: false },
      { name: "initrd", to: 1024, same: false },
      { name: "kernel", from: 5, same: false },
    ],
  });
  assert.deepEqual(lines, [
    "compute-1.0.0 (8110388c) -> compute-1.1.0 (80bf96c1)",
    "",
    "packages: 1 changed, 1 added, 1 removed",
    "   PACKAGE     FROM   TO",
    "~  bash:amd64  5.2-1  5.2-2",
    "+  tool               1.0.0",
    "-  old:all     1",
    "",
    "privileges of programs: 1 changed",
    "   FILE           FROM            TO",
    "~  /usr/bin/ping  cap_net_raw=ep  setuid 0",
    "",
    "units: 1 added",
    "   UNIT         FROM      TO",
    "+  ssh.service  disabled  enabled (multi-user.target)",
    "",
    "kernel parameters: 1 added",
    "   PARAMETER      FROM  TO",
    "+  vm.swappiness        1",
    "",
    "files: 1 changed, 1 added, 1 removed",
    "   FILE       WHAT",
    "~  /etc/motd  content (10 B -> 2.0 KiB), mode 0644 -> 0600",
    "+  /etc/new   10 B",
    "-  /etc/link  symlink",
    "",
    "SIZE OF  FROM     TO",
    "tree     1.0 KiB  3.0 KiB  +2.0 KiB",
    "rootfs   2.0 KiB  1.0 KiB  -1.0 KiB",
    "initrd            1.0 KiB  new",
    "kernel   5 B               gone",
  ]);
});

test("two images that hold the same say so, also when the bytes of a file differ", () => {
  assert.deepEqual(renderImageDiff(none).slice(1), [
    "",
    "no packages, files, units, kernel parameters or privileges differ",
    "",
    "SIZE OF  FROM     TO",
    "tree     1.0 KiB  1.0 KiB  the same",
    "rootfs   1.0 KiB  1.0 KiB  other bytes",
  ]);
});

test("long lists are cut with a count, wide lines at 100 columns, unless all is asked for", () => {
  const added = Array.from({ length: 100 }, (_, index) => file(`/usr/share/${"long/".repeat(30)}${index}`));
  const diff = { ...none, files: { ...none.files, added } };
  const lines = renderImageDiff(diff);
  assert.ok(lines.includes("files: 100 added"));
  assert.ok(lines.includes("… and 60 more (--all shows them)"));
  assert.ok(lines.every((line) => line.length <= 100));
  assert.equal(renderImageDiff(diff, Infinity).filter((line) => line.startsWith("+  /usr")).length, 100);
});

test("a name cannot speak to the terminal", () => {
  const lines = renderImageDiff({ ...none, files: { ...none.files, added: [file("/etc/\u001b[2Jx\ny\u202e")] } });
  assert.ok(lines.includes("+  /etc/\\u{1b}[2Jx\\u{a}y\\u{202e}  10 B"), lines.join("\n"));
});
