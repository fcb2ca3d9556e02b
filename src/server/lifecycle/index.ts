import type { LifecycleParts } from "../../api/native/lifecycle-parts.ts";
import type { House } from "../open.ts";
import { startGc } from "./collect.ts";
import { endHistory } from "./history.ts";
import * as images from "./images.ts";
import { reportOf, survey } from "./survey.ts";
import { statusOfStore, why } from "./why.ts";

export { gcHandler, gcJob } from "./collect.ts";
export { deleteReplaced } from "./images.ts";

/** What the administrators' door does with images, channels and the store. */
export function lifecycleParts(house: House): LifecycleParts {
  return {
    deleteImage: (image, by) => images.deleteImage(house, image, by),
    undeleteImage: (image, by) => images.undeleteImage(house, image, by),
    destroyImage: (image, by) => images.destroyImage(house, image, by),
    deleteRecipe: (recipe, by) => images.deleteRecipe(house, recipe, by),
    undeleteRecipe: (recipe, by) => images.undeleteRecipe(house, recipe, by),
    restoreImage: (image, by) => images.restoreImage(house, image, by),
    restoreRecipe: (recipe, by) => images.restoreRecipe(house, recipe, by),
    destroyRecipe: (recipe, by) => images.destroyRecipe(house, recipe, by),
    planGc: async () => ({ ...reportOf(await survey(house)), history: await endHistory(house, { carryOut: false }) }),
    startGc: () => startGc(house),
    storeStatus: () => statusOfStore(house),
    why: (name) => why(house, name),
  };
}
