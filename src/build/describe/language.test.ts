import assert from "node:assert/strict";
import { test } from "node:test";
import { openTree } from "../../../test/support/tree-reader.ts";
import { plantTree, type Planted } from "../../lib/plant-tree.ts";
import { viewFolders } from "../tree/view.ts";
import { listFiles } from "./files.ts";
import { readLanguagePackages } from "./language.ts";

const python = "opt/venv/lib/python3.11/site-packages";

test("packages of pip and npm that nobody owns; what cannot be read is told", async (t) => {
  const entries: Record<string, Planted> = {
    [`${python}/PyYAML-6.0.dist-info/METADATA`]:
      "Metadata-Version: 2.1\r\nName: PyYAML\r\nVersion: 6.0\r\nLicense: MIT\r\nAuthor: Kirill\r\nHome-page: https://pyyaml.org/\r\n\r\nName: other\r\n",
    [`${python}/old-1.egg-info/PKG-INFO`]: "Name: old\nVersion: 1\nLicense: UNKNOWN\n",
    [`${python}/older.egg-info`]: "Name: older\nVersion: 0.1\nLicense: The whole\n        text of it\n",
    [`${python}/torn.dist-info/METADATA`]: "Name: torn\n",
    "usr/lib/python3/dist-packages/owned-1.dist-info/METADATA": "Name: owned\nVersion: 1\n",
    "opt/app/node_modules/@scope/tool/package.json": `{"name": "@scope/tool", "version": "1.0.0", "license": {"type": "ISC"}, "author": {"name": "A"}}`,
    "opt/app/node_modules/plain/package.json": `{"name": "plain", "version": "2.0.0", "license": "MIT", "homepage": 5}`,
    "opt/app/node_modules/plain/lib/package.json": `{"type": "module"}`,
    "opt/app/node_modules/broken/package.json": `{"name": `,
    "opt/app/package.json": `{"name": "app", "version": "0"}`,
    "opt/app/node_modules/linked/package.json": { link: "/etc/shadow" },
  };
  const root = plantTree(t, entries);
  const { files } = listFiles(await viewFolders(root));
  const owned = (path: string) => path.includes("/owned-1.");
  const { packages, unread } = await readLanguagePackages(await openTree(root), files, owned);
  assert.deepEqual(
    packages.map(({ kind, name, version, supplier, homepage, licenses }) =>
      JSON.parse(JSON.stringify({ kind, name, version, supplier, homepage, licenses })),
    ),
    [
      { kind: "npm", name: "@scope/tool", version: "1.0.0", supplier: "A", licenses: ["ISC"] },
      { kind: "npm", name: "plain", version: "2.0.0", licenses: ["MIT"] },
      {
        kind: "pypi",
        name: "PyYAML",
        version: "6.0",
        supplier: "Kirill",
        homepage: "https://pyyaml.org/",
        licenses: ["MIT"],
      },
      { kind: "pypi", name: "old", version: "1" },
      { kind: "pypi", name: "older", version: "0.1" },
    ],
  );
  assert.equal(packages[0]?.path, "/opt/app/node_modules/@scope/tool/package.json");
  assert.deepEqual(unread, [
    { path: "/opt/app/node_modules/broken/package.json", reason: "it is no JSON" },
    { path: `/${python}/torn.dist-info/METADATA`, reason: "it has no Name or no Version" },
  ]);
});
