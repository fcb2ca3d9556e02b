/**
 * The HPC software recipe: a git repository with a branch for each of its versions, and in it the versions of the
 * products that belong together, as variables for bootprep files (sat/recipe.py).
 */
import { NetkilnError, type Problem } from "../lib/errors.ts";
import { newestOf, parseVersion } from "../lib/semver.ts";
import type { RecipePorts } from "./ports.ts";
import { latestVersion } from "./products.ts";
import type { VariableFile } from "./variables.ts";

/** The product that the catalog has it under. */
export const recipeProduct = "hpc-csm-software-recipe";

const branchPrefix = `cray/${recipeProduct}/`;
const variablesFile = "product_vars.yaml";

export interface RecipeVariables {
  readonly file?: VariableFile;
  readonly warnings: readonly Problem[];
}

/**
 * The variables of a version of the recipe, or of the newest. Nobody needs a recipe who names none, so that its
 * absence is an error only for those who do (`not_found`).
 */
export async function findRecipeVariables(version: string | undefined, ports: RecipePorts): Promise<RecipeVariables> {
  const isNamed = version !== undefined && version !== latestVersion;
  if (isNamed) return { file: await readVersion(version, await ports.branches(), ports), warnings: [] };
  try {
    const branches = await ports.branches();
    const versions = versionsOf(branches ?? []).filter((name) => parseVersion(name) !== undefined);
    const newest = newestOf(versions, (name) => name);
    return { ...(newest !== undefined && { file: await readVersion(newest, branches, ports) }), warnings: [] };
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    const message = `the HPC software recipe gives no variables: ${error.message}`;
    return { warnings: [{ message, ...(error.hint !== undefined && { hint: error.hint }) }] };
  }
}

async function readVersion(
  version: string,
  branches: readonly string[] | undefined,
  ports: RecipePorts,
): Promise<VariableFile> {
  if (branches === undefined) {
    throw new NetkilnError("not_found", `there is no HPC software recipe, and so no version ${version} of it`, {
      hint: `the product catalog names its repository, under ${recipeProduct}`,
    });
  }
  const versions = versionsOf(branches);
  if (!versions.includes(version)) {
    throw new NetkilnError("not_found", `the HPC software recipe has no version ${version}`, {
      hint: versions.length === 0 ? `it has no branch ${branchPrefix}VERSION` : `it has ${versions.join(", ")}`,
    });
  }
  const text = await ports.read(`${branchPrefix}${version}`, variablesFile);
  return { file: `${variablesFile} of recipe ${version}`, text };
}

function versionsOf(branches: readonly string[]): readonly string[] {
  return branches.filter((name) => name.startsWith(branchPrefix)).map((name) => name.slice(branchPrefix.length));
}
