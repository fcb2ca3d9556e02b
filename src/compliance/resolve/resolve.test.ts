import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { run } from "../../lib/exec.ts";
import { plantTree, type Planted } from "../../lib/plant-tree.ts";
import { openTree } from "../../../test/support/tree-reader.ts";
import { readAccounts } from "./accounts.ts";
import type { Fact, Properties } from "./fact.ts";
import { resolveFile } from "./file.ts";
import { resolveGroup } from "./group.ts";
import { readPackages, resolvePackage } from "./package.ts";
import { resolveUser } from "./user.ts";

async function shown(properties: Properties<string>): Promise<Record<string, unknown>> {
  const entries = Object.entries(properties).map(async ([name, ask]) => [name, plain(await ask())]);
  return Object.fromEntries(await Promise.all(entries));
}

function plain(fact: Fact): unknown {
  return fact.state === "value" ? fact.value : `${fact.state}: ${fact.message}`;
}

async function open(context: TestContext, entries: Readonly<Record<string, Planted>>) {
  const root = plantTree(context, entries);
  const tree = await openTree(root);
  return { root, tree, accounts: await readAccounts(tree) };
}

const status = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9
Description: a
 Version: 9
 .
 Package: not this

Package: libc6
Status: hold ok installed
Architecture: i386
Version: 2.36-8

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: half
Status: install ok half-configured
Architecture: amd64
Version: 1
`;

test("package: what dpkg counts as installed, by architecture", async (context) => {
  const { tree } = await open(context, { "var/lib/dpkg/status": status });
  const packages = await readPackages(tree);
  assert.deepEqual(await shown(resolvePackage(packages, "libc6")), {
    installed: true,
    versions: ["2.36-9", "2.36-8"],
  });
  assert.deepEqual(await shown(resolvePackage(packages, "libc6:i386")), {
    installed: true,
    versions: ["2.36-8"],
  });
  for (const name of ["gone", "half", "libc", "not this", "libc6:arm64"]) {
    assert.deepEqual(await shown(resolvePackage(packages, name)), {
      installed: false,
      versions: `absent: package ${name} is not installed`,
    });
  }
});

test("package: files of status.d are read as well", async (context) => {
  const { tree } = await open(context, {
    "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n",
    "var/lib/dpkg/status.d/base.md5sums": "Package: no\nVersion: 1\n",
  });
  const packages = await readPackages(tree);
  assert.deepEqual(packages, [{ name: "base-files", version: "12.4", architecture: "amd64" }]);
});

test("package: a database that cannot be read is an error, not an absence", async (context) => {
  const rpm = await open(context, { "var/lib/rpm/rpmdb.sqlite": "x" });
  await assert.rejects(readPackages(rpm.tree), { message: "no rpm database reader yet" });
  const none = await open(context, { "etc/hostname": "n" });
  await assert.rejects(readPackages(none.tree), /the tree has no package database/);
});

const accounts = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nslurm:x:64030:64030:,,,:/nonexistent:/usr/sbin/nologin\nbroken:x\n",
  "etc/group": "root:x:0:\nslurm:x:64030:\nvideo:x:44:slurm,root\nalpha:x:45:slurm\n",
};

test("user: the tree's own accounts, with the primary group among the groups", async (context) => {
  const { accounts: found } = await open(context, accounts);
  assert.deepEqual(await shown(resolveUser(found, "slurm")), {
    exists: true,
    uid: 64030,
    gid: 64030,
    home: "/nonexistent",
    groups: ["alpha", "slurm", "video"],
    shell: "/usr/sbin/nologin",
  });
  const missing = await shown(resolveUser(found, "broken"));
  assert.equal(missing["exists"], false);
  assert.equal(missing["uid"], "absent: there is no user broken in /etc/passwd");
});

test("user and group: a tree without the files has no accounts", async (context) => {
  const { accounts: found } = await open(context, { "etc/hostname": "n" });
  assert.equal((await shown(resolveUser(found, "root")))["exists"], false);
  assert.deepEqual(await shown(resolveGroup(found, "root")), {
    exists: false,
    gid: "absent: there is no group root in /etc/group",
  });
});

test("group: by its name", async (context) => {
  const { accounts: found } = await open(context, accounts);
  assert.deepEqual(await shown(resolveGroup(found, "video")), { exists: true, gid: 44 });
});

test("file: what the path is, and what its contents are", async (context) => {
  const { root, tree } = await open(context, { "etc/word": { text: "abc", mode: 0o4751 } });
  const { uid, gid } = statSync(join(root, "etc/word"));
  const names = {
    users: [{ name: "me", uid, gid, home: "/", shell: "" }],
    groups: [{ name: "us", gid, members: [] }],
  };
  assert.deepEqual(await shown(resolveFile(tree, names, "/etc/word")), {
    exists: true,
    mode: "4751",
    owner: "me",
    uid,
    group: "us",
    gid,
    "linked-to": "absent: /etc/word is a file, not a symbolic link",
    filetype: "file",
    contents: "abc",
    size: 3,
    md5: "900150983cd24fb0d6963f7d28e17f72",
    sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    sha512:
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
      "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
  });
});

test("file: names come from the tree, and an owner without a name has none", async (context) => {
  const { root, tree, accounts: found } = await open(context, { "etc/word": "abc", "etc/passwd": "", "etc/group": "" });
  const { uid, gid } = statSync(join(root, "etc/word"));
  const facts = await shown(resolveFile(tree, found, "/etc/word"));
  assert.equal(facts["owner"], `absent: uid ${uid} has no name in /etc/passwd`);
  assert.equal(facts["group"], `absent: gid ${gid} has no name in /etc/group`);
});

test("file: a link is a link, with the contents of what it leads to", async (context) => {
  const {
    root,
    tree,
    accounts: found,
  } = await open(context, {
    "etc/word": "abc",
    "etc/link": { link: "/etc/word" },
    "etc/dangling": { link: "nowhere" },
    "etc/folder": "directory/",
  });
  const link = await shown(resolveFile(tree, found, "/etc/link"));
  assert.deepEqual([link["filetype"], link["linked-to"], link["contents"]], ["symlink", "/etc/word", "abc"]);
  const dangling = await shown(resolveFile(tree, found, "/etc/dangling"));
  assert.deepEqual([dangling["exists"], dangling["linked-to"]], [true, "nowhere"]);
  assert.equal(dangling["contents"], "absent: /etc/dangling leads to nothing: what it links to does not exist");
  const folder = await shown(resolveFile(tree, found, "/etc/folder"));
  assert.deepEqual(
    [folder["filetype"], folder["sha256"]],
    ["directory", "absent: /etc/folder is a directory, it has no contents"],
  );
  await run(["mkfifo", join(root, "etc/pipe")]);
  const pipe = await shown(resolveFile(await openTree(root), found, "/etc/pipe"));
  assert.equal(pipe["contents"], "absent: /etc/pipe is a pipe, it has no contents");
  const missing = await shown(resolveFile(tree, found, "/etc/missing"));
  assert.deepEqual([missing["exists"], missing["mode"]], [false, "absent: /etc/missing does not exist"]);
});

test("file: results do not show what a file holds", async (context) => {
  const { tree, accounts: found } = await open(context, { "etc/shadow": "root:$y$secret" });
  const fact = await resolveFile(tree, found, "/etc/shadow").contents();
  assert.equal(fact.state === "value" && fact.shown, "14 bytes");
});
