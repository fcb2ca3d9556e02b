import type { ConfigurationStore } from "../configuration/index.ts";
import type { ImageStore, Recipe } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { AnsibleOptions } from "./layer/ansible.ts";
import type { BuildStore } from "./store.ts";
import type { Foundation, ImageRequest, Output } from "./types.ts";

/** An image as an operator asks for it; names mean what they mean now. */
export interface WantedImage {
  readonly name: string;
  readonly recipe?: string | undefined;
  readonly image?: string | undefined;
  readonly configuration?: string | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly outputs?: readonly Output[] | undefined;
  readonly ansible?: AnsibleOptions | undefined;
}

interface Stores {
  readonly images: ImageStore;
  readonly configurations: ConfigurationStore;
  readonly builds: BuildStore;
}

/**
 * Resolves every name in a wish. Without a recipe and an image, the wish is that of the image's last build, with the
 * names in it resolved again. Throws `not_found` and `invalid_input`.
 */
export async function requestFor(wanted: WantedImage, stores: Stores): Promise<ImageRequest> {
  const { name, recipe, image, configuration, groups, outputs, ansible } = wanted;
  if (recipe !== undefined && image !== undefined) {
    throw new NetkilnError("invalid_input", "an image is made from a recipe or from an image, not from both");
  }
  if (recipe === undefined && image === undefined) return requestAgain(wanted, stores);
  return {
    name,
    base: await baseFor(recipe, image, stores),
    groups: groups ?? [],
    ...(ansible !== undefined && { ansible }),
    ...(outputs !== undefined && { outputs }),
    ...(configuration !== undefined && { configuration: await configurationFor(configuration, stores) }),
  };
}

async function baseFor(recipe: string | undefined, image: string | undefined, stores: Stores): Promise<Foundation> {
  if (recipe !== undefined) {
    const found = await stores.images.findRecipe(recipe);
    if (found === undefined) throw new NetkilnError("not_found", `there is no recipe "${recipe}"`);
    return foundationOf(found, stores.images);
  }
  const found = await stores.images.findImage(image ?? "");
  if (found === undefined) throw new NetkilnError("not_found", `there is no image "${image}"`);
  return { kind: "image", image: found };
}

async function configurationFor(name: string, { configurations }: Stores) {
  const found = await configurations.find(name);
  if (found === undefined) throw new NetkilnError("not_found", `there is no configuration "${name}"`);
  const { layers, additionalInventory } = found;
  return { name, layers, ...(additionalInventory !== undefined && { additionalInventory }) };
}

async function requestAgain(
  { name, groups, outputs, configuration, ansible }: WantedImage,
  stores: Stores,
): Promise<ImageRequest> {
  const request = await stores.builds.lastRequest(name);
  if (request === undefined) {
    throw new NetkilnError("invalid_input", `nothing says what the image ${name} is to be made from`, {
      hint: "name a recipe (--recipe) or an image (--image); only images that were built here before are known",
    });
  }
  const again = await renewed(request, stores);
  return {
    ...again,
    ...(ansible !== undefined && Object.keys(ansible).length > 0 && { ansible }),
    ...(groups !== undefined && { groups }),
    ...(outputs !== undefined && { outputs }),
    ...(configuration !== undefined && { configuration: await configurationFor(configuration, stores) }),
  };
}

/** The same request with the recipes and configurations of now. */
async function renewed({ own: _own, ...request }: ImageRequest, stores: Stores): Promise<ImageRequest> {
  const { base, configuration } = request;
  return {
    ...request,
    base: await renewedBase(base, stores),
    ...(configuration !== undefined && { configuration: await configurationFor(configuration.name, stores) }),
  };
}

async function renewedBase(base: Foundation, stores: Stores): Promise<Foundation> {
  switch (base.kind) {
    case "recipe":
      return baseFor(base.recipe.name, undefined, stores);
    case "image":
      return base;
    case "request":
      return { kind: "request", request: await renewed(base.request, stores) };
  }
}

/** What a recipe's images start from, down to the first that makes a tree of its own. */
export async function foundationOf(
  recipe: Recipe,
  images: ImageStore,
  above: readonly string[] = [],
): Promise<Foundation> {
  const { spec, name } = recipe;
  const path = [...above, name];
  if (above.includes(name)) {
    throw new NetkilnError("invalid_input", `recipes are made from each other in a circle: ${path.join(" from ")}`);
  }
  if (spec.distribution !== undefined) return { kind: "recipe", recipe };
  if (spec.from.image !== undefined) {
    const image = await images.findImage(spec.from.image);
    if (image !== undefined) return { kind: "recipe", recipe, below: { kind: "image", image } };
    throw new NetkilnError("not_found", `there is no image "${spec.from.image}", which recipe ${name} is made from`);
  }
  if (spec.from.recipe !== undefined) {
    const below = await images.findRecipe(spec.from.recipe);
    if (below !== undefined) return { kind: "recipe", recipe, below: await foundationOf(below, images, path) };
    throw new NetkilnError("not_found", `there is no recipe "${spec.from.recipe}", which recipe ${name} is made from`);
  }
  return { kind: "recipe", recipe };
}
