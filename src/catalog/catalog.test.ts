import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { missingReferences, migrations, openCatalog, parseProductName, readCatalog } from "./index.ts";

const cos = `cos:
  2.5.97:
    active: true
    configuration:
      clone_url: https://vcs.example.org/vcs/cray/cos-config-management.git
      commit: 4f0c
      import_branch: cray/cos/2.5.97
      import_date: 2023-06-01 10:00:00
    recipes:
      cray-shasta-compute: {id: 0f3f}
    images: {}
    component_versions:
      docker: [{name: cray/cos, version: 1.0.0}]
`;

async function openEmpty() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  return openCatalog(db);
}

function mistakesIn(text: string): string[] {
  try {
    readCatalog(text, "catalog.yaml");
  } catch (error) {
    if (error instanceof NetkilnError) return error.problems.map(({ line, message }) => `${line} ${message}`);
    throw error;
  }
  return [];
}

test("versions of products are put, found, listed in pages and removed", async () => {
  const catalog = await openEmpty();
  await catalog.put({ name: "cos", version: "2.5", data: { active: true, notes: [1] } });
  await catalog.put({ name: "cos", version: "2.4", data: {} }, { name: "slurm", version: "1.0", data: {} });
  await catalog.put({ name: "cos", version: "2.4", data: { active: false } });
  const names = (products: readonly { name: string; version: string }[]) =>
    products.map(({ name, version }) => `${name}:${version}`);
  assert.deepEqual(names(await catalog.products()), ["cos:2.4", "cos:2.5", "slurm:1.0"]);
  assert.deepEqual((await catalog.find("cos", "2.5"))?.data, { active: true, notes: [1] });
  assert.deepEqual((await catalog.find("cos", "2.4"))?.data, { active: false });
  assert.deepEqual(names(await catalog.list({ limit: 1 })), ["cos:2.4"]);
  assert.deepEqual(names(await catalog.list({ limit: 9, after: { name: "cos", version: "2.4" } })), [
    "cos:2.5",
    "slurm:1.0",
  ]);
  assert.equal(await catalog.remove("cos", "2.4"), true);
  assert.equal(await catalog.remove("cos", "2.4"), false);
  assert.equal(await catalog.find("cos", "2.4"), undefined);
});

test("a catalog is read as it is, as a ConfigMap, and as the list that kubectl prints", () => {
  const plain = readCatalog(cos, "catalog.yaml");
  assert.equal(plain.length, 1);
  assert.equal(plain[0]?.version, "2.5.97");
  assert.equal(plain[0]?.data.configuration?.["import_date"], "2023-06-01 10:00:00");
  const packed = (lines: string, indent: string) => lines.trimEnd().replaceAll(/^ {2}/gm, indent);
  const text = packed(cos.slice(cos.indexOf("\n") + 1), "    ");
  assert.deepEqual(readCatalog(`kind: ConfigMap\ndata:\n  cos: |\n${text}\n`, "cm.yaml"), plain);
  const list = `kind: List
items:
  - kind: ConfigMap
    data: {cos: "2.5.97: {active: true}"}
  - kind: ConfigMap
    data: {cos: "2.5.97: {component_versions: {manifests: [a.yaml]}}"}
`;
  assert.deepEqual(readCatalog(list, "list.yaml"), [
    { name: "cos", version: "2.5.97", data: { active: true, component_versions: { manifests: ["a.yaml"] } } },
  ]);
});

test("a version that YAML takes for a number is the one that was written", () => {
  assert.deepEqual(
    readCatalog("slurm: {2.10: {}, 3: {}}", "f")
      .map(({ version }) => version)
      .sort(),
    ["2.10", "3"],
  );
});

test("all mistakes of a catalog are told together, with their places", () => {
  assert.deepEqual(mistakesIn("cos:\n  1.0.0:\n    active: 1\n    recipes: {a: {id: 2}}\n  a:b: {}\nno/name: {}\n"), [
    "3 cos.1.0.0.active: Invalid input: expected boolean, received number",
    "4 cos.1.0.0.recipes.a.id: Invalid input: expected string, received number",
    "5 cos.a:b: a version holds only letters, digits and . _ + ~ -",
    "6 no/name: a product's name holds only letters, digits and . _ -",
  ]);
  assert.equal(mistakesIn("cos: 'a: [1'").length, 1);
  assert.equal(mistakesIn("[]").length, 1);
});

test("a version is named as NAME:VERSION", () => {
  assert.deepEqual(parseProductName("cos:2.5.97-20230101+x"), { name: "cos", version: "2.5.97-20230101+x" });
  for (const bad of ["cos", "cos:", ":1", "a:b:c", "../x:1", "cos:.."]) {
    assert.throws(() => parseProductName(bad), /names no version of a product/, bad);
  }
});

test("recipes and images that nobody has are told", async () => {
  const data = { recipes: { a: { id: "1" }, b: { id: "2" }, c: {} }, images: { d: { id: "2" } } };
  const missing = await missingReferences([{ name: "cos", version: "1", data }], {
    isRecipe: async (id) => id === "1",
    isImage: async (id) => id === "1",
  });
  assert.deepEqual(missing, [
    "cos:1: the recipe b has the id 2, which no recipe here has",
    "cos:1: the recipe c has no id",
    "cos:1: the image d has the id 2, which no image here has",
  ]);
});
