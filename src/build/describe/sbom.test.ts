import assert from "node:assert/strict";
import { test } from "node:test";
import { inventory, subject } from "../../../test/support/inventory.ts";
import { cyclonedxDocument } from "./sbom-cyclonedx.ts";
import { spdxDocument } from "./sbom-spdx.ts";

interface Spdx {
  documentNamespace: string;
  creationInfo: { created: string };
  comment: string;
  packages: (Record<string, unknown> & { SPDXID: string; externalRefs?: { referenceLocator: string }[] })[];
  hasExtractedLicensingInfos: { licenseId: string }[];
  relationships: { spdxElementId: string; relatedSpdxElement: string; relationshipType: string }[];
}

test("SPDX: each package once, with ids that are its own, and relations that lead to something", () => {
  const document = JSON.parse(spdxDocument(subject, inventory)) as Spdx;
  assert.equal(document.creationInfo.created, "2025-06-15T15:06:40Z");
  const ids = document.packages.map(({ SPDXID }) => SPDXID);
  assert.equal(new Set(ids).size, inventory.packages.length + 2);
  for (const id of ids) assert.match(id, /^SPDXRef-[A-Za-z0-9.-]+$/);
  for (const { spdxElementId, relatedSpdxElement } of document.relationships) {
    assert.ok([...ids, "SPDXRef-DOCUMENT"].includes(spdxElementId) && ids.includes(relatedSpdxElement));
  }
  const purls = document.packages.flatMap(({ externalRefs = [] }) => externalRefs.map((ref) => ref.referenceLocator));
  assert.deepEqual(purls, [
    "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=bookworm",
    "pkg:deb/debian/libc6@2.36-9?arch=i386&distro=bookworm",
    "pkg:npm/%40x/y@1.0.0",
    "pkg:npm/%40x/y@1.0.0",
  ]);
  const [libc, other] = document.packages.slice(2);
  assert.equal(libc?.["supplier"], "Organization: GNU Libc Maintainers (libc@example.org)");
  assert.equal(libc?.["sourceInfo"], "built package from: glibc 2.36-9");
  assert.equal(libc?.["licenseDeclared"], "LGPL-2.1-or-later AND LicenseRef-public-domain");
  assert.equal(libc?.["homepage"], "https://www.gnu.org/software/libc/");
  assert.equal(other?.["homepage"], undefined, "what is no address of the web is left out");
  assert.deepEqual(
    document.hasExtractedLicensingInfos.map(({ licenseId }) => licenseId),
    ["LicenseRef-public-domain"],
  );
  assert.match(document.comment, /missing, as it could not be read: \/c\/node_modules\/z\/package\.json/);
});

interface CycloneDx {
  serialNumber: string;
  metadata: { timestamp: string };
  components: (Record<string, unknown> & { "bom-ref": string })[];
  dependencies: { ref: string; dependsOn: string[] }[];
}

test("CycloneDX: each package once, and licences as it takes them", () => {
  const document = JSON.parse(cyclonedxDocument(subject, inventory)) as CycloneDx;
  assert.match(document.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(document.metadata.timestamp, "2025-06-15T15:06:40Z");
  const refs = document.components.map((entry) => entry["bom-ref"]);
  assert.equal(new Set(refs).size, inventory.packages.length + 1);
  assert.deepEqual(document.dependencies, [{ ref: "image", dependsOn: refs }]);
  const [, libc, other] = document.components;
  assert.deepEqual(libc?.["licenses"], [{ license: { name: "LGPL-2.1+" } }, { license: { name: "public-domain" } }]);
  assert.deepEqual(other?.["licenses"], [{ expression: "MIT" }]);
  assert.deepEqual(libc?.["properties"], [
    { name: "netkiln:source", value: "glibc 2.36-9" },
    { name: "netkiln:section", value: "libs" },
    { name: "netkiln:installed-size", value: "1024" },
  ]);
});

for (const [name, write] of Object.entries({ SPDX: spdxDocument, CycloneDX: cyclonedxDocument })) {
  test(`${name}: the same image has the same document, another one has another identity`, () => {
    assert.equal(write(subject, inventory), write(subject, structuredClone(inventory)));
    const identity = (text: string) => /"(?:documentNamespace|serialNumber)": "([^"]+)"/.exec(text)?.[1];
    const others = [
      write({ ...subject, buildId: "fedc" }, inventory),
      write(subject, { ...inventory, packages: inventory.packages.slice(1) }),
    ];
    for (const other of others) assert.notEqual(identity(other), identity(write(subject, inventory)));
  });

  test(`${name}: without a package database it says that nothing is known`, () => {
    const text = write(subject, { ...inventory, databases: [], packages: [], unread: [] });
    assert.match(text, /no package database was found/);
  });
}
