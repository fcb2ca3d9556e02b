/** What we write as CycloneDX against the format's own JSON schema. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Ajv } from "ajv";
import { cyclonedxDocument } from "../../src/build/describe/sbom-cyclonedx.ts";
import type { Inventory } from "../../src/image/index.ts";
import { inventory, subject } from "../support/inventory.ts";

const library = createRequire(import.meta.url).resolve("@cyclonedx/cyclonedx-library/package.json");
const schema = (name: string) =>
  JSON.parse(readFileSync(join(dirname(library), "res/schema", `${name}.SNAPSHOT.schema.json`), "utf8")) as object;

/** Formats such as "iri-reference" are not ajv's own. */
const ajv = new Ajv({ strict: false, validateFormats: false });
for (const name of ["spdx", "jsf-0.82"])
  ajv.addSchema(schema(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
const validate = ajv.compile(schema("bom-1.6"));

const full: Inventory = {
  ...inventory,
  packages: [
    ...inventory.packages,
    { kind: "rpm", name: "bash", version: "1:5.1-6", arch: "x86_64", licenses: ["GPLv3+ and MIT"] },
  ],
};

for (const [what, described] of Object.entries({
  "with all there is": full,
  "with nothing": { ...full, os: { id: "linux", name: "Linux" }, databases: [], packages: [], unread: [] },
})) {
  test(`CycloneDX 1.6 ${what} is valid`, () => {
    const document: unknown = JSON.parse(cyclonedxDocument(subject, described));
    assert.ok(validate(document), ajv.errorsText(validate.errors));
  });
}

test("the schema would tell a mistake", () => {
  const document = JSON.parse(cyclonedxDocument(subject, full)) as { components: { type: string }[] };
  document.components.push({ type: "package" });
  assert.equal(validate(document), false);
});
