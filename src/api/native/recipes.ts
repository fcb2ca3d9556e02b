import type { FastifyInstance } from "fastify";
import type { BlobStore } from "../../artifact/index.ts";
import { parseChecks } from "../../compliance/index.ts";
import { maxRecipeBytes, readRecipeArchive, type ImageStore } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { listPage } from "./page.ts";

type Named = { Params: { name: string } };

/** Recipes come as tar archives (plain or gzip) of a folder with recipe.yaml at its top. */
export function registerRecipes(
  app: FastifyInstance,
  parts: { readonly images: ImageStore; readonly blobs: BlobStore },
): void {
  const { images, blobs } = parts;
  const base = "/apis/netkiln/v1/recipes";
  const find = async (name: string) => {
    const recipe = await images.findRecipe(name);
    if (recipe !== undefined) return recipe;
    throw new NetkilnError("not_found", `there is no recipe "${name}"`);
  };

  app.addContentTypeParser("application/x-tar", { parseAs: "buffer" }, async (_request: unknown, body: Buffer) => body);
  app.get(base, async ({ query }) =>
    listPage(
      query,
      (page) => images.listRecipes(page),
      ({ name }) => name,
    ),
  );
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));
  app.post(base, { bodyLimit: maxRecipeBytes }, async ({ body }, reply) => {
    if (!Buffer.isBuffer(body)) {
      throw new NetkilnError("invalid_input", "a recipe is sent as a tar archive (content-type: application/x-tar)");
    }
    const { spec, digest, files } = await readRecipeArchive(body, "the archive");
    for (const path of spec.checks) {
      parseChecks(path, files.find((file) => file.path === path)?.content.toString("utf8") ?? "");
    }
    const entries = [];
    for (const { path, executable, content } of files) {
      entries.push({ path, executable, sha256: (await blobs.putBytes(content)).sha256 });
    }
    const { recipe, changed } = await images.putRecipe({ spec, digest, files: entries });
    return reply.code(changed ? 201 : 200).send({ ...recipe, changed });
  });
  app.delete<Named>(`${base}/:name`, async ({ params }, reply) => {
    await images.deleteRecipe((await find(params.name)).id);
    return reply.code(204).send();
  });
}
