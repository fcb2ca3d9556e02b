import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, NetkilnError } from "../lib/errors.ts";
import type { RecipePorts } from "./index.ts";
import { findRecipeVariables } from "./recipe.ts";

const prefix = "cray/hpc-csm-software-recipe/";
const repository = (branches: readonly string[] | undefined): RecipePorts => ({
  branches: async () => branches,
  read: async (branch, path) => `${branch}:${path}`,
});
const branches = ["main", "23.9.10", "22.11", "23.10.2", "23.10.0", "24.1.0-rc.1", "25.next"].map((name) =>
  name === "main" ? name : `${prefix}${name}`,
);

test("variables are those of the newest version, or of the one that is named", async () => {
  const versions: readonly (readonly [string | undefined, string])[] = [
    [undefined, "24.1.0-rc.1"],
    ["latest", "24.1.0-rc.1"],
    ["23.10.0", "23.10.0"],
    ["22.11", "22.11"],
  ];
  for (const [asked, version] of versions) {
    assert.deepEqual(await findRecipeVariables(asked, repository(branches)), {
      file: { file: `product_vars.yaml of recipe ${version}`, text: `${prefix}${version}:product_vars.yaml` },
      warnings: [],
    });
  }
});

test("who names no version needs no recipe", async () => {
  assert.deepEqual(await findRecipeVariables(undefined, repository(undefined)), { warnings: [] });
  assert.deepEqual(await findRecipeVariables(undefined, repository(["main"])), { warnings: [] });
  const broken = {
    ...repository(branches),
    read: async () => Promise.reject(new NetkilnError("not_found", "no file")),
  };
  const { file, warnings } = await findRecipeVariables(undefined, broken);
  assert.equal(file, undefined);
  assert.deepEqual(warnings.map(formatProblem), ["the HPC software recipe gives no variables: no file"]);
});

test("a version that is named has to be there", async () => {
  await assert.rejects(findRecipeVariables("1.0.0", repository(undefined)), {
    code: "not_found",
    message: "there is no HPC software recipe, and so no version 1.0.0 of it",
  });
  await assert.rejects(findRecipeVariables("1.0.0", repository([`${prefix}2.0.0`])), {
    code: "not_found",
    hint: "it has 2.0.0",
  });
});
