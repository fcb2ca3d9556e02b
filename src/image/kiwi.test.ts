import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { failureOf } from "../lib/failure-of.ts";
import { readRecipeArchive, type KiwiImport } from "./recipe-archive.ts";

async function read(files: Readonly<Record<string, string>>, kiwi?: KiwiImport) {
  const entries = Object.entries(files).map(([name, body]) => ({
    header: { name, size: Buffer.byteLength(body), mode: name.endsWith(".sh") ? 0o755 : 0o644 },
    body,
  }));
  return readRecipeArchive(gzipSync(await packTar(entries)), "the archive", kiwi);
}

const refusal = (files: Readonly<Record<string, string>>, kiwi?: KiwiImport) => failureOf(read(files, kiwi));

const config = "<image>\n<source path='{{ URL }}'/>\n</image>\n";
const list = "template_files:\n- ./config.xml\n";
const template = { URL: "http://repository.example/" };

test("a KIWI description becomes a recipe by what its import says", async () => {
  const files = { "./config.xml": config, "./config.sh": "#!/bin/bash\n", "./.ims_recipe_template.yaml": list };
  const recipe = await read(files, { name: "sles", template, profiles: ["x"], arch: "aarch64" });
  assert.deepEqual(recipe.spec, {
    name: "sles",
    distribution: "kiwi",
    arch: "aarch64",
    profiles: ["x"],
    template,
    layers: [],
    outputs: ["squashfs"],
    checks: [],
    epoch: 1_735_689_600,
  });
  assert.deepEqual(
    recipe.files.map(({ path, executable }) => [path, executable]),
    [
      [".ims_recipe_template.yaml", false],
      ["config.sh", true],
      ["config.xml", false],
    ],
  );
  assert.equal(recipe.files[2]?.content.toString(), config, "it is kept as it came");
  assert.notEqual(recipe.digest, (await read(files, { name: "sles", template: { URL: "http://other/" } })).digest);
});

test("templates have all their values, which are asked for with file and line", async () => {
  const files = { "config.xml": config, ".ims_recipe_template.yaml": list };
  const missing = await refusal(files, { name: "sles", template: { OTHER: "x" } });
  assert.deepEqual(missing.problems, [{ file: "config.xml", line: 2, message: "undefined value" }]);
  assert.match((await refusal(files, { name: "sles" })).message, /names templates, and no values are given/);
  const none = await refusal(
    { ...files, ".ims_recipe_template.yaml": "template_files: [../config.xml, b]\n" },
    { name: "x", template },
  );
  assert.match(none.message, /names what the recipe does not hold: \.\.\/config\.xml, b$/);
  const unclosed = await refusal({ ...files, "config.xml": "a\n\n{% if URL %}" }, { name: "x", template });
  assert.equal(unclosed.problems[0]?.line, 3);
  const { warnings } = await read({ "config.xml": config }, { name: "sles", template });
  assert.match(warnings[0] ?? "", /^the recipe has no \.ims_recipe_template\.yaml/);
});

test("a large template is rendered; tags and blocks that would exhaust the engine are not", async () => {
  const files = { ".ims_recipe_template.yaml": list };
  const many = `${"<package name='{{ URL }}'/>\n".repeat(5000)}{% for x in range(3) %}{{ x }}{% endfor %}`;
  await read({ ...files, "config.xml": many }, { name: "x", template });
  const chained = await refusal({ ...files, "config.xml": `\n{{ ${"-".repeat(8000)}1 }}` }, { name: "x", template });
  assert.deepEqual(chained.problems[0], {
    file: "config.xml",
    line: 2,
    message: "a tag of a template can have 4096 characters",
  });
  const nested = await refusal({ ...files, "config.xml": "{% if URL %}".repeat(40) }, { name: "x", template });
  assert.match(nested.problems[0]?.message ?? "", /more than 32 blocks stand inside each other/);
  await read({ ...files, "config.xml": config }, { name: "x", template });
});

test("what is no recipe, has no name, or says it twice is refused with what to do", async () => {
  assert.match(
    (await refusal({ "a.txt": "x" }, { name: "x" })).message,
    /holds no recipe\.yaml and no KIWI description$/,
  );
  assert.equal((await refusal({ "config.xml": config })).hint, "give it one with --name");
  assert.match(
    (await refusal({ "a.kiwi": "", "b.kiwi": "" }, { name: "x" })).message,
    /more than one description: a\.kiwi, b\.kiwi/,
  );
  const recipe = "name: x\ndistribution: kiwi\n";
  const both = await refusal({ "recipe.yaml": recipe, "config.xml": "" }, { name: "x" });
  assert.match(both.message, /has a recipe\.yaml, which says name itself$/);
  assert.equal((await read({ "recipe.yaml": recipe, "config.xml": "<image/>" })).spec.distribution, "kiwi");
  assert.match((await refusal({ "recipe.yaml": recipe })).message, /no KIWI description$/);
  assert.match(
    (await refusal({ "config.xml": "" }, { name: "x", arch: "sparc" })).message,
    /KIWI description is not valid/,
  );
});
