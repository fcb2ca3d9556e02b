/** Our reading of the product catalog against CSM's own JSON schema: the same data are accepted and refused. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Ajv } from "ajv";
import { parse } from "yaml";
import { productDataSchema } from "../../src/catalog/index.ts";
import { contractFile } from "./support/contract.ts";

const file = contractFile("product-catalog-schema.yaml");
const skip = existsSync(file) ? false : "the contract's file product-catalog-schema.yaml is not here";

const components = (part: object) => ({ component_versions: part });

const accepted: readonly object[] = [
  {},
  { active: true, of_its_own: { any: [1] } },
  {
    configuration: {
      clone_url: "https://vcs.example.org/vcs/cray/cos-config-management.git",
      commit: "4f0c",
      import_branch: "cray/cos/2.5.97",
      import_date: "2023-06-01 10:00:00",
      ssh_url: "git@vcs.example.org:cray/cos-config-management.git",
    },
  },
  { images: {}, recipes: { a: { id: "0f3f5b2c-2f0a-4c57-9a53-8f9b7f9d5d11" }, b: {} } },
  components({ docker: [{ name: "cray/cos", version: "1" }], helm: [], rpm: [{ name: "r", version: "1", arch: "x" }] }),
  components({
    repositories: [
      { name: "cos-2.5.97", type: "hosted" },
      { name: "cos", type: "group", members: ["cos-2.5.97"] },
    ],
  }),
  components({ s3: [{ bucket: "boot-images", key: "a/b" }], manifests: ["a.yaml"], of_its_own: 1 }),
];

const refused: readonly unknown[] = [
  [],
  "text",
  { active: "yes" },
  { configuration: [] },
  { configuration: { commit: 1 } },
  { images: { a: { id: 1 } } },
  { recipes: { a: "0f3f" } },
  components([]),
  components({ docker: {} }),
  components({ docker: [{ name: "a" }] }),
  components({ rpm: [{ name: "a", version: 1 }] }),
  components({ repositories: [{ name: "a" }] }),
  components({ repositories: [{ name: "a", type: "proxy" }] }),
  components({ repositories: [{ name: "a", type: "group" }] }),
  components({ repositories: [{ type: "hosted" }] }),
  components({ s3: [{ bucket: "", key: "k" }] }),
  components({ manifests: [""] }),
];

test("the catalog's own schema and ours accept and refuse the same data", { skip }, () => {
  const validate = new Ajv({ strict: false }).compile(parse(readFileSync(file, "utf8")) as object);
  for (const [cases, wanted] of [
    [accepted, true],
    [refused, false],
  ] as const) {
    for (const data of cases) {
      assert.equal(validate(data), wanted, `the contract: ${JSON.stringify(data)}`);
      assert.equal(productDataSchema.safeParse(data).success, wanted, `ours: ${JSON.stringify(data)}`);
    }
  }
});
