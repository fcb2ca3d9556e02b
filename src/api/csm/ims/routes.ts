import type { RemoteNodeStore, SshKey } from "../../../build/index.ts";
import type { ImageRecord, RecipeRecord } from "../../../image/index.ts";
import type { LifecycleParts } from "../../native/lifecycle-parts.ts";
import { answer, operation, type Operation, type Service } from "../../service.ts";
import { deletedOperations, liveOperations, prefixOf, type Collection, type Version } from "./collection.ts";
import { imsProblem, inputOperation, notThere } from "./input.ts";
import { jobOperations, remoteNodeOperations, type JobParts } from "./jobs.ts";
import { printImage, printPublicKey, printRecipe } from "./print.ts";
import {
  imageCreateSchema,
  imagePatchSchema,
  publicKeySchema,
  recipeCreateSchema,
  recipePatchSchema,
} from "./schema.ts";

export interface ImsParts extends JobParts {
  readonly remoteNodes: RemoteNodeStore;
  readonly lifecycle: LifecycleParts;
}

/** The version of IMS whose answers these are. */
const servedVersion = "3.33.0";

/**
 * The Image Management Service, version 3, and the two before it by the same functions. IMS deletes for good in v2, with
 * or without the files (`cascade`); here what v2 deletes can be brought back as well.
 */
export function imsService(parts: ImsParts): Service {
  const versions: readonly Version[] = ["v3", "v2", "bare"];
  return {
    name: "ims",
    title: "Image Management Service",
    bases: ["/apis/ims"],
    problem: imsProblem,
    operations: [
      ...versions.flatMap((version) => [
        ...recipeOperations(parts, version),
        ...imageOperations(parts, version),
        ...publicKeyOperations(parts, version),
        ...jobOperations(parts, version),
      ]),
      ...deletedOperations(recipesOf(parts)),
      ...deletedOperations(imagesOf(parts)),
      ...deletedOperations(publicKeysOf(parts)),
      ...remoteNodeOperations(parts.remoteNodes, "v3"),
      ...remoteNodeOperations(parts.remoteNodes, "bare"),
      operation({ id: "getVersion", method: "GET", path: "/version", run: async () => answer(200, servedVersion) }),
      operation({ id: "get_healthz_live", method: "GET", path: "/healthz/live", run: async () => answer(200, {}) }),
      operation({
        ...{ id: "get_healthz_ready", method: "GET", path: "/healthz/ready" },
        // Whatever reads the database says whether it can be read.
        run: async () => answer(200, { remote_build_nodes: (await parts.remoteNodes.list()).length }),
      }),
    ],
  };
}

function recipesOf({ recipeRecords, lifecycle }: ImsParts): Collection<RecipeRecord> {
  return {
    ...{ plural: "recipes", single: "recipe", deletedParameter: "recipe_id", print: printRecipe },
    list: (which) => recipeRecords.list(which),
    find: (id, which) => recipeRecords.find(id, which),
    delete: (record, by) => lifecycle.deleteRecipe(record, by),
    restore: (record, by) => lifecycle.restoreRecipe(record, by),
    destroy: (record, by) => lifecycle.destroyRecipe(record, by),
  };
}

function recipeOperations(parts: ImsParts, version: Version): Operation[] {
  const { recipeRecords } = parts;
  const path = `${prefixOf(version)}/recipes`;
  // The contract calls it so in v3, and has the name of the other for v2.
  const post = { v3: "post_v3_recipes", v2: "post_v3_recipe", bare: "post_bare_recipe" }[version];
  return [
    ...liveOperations(recipesOf(parts), version),
    inputOperation({ id: post, method: "POST", path }, recipeCreateSchema, async ({ body }) => {
      const { name, arch, link } = body;
      const record = await recipeRecords.register({
        ...{ name, arch, link, type: body.recipe_type, linux: body.linux_distribution },
        ...{ template: body.template_dictionary, requireDkms: body.require_dkms },
      });
      return answer(201, printRecipe(record));
    }),
    inputOperation(
      { id: `patch_${version}_recipe`, method: "PATCH", path: `${path}/{recipe_id}` },
      recipePatchSchema,
      async ({ params, body: { link, arch, require_dkms: requireDkms, template_dictionary: template } }) => {
        const change = { link, arch, requireDkms, template };
        const record = await recipeRecords.change(params["recipe_id"] ?? "", change);
        if (record === undefined) throw notThere();
        return answer(200, printRecipe(record));
      },
    ),
  ];
}

function imagesOf({ imageRecords, lifecycle }: ImsParts): Collection<ImageRecord> {
  return {
    ...{ plural: "images", single: "image", deletedParameter: "deleted_image_id", print: printImage },
    list: (which) => imageRecords.list(which),
    find: (id, which) => imageRecords.find(id, which),
    delete: (record, by) => lifecycle.deleteImage(record, by),
    restore: (record, by) => lifecycle.restoreImage(record, by),
    destroy: (record, by) => lifecycle.destroyImage(record, by),
  };
}

function imageOperations(parts: ImsParts, version: Version): Operation[] {
  const { imageRecords } = parts;
  const path = `${prefixOf(version)}/images`;
  return [
    ...liveOperations(imagesOf(parts), version),
    inputOperation({ id: `post_${version}_image`, method: "POST", path }, imageCreateSchema, async ({ body }) =>
      answer(201, printImage(await imageRecords.register(body))),
    ),
    inputOperation(
      { id: `patch_${version}_image`, method: "PATCH", path: `${path}/{image_id}` },
      imagePatchSchema,
      async ({ params, body }) => {
        const record = await imageRecords.change(params["image_id"] ?? "", body);
        if (record === undefined) throw notThere();
        return answer(200, printImage(record));
      },
    ),
  ];
}

function publicKeysOf({ sshKeys }: ImsParts): Collection<SshKey> {
  return {
    ...{ plural: "public-keys", single: "public_key", deletedParameter: "deleted_public_key_id" },
    print: printPublicKey,
    list: (which) => sshKeys.list(which),
    find: (id, which) => sshKeys.find(id, which),
    delete: ({ id }) => sshKeys.delete(id),
    restore: ({ id }) => sshKeys.undelete(id),
    destroy: ({ id }) => sshKeys.destroy(id),
  };
}

function publicKeyOperations(parts: ImsParts, version: Version): Operation[] {
  return [
    ...liveOperations(publicKeysOf(parts), version),
    inputOperation(
      { id: `post_${version}_public_key`, method: "POST", path: `${prefixOf(version)}/public-keys` },
      publicKeySchema,
      async ({ body }) =>
        answer(201, printPublicKey(await parts.sshKeys.add({ name: body.name, publicKey: body.public_key }))),
    ),
  ];
}
