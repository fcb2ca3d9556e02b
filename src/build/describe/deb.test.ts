import assert from "node:assert/strict";
import { test } from "node:test";
import { openTree } from "../../../test/support/tree-reader.ts";
import { plantTree } from "../../lib/plant-tree.ts";
import { licensesOf, readDebs } from "./deb.ts";

const status = `Package: alpha
Status: install ok installed
Section: admin
Installed-Size: 12
Maintainer: Somebody <somebody@example.org>
Architecture: amd64
Source: first (1:2.0-1)
Version: 2.0-1+b1
Description: one
 Version: 9 is not its version
Homepage: https://example.org/

Package: beta
Status: install ok triggers-pending
Architecture: all
Version: 1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: half
Status: install reinstreq half-installed
Architecture: all
Version: 3
`;

test("packages whose files are there, with what they say of themselves", async (t) => {
  const root = plantTree(t, {
    "var/lib/dpkg/status": status,
    "usr/share/doc/alpha/copyright":
      "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: Expat\n",
    "usr/share/doc/beta/copyright": "This is free software, see the GPL.\n",
    "usr/share/doc/half": { link: "alpha" },
  });
  assert.deepEqual(await readDebs(await openTree(root)), [
    {
      kind: "deb",
      name: "alpha",
      version: "2.0-1+b1",
      arch: "amd64",
      source: { name: "first", version: "1:2.0-1" },
      supplier: "Somebody <somebody@example.org>",
      homepage: "https://example.org/",
      section: "admin",
      licenses: ["Expat"],
      size: 12_288,
    },
    { kind: "deb", name: "beta", version: "1", arch: "all" },
    { kind: "deb", name: "half", version: "3", arch: "all", licenses: ["Expat"] },
  ]);
});

test("packages of images that are put together without dpkg", async (t) => {
  const root = plantTree(t, {
    "var/lib/dpkg/status.d/tzdata": "Package: tzdata\nVersion: 2024a\nArchitecture: all\nSource: tz\n",
    "var/lib/dpkg/status.d/tzdata.md5sums": "0 x\n",
  });
  assert.deepEqual(await readDebs(await openTree(root)), [
    { kind: "deb", name: "tzdata", version: "2024a", arch: "all", source: { name: "tz", version: "2024a" } },
  ]);
});

test("a tree without dpkg, or with nothing in it, has no such database", async (t) => {
  assert.equal(await readDebs(await openTree(plantTree(t, { "etc/x": "" }))), undefined);
  assert.equal(await readDebs(await openTree(plantTree(t, { "var/lib/dpkg/status": "" }))), undefined);
});

test("licences are those of files, once each, and not those whose text is given", () => {
  const text = `Format: http://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
License: GPL-2+

Files: *
Copyright: 2020 X
License: GPL-2+
 text

Files: a
License: BSD-3-clause or Artistic

Files: b
Copyright: License: not this

License: MIT-unused
 text
`;
  assert.deepEqual(licensesOf(text), ["BSD-3-clause or Artistic", "GPL-2+"]);
  assert.deepEqual(licensesOf("License: MIT\n"), []);
});
