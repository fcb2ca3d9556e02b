import type { Image, Recipe } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { House } from "../open.ts";
import { requireUnused } from "./uses.ts";

/** An image or a recipe, also one of which only the record is there. */
type Named = Pick<Image | Recipe, "id" | "name">;

/** Takes an image out of use; it keeps everything. Throws `refused` while something uses it. */
export async function deleteImage(house: House, image: Named, by: string): Promise<void> {
  await requireUnused(house, image);
  if (!(await house.images.deleteImage(image.id))) return;
  // Something may have begun to use it in between; from now on nothing can.
  await requireUnused(house, image).catch(async (error: unknown) => {
    await house.images.undeleteImage(image.id);
    throw error;
  });
  await house.events.record(`image:${image.id}`, "deleted", { name: image.name, by });
}

export async function undeleteImage(house: House, { id, name }: Named, by: string): Promise<Image> {
  await house.images.undeleteImage(id);
  const image = await house.images.findImage(id);
  if (image === undefined) throw new NetkilnError("not_found", `the image ${name} (${id}) is gone for good`);
  await house.events.record(`image:${id}`, "undeleted", { name, by });
  return image;
}

/** As `undeleteImage`, of a mere record too. */
export async function restoreImage(house: House, { id, name }: Named, by: string): Promise<void> {
  if (await house.images.undeleteImage(id)) await house.events.record(`image:${id}`, "undeleted", { name, by });
}

/** Ends a deleted image for good. Throws `refused` while something that was not asked, such as a node, uses it. */
export async function destroyImage(house: House, image: Named, by: string): Promise<void> {
  await requireUnused(house, image);
  if (!(await house.images.destroyImage(image.id))) return;
  await house.events.record(`image:${image.id}`, "destroyed", { name: image.name, by });
}

/** Deletes an image that another one has replaced; one that is still in use stays, and an event says why. */
export async function deleteReplaced(house: House, id: string, by: string): Promise<void> {
  const image = await house.images.findImage(id);
  if (image === undefined) return;
  await deleteImage(house, image, by).catch(async (error: unknown) => {
    if (!(error instanceof NetkilnError) || error.code !== "refused") throw error;
    await house.events.record(`image:${id}`, "kept", { name: image.name, because: error.message });
  });
}

export async function deleteRecipe(house: House, { id, name }: Named, by: string): Promise<void> {
  if (await house.images.deleteRecipe(id)) await house.events.record(`recipe:${id}`, "deleted", { name, by });
}

export async function undeleteRecipe(house: House, { id, name }: Named, by: string): Promise<Recipe> {
  await house.images.undeleteRecipe(id);
  const recipe = await house.images.findRecipe(id);
  if (recipe === undefined) throw new NetkilnError("not_found", `the recipe ${name} (${id}) is gone for good`);
  await house.events.record(`recipe:${id}`, "undeleted", { name, by });
  return recipe;
}

/** As `undeleteRecipe`, of a mere record too. */
export async function restoreRecipe(house: House, { id, name }: Named, by: string): Promise<void> {
  if (await house.images.undeleteRecipe(id)) await house.events.record(`recipe:${id}`, "undeleted", { name, by });
}

/** Ends a deleted recipe for good; images that were made of it stay. */
export async function destroyRecipe(house: House, { id, name }: Named, by: string): Promise<void> {
  if (await house.images.destroyRecipe(id)) await house.events.record(`recipe:${id}`, "destroyed", { name, by });
}
