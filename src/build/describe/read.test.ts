import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { test } from "node:test";
import { parseInventory } from "../../image/index.ts";
import { plantTree, type Planted } from "../../lib/plant-tree.ts";
import { viewFolders } from "../tree/view.ts";
import { readInventory } from "./read.ts";

const tree: Record<string, Planted> = {
  "usr/lib/os-release": `NAME="Site \\"OS\\""\nID='site'\nVERSION_ID=1.2\nPRETTY_NAME="Site OS 1.2"\n# ID=no\n`,
  "etc/os-release": { link: "../usr/lib/os-release" },
  "var/lib/dpkg/status": "Package: py\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n",
  "var/lib/dpkg/info/py.list": "/.\n/lib/py-1.dist-info/METADATA\n",
  "usr/lib/py-1.dist-info/METADATA": "Name: py\nVersion: 1\n",
  "usr/lib/own-1.dist-info/METADATA": "Name: own\nVersion: 1\n",
  "usr/lib/sysctl.d/10-site.conf":
    "net.ipv4.tcp_rmem = 4096  131072\t6291456\nnet/ipv4/conf/eth0.1/forwarding=1\n-kernel.x\n",
  "etc/sysctl.d/20.conf": "vm.swappiness=10\n",
  "usr/lib/systemd/system/a.service": "[Install]\nWantedBy=multi-user.target\n",
};

test("an inventory holds what is asked of it, and the same tree gives the same bytes", async (t) => {
  const root = plantTree(t, tree);
  symlinkSync("usr/lib", `${root}/lib`);
  const scratch = plantTree(t, {});
  const found = await readInventory(await viewFolders(root), scratch);
  assert.deepEqual(found.os, { id: "site", name: 'Site "OS"', versionId: "1.2", prettyName: "Site OS 1.2" });
  assert.deepEqual(found.databases, ["dpkg"]);
  assert.deepEqual(
    found.packages.map(({ kind, name }) => `${kind} ${name}`),
    ["deb py", "pypi own"],
  );
  assert.deepEqual(found.sysctl, {
    "net.ipv4.conf.eth0/1.forwarding": "1",
    "net.ipv4.tcp_rmem": "4096 131072 6291456",
    "vm.swappiness": "10",
  });
  assert.deepEqual(found.units, [{ name: "a.service", state: "disabled", wantedBy: [], preset: "enable" }]);
  assert.ok(found.files.some(({ path, target }) => path === "/lib" && target === "usr/lib"));
  const text = JSON.stringify(found);
  assert.deepEqual(parseInventory(text, "inventory"), found, "the schema knows all that is read");
  assert.equal(JSON.stringify(await readInventory(await viewFolders(root), scratch)), text);
});

test("a tree with nothing in it has an inventory too", async (t) => {
  const found = await readInventory(await viewFolders(plantTree(t, {})), plantTree(t, {}));
  assert.deepEqual(
    { ...found, files: [] },
    {
      version: 1,
      os: { id: "linux", name: "Linux" },
      databases: [],
      packages: [],
      unread: [],
      files: [],
      units: [],
      sysctl: {},
      size: 0,
    },
  );
});

test("a database of packages that this host cannot read is no empty one", async (t) => {
  const root = plantTree(t, { "usr/lib/sysimage/rpm/Packages.db": "RpmP" });
  await assert.rejects(
    readInventory(await viewFolders(root), plantTree(t, {})),
    /of a kind that this host cannot read \(ndb\)/,
  );
});
