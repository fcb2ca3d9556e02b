/** Inventories and SBOMs of real trees, in the real sandbox, against what the tools of the trees say; needs root. */
import assert from "node:assert/strict";
import { chmod, cp, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { after, before, describe, test } from "node:test";
import { readInventory } from "../../src/build/describe/read.ts";
import { cyclonedxDocument } from "../../src/build/describe/sbom-cyclonedx.ts";
import { spdxDocument } from "../../src/build/describe/sbom-spdx.ts";
import { viewFolders } from "../../src/build/tree/view.ts";
import { imageDiff, type Inventory } from "../../src/image/index.ts";
import { makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

let folder: string;

before(async () => {
  folder = await makeFolder();
  await mkdir(join(folder, "work"));
});

after(() => rm(folder, { recursive: true }));

/** `layers` are folders of this test, the topmost first. */
async function inventoryOf(...layers: string[]): Promise<Inventory> {
  const root = await viewFolders(...layers.map((layer) => join(folder, layer)));
  return readInventory(root, join(folder, "work"));
}

const subject = {
  name: "tiny",
  buildId: "0123",
  arch: "x86_64",
  epoch: 1_750_000_000,
  tool: { name: "netkiln", version: "test" },
} as const;

interface Documents {
  readonly spdx: string;
  readonly cyclonedx: string;
}

const documentsOf = (inventory: Inventory): Documents => ({
  spdx: spdxDocument(subject, inventory),
  cyclonedx: cyclonedxDocument(subject, inventory),
});

/** Name and version of each package of a kind, as both SBOMs have them. */
function packagesIn({ spdx, cyclonedx }: Documents, kind: string): string[] {
  const isOfKind = (purl: string | undefined) => purl?.startsWith(`pkg:${kind}/`) === true;
  const { packages } = JSON.parse(spdx) as {
    packages: { name: string; versionInfo: string; externalRefs?: { referenceLocator: string }[] }[];
  };
  const { components } = JSON.parse(cyclonedx) as { components: { name: string; version: string; purl?: string }[] };
  const fromSpdx = packages
    .filter(({ externalRefs }) => isOfKind(externalRefs?.[0]?.referenceLocator))
    .map(({ name, versionInfo }) => `${name} ${versionInfo}`)
    .sort();
  const fromCycloneDx = components
    .filter(({ purl }) => isOfKind(purl))
    .map(({ name, version }) => `${name} ${version}`);
  assert.deepEqual(fromCycloneDx.sort(), fromSpdx);
  return fromSpdx;
}

const linesOf = (text: string) => text.split("\n").filter((line) => line !== "");

describe("a Debian tree", () => {
  let found: Inventory;
  const tree = () => join(folder, "debian");

  before(async () => {
    const what = ["--variant=essential", "--include=iputils-ping,systemd,python3-minimal"];
    await tool("nice", "mmdebstrap", "--quiet", "--mode=root", "--format=directory", ...what, "bookworm", tree());
    await chmod(join(tree(), "usr/bin/env"), 0o2755);
    found = await inventoryOf("debian");
  });

  test("both SBOMs have the packages that dpkg counts, and no other", async () => {
    const format = "${db:Status-Status}\t${Package} ${Version}\n";
    const told = linesOf(await tool("dpkg-query", "--admindir", join(tree(), "var/lib/dpkg"), "-W", "-f", format));
    const installed = told.filter((line) => line.startsWith("installed\t")).map((line) => line.split("\t")[1] ?? "");
    assert.ok(installed.length > 60);
    assert.deepEqual(packagesIn(documentsOf(found), "deb"), installed.sort());
    assert.equal(found.os.codename, "bookworm");
    assert.deepEqual(found.unread, []);
  });

  test("two runs give the same bytes", async (t) => {
    const started = performance.now();
    const again = await inventoryOf("debian");
    t.diagnostic(`${again.files.length} files, ${again.size} bytes: ${Math.round(performance.now() - started)} ms`);
    assert.equal(JSON.stringify(again), JSON.stringify(found));
    assert.deepEqual(documentsOf(again), documentsOf(found));
  });

  test("files are those that find lists, with the digests of sha256sum", async () => {
    const listed = linesOf(await tool("find", tree(), "-printf", "/%P %m %U %G\n")).sort();
    const ours = found.files.map(
      ({ path, mode, uid, gid }) => `${path} ${Number.parseInt(mode, 8).toString(8)} ${uid} ${gid}`,
    );
    assert.deepEqual(ours.sort(), listed);
    const sums = linesOf(await tool("find", join(tree(), "usr/bin"), "-type", "f", "-exec", "sha256sum", "{}", "+"));
    const byPath = new Map(found.files.map(({ path, sha256 }) => [path, sha256]));
    assert.ok(sums.length > 100);
    for (const line of sums) {
      const [sum, path = ""] = line.split("  ");
      assert.equal(byPath.get(path.slice(tree().length)), sum, path);
    }
  });

  test("capabilities are told as getcap tells them", async () => {
    const told = linesOf(await tool("getcap", "-r", tree())).map((line) => line.slice(tree().length));
    const ours = found.files.flatMap(({ path, capabilities }) =>
      capabilities === undefined ? [] : [`${path} ${capabilities}`],
    );
    assert.deepEqual(ours, told);
    assert.deepEqual(ours, ["/usr/bin/ping cap_net_raw=ep"]);
  });

  test("units have the states that systemctl tells", async () => {
    const known = found.units.filter(({ state }) => state !== "not-found").map(({ name }) => name);
    // One by one: of several it tells init scripts first. It ends with 1 when a unit is not enabled.
    const loop = 'for unit; do systemctl --root="$0" is-enabled "$unit"; done; :';
    const told = linesOf(await tool("sh", "-c", loop, tree(), ...known));
    assert.ok(found.units.length > 100);
    assert.deepEqual(
      found.units.filter(({ name }) => known.includes(name)).map(({ name, state }) => `${name} ${state}`),
      known.map((name, index) => `${name} ${told[index]}`),
    );
  });

  test("what a layer on top changes is the difference", async () => {
    const layer = join(folder, "layer");
    await mkdir(join(layer, "etc/sysctl.d"), { recursive: true });
    await writeFile(join(layer, "etc/sysctl.d/50-site.conf"), "vm.swappiness=1\n");
    await mkdir(join(layer, "usr/bin"), { recursive: true });
    await cp(join(tree(), "usr/bin/env"), join(layer, "usr/bin/env"));
    await chmod(join(layer, "usr/bin/env"), 0o4755);
    const image = (name: string, inventory: Inventory) => ({ name, id: name, inventory, artifacts: {} });
    const diff = imageDiff(image("a", found), image("b", await inventoryOf("layer", "debian")));
    assert.deepEqual(diff.sysctl, [{ name: "vm.swappiness", to: "1" }]);
    assert.deepEqual(diff.privileges, [{ name: "/usr/bin/env", from: "setgid 0", to: "setuid 0" }]);
    assert.deepEqual(
      diff.files.changed.map(({ path, aspects }) => `${path} ${aspects.join()}`),
      ["/usr/bin/env mode"],
    );
    assert.deepEqual(
      diff.files.added.map(({ path }) => path),
      ["/etc/sysctl.d", "/etc/sysctl.d/50-site.conf"].filter((path) => !found.files.some((file) => file.path === path)),
    );
    assert.deepEqual(diff.packages, { added: [], removed: [], changed: [] });
  });
});

const spec = (name: string, version: string) => `Name: ${name}
Version: ${version}
Release: 2.el9
Epoch: ${name === "beta" ? 3 : 0}
Summary: A test
License: GPLv2+ and MIT
URL: https://example.org/${name}
Vendor: Example
BuildArch: noarch
%description
text
%install
mkdir -p %{buildroot}/usr/lib/python3/site-packages/${name}-${version}.dist-info
printf 'Name: ${name}\\nVersion: ${version}\\n' > %{buildroot}/usr/lib/python3/site-packages/${name}-${version}.dist-info/METADATA
%files
/usr/lib/python3/site-packages/${name}-${version}.dist-info
`;

describe("an RPM tree", () => {
  const rpm = (tree: string, database: string, ...args: string[]) =>
    tool("rpm", "--root", join(folder, tree), "--dbpath", database, ...args);

  before(async () => {
    for (const [name, version] of [
      ["alpha", "1.0"],
      ["beta", "2.0"],
    ] as const) {
      const file = join(folder, `${name}.spec`);
      await writeFile(file, spec(name, version));
      const defines = [`_topdir ${folder}/rpmbuild`, `_rpmdir ${folder}/rpms`, `_dbpath ${folder}/rpmdb`];
      await tool("rpmbuild", "--quiet", "-bb", ...defines.flatMap((define) => ["--define", define]), file);
    }
  });

  for (const database of ["/var/lib/rpm", "/usr/lib/sysimage/rpm"]) {
    test(`both SBOMs have the packages that rpm counts in ${database}`, async () => {
      const tree = `rpm-${database.includes("sysimage") ? "new" : "old"}`;
      const packages = ["alpha-1.0", "beta-2.0"].map((name) => join(folder, `rpms/noarch/${name}-2.el9.noarch.rpm`));
      await rpm(tree, database, "-i", "--nodeps", ...packages);
      await mkdir(join(folder, tree, "etc"), { recursive: true });
      await writeFile(join(folder, tree, "etc/os-release"), 'ID="rocky"\nVERSION_ID="9.4"\nNAME="Rocky Linux"\n');
      const before = await tool("find", join(folder, tree), "-printf", "%p %s %T@\n");
      const found = await inventoryOf(tree);
      assert.equal(await tool("find", join(folder, tree), "-printf", "%p %s %T@\n"), before, "the tree is only read");
      assert.deepEqual(packagesIn(documentsOf(found), "rpm"), ["alpha 1.0-2.el9", "beta 3:2.0-2.el9"]);
      assert.deepEqual(packagesIn(documentsOf(found), "pypi"), [], "what rpm owns is not told again");
      assert.deepEqual(found.packages[1], {
        kind: "rpm",
        name: "beta",
        version: "3:2.0-2.el9",
        arch: "noarch",
        source: { name: "beta", version: "2.0-2.el9" },
        supplier: "Example",
        homepage: "https://example.org/beta",
        licenses: ["GPLv2+ and MIT"],
        size: 24,
      });
      assert.match(documentsOf(found).spdx, /pkg:rpm\/rocky\/beta@2.0-2.el9\?arch=noarch&distro=rocky-9.4&epoch=3/);
      assert.equal(JSON.stringify(await inventoryOf(tree)), JSON.stringify(found));
      // Last, as rpm changes what stands beside the database also when it only reads.
      const counted = linesOf(await rpm(tree, database, "-qa", "--queryformat", "%{NAME}\n"));
      assert.equal(counted.length, packagesIn(documentsOf(found), "rpm").length);
    });
  }

  test("a damaged database is an error, not an empty one", async () => {
    await mkdir(join(folder, "torn/var/lib/rpm"), { recursive: true });
    await writeFile(join(folder, "torn/var/lib/rpm/rpmdb.sqlite"), "SQLite format 3\0 and no more");
    await assert.rejects(inventoryOf("torn"), /the tree's rpm database cannot be read/);
  });
});
