import type { Product } from "./schema.ts";

/** Whether there is a recipe or an image of an id. */
export interface ReferencePorts {
  isRecipe(id: string): Promise<boolean>;
  isImage(id: string): Promise<boolean>;
}

/**
 * What products name and nobody has, in words. It is no mistake: a catalog may be taken in before the images, and CSM
 * leaves ids of deleted ones in it.
 */
export async function missingReferences(products: readonly Product[], ports: ReferencePorts): Promise<string[]> {
  const missing: string[] = [];
  for (const { name, version, data } of products) {
    const kinds = [
      ["recipe", data.recipes, ports.isRecipe],
      ["image", data.images, ports.isImage],
    ] as const;
    for (const [kind, resources = {}, isThere] of kinds) {
      for (const [resource, { id }] of Object.entries(resources)) {
        const what = `${name}:${version}: the ${kind} ${resource}`;
        if (id === undefined) missing.push(`${what} has no id`);
        else if (!(await isThere(id))) missing.push(`${what} has the id ${id}, which no ${kind} here has`);
      }
    }
  }
  return missing;
}
