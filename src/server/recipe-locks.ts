import { readFile } from "node:fs/promises";
import type { RecipesParts } from "../api/native/recipes.ts";
import { lockFamily, lockSummary, startLock, type Lock } from "../build/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { House } from "./open.ts";

/** What the administrators' door does with the locks of recipes. */
export function recipeLocks(house: House): RecipesParts["locks"] {
  return {
    start: (recipe, options) => startLock({ recipe, ...options }, house),
    describe: async (recipe) => {
      const found = await house.steps.lock(lockFamily(recipe, house.settings));
      if (found === undefined) {
        throw new NetkilnError("not_found", `nothing was looked up yet for recipe ${recipe.name}`, {
          hint: `netkiln recipes lock ${recipe.name} --update does so now`,
        });
      }
      const lock = JSON.parse(await readFile(house.blobs.path(found.digest), "utf8")) as Lock;
      const { bytes } = lockSummary(lock);
      return { recipe: recipe.name, ...found, bytes, packages: lock.packages };
    },
  };
}
