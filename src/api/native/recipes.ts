import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { BlobStore } from "../../artifact/index.ts";
import { parseChecks } from "../../compliance/index.ts";
import type { Build } from "../../build/index.ts";
import { maxRecipeBytes, readRecipeArchive, type ImageStore, type Recipe } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { principalOf } from "../principal.ts";
import type { LifecycleParts } from "./lifecycle-parts.ts";
import { deletedFilter, deletedSchema, listPage, pageSchema } from "./page.ts";
import { parseAs } from "../../lib/parse.ts";

/** For KIWI descriptions, which have no recipe.yaml to say it; `template` is `KEY=VALUE`, `profile` a name, each as often as need be. */
const several = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());
const importSchema = z.strictObject({
  name: z.string().optional(),
  arch: z.string().optional(),
  profile: several.optional(),
  template: several.optional(),
});

const lockSchema = z.strictObject({ update: z.boolean().default(false), dry_run: z.boolean().default(false) });

export interface RecipesParts {
  readonly images: ImageStore;
  readonly blobs: BlobStore;
  readonly lifecycle: LifecycleParts;
  readonly locks: {
    /** Looks up what the recipe's base is to be made of, and pins it. */
    start(recipe: Recipe, options: { update: boolean; dryRun: boolean }): Promise<Build>;
    /** Throws `not_found` when nothing was looked up yet. */
    describe(recipe: Recipe): Promise<LockDescription>;
  };
}

type Named = { Params: { name: string } };

/** Recipes come as tar archives (plain or gzip) of a folder with recipe.yaml at its top. */
export function registerRecipes(app: FastifyInstance, parts: RecipesParts): void {
  const { images, blobs, lifecycle, locks } = parts;
  const base = "/apis/netkiln/v1/recipes";
  const find = async (name: string) => {
    const recipe = await images.findRecipe(name);
    if (recipe !== undefined) return recipe;
    throw new NetkilnError("not_found", `there is no recipe "${name}"`);
  };

  app.addContentTypeParser("application/x-tar", { parseAs: "buffer" }, async (_request: unknown, body: Buffer) => body);
  app.get(base, { config: { query: pageSchema.extend(deletedSchema.shape) } }, async ({ query }) =>
    listPage(
      query,
      (page) => (deletedFilter(query) ? images.listDeletedRecipes(page) : images.listRecipes(page)),
      ({ id, name }) => (deletedFilter(query) ? id : name),
    ),
  );
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));
  app.post(base, { bodyLimit: maxRecipeBytes, config: { query: importSchema } }, async ({ body, query }, reply) => {
    if (!Buffer.isBuffer(body)) {
      throw new NetkilnError("invalid_input", "a recipe is sent as a tar archive (content-type: application/x-tar)");
    }
    const { template = [], profile, ...rest } = parseAs(importSchema, query, "the query");
    const kiwi = { ...rest, profiles: profile, template: template.length === 0 ? undefined : toDictionary(template) };
    const { spec, digest, files, warnings } = await readRecipeArchive(body, "the archive", kiwi);
    for (const path of spec.checks) {
      parseChecks(path, files.find((file) => file.path === path)?.content.toString("utf8") ?? "");
    }
    const entries = [];
    for (const { path, executable, content } of files) {
      entries.push({ path, executable, sha256: (await blobs.putBytes(content)).sha256 });
    }
    const { recipe, changed } = await images.putRecipe({ spec, digest, files: entries });
    return reply.code(changed ? 201 : 200).send({ ...recipe, changed, warnings });
  });
  app.delete<Named>(`${base}/:name`, async (request, reply) => {
    await lifecycle.deleteRecipe(await find(request.params.name), principalOf(request));
    return reply.code(204).send();
  });
  app.get<Named>(`${base}/:name/lock`, async ({ params }) => locks.describe(await find(params.name)));
  app.post<Named>(`${base}/:name/lock`, { config: { body: lockSchema } }, async ({ params, body }, reply) => {
    const { update, dry_run: dryRun } = parseAs(lockSchema, body ?? {}, "the request");
    return reply.code(201).send({ build: await locks.start(await find(params.name), { update, dryRun }) });
  });
  app.post<Named>(`${base}/:name/undelete`, async (request) => {
    const { name } = request.params;
    const recipe = await images.findDeletedRecipe(name);
    if (recipe === undefined) throw new NetkilnError("not_found", `there is no deleted recipe "${name}"`);
    return lifecycle.undeleteRecipe(recipe, principalOf(request));
  });
}

/** A lock as it is shown. */
export interface LockDescription {
  readonly recipe: string;
  readonly digest: string;
  readonly created: string;
  readonly pinned: boolean;
  readonly bytes: number;
  readonly packages: readonly { readonly name: string; readonly version: string; readonly arch: string }[];
}

function toDictionary(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const equals = pair.indexOf("=");
      if (equals > 0) return [pair.slice(0, equals), pair.slice(equals + 1)];
      throw new NetkilnError("invalid_input", `"${pair}" is no value for a template`, { hint: "write it KEY=VALUE" });
    }),
  );
}
