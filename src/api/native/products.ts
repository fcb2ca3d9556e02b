import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  missingReferences,
  parseProductName,
  productDataSchema,
  readCatalog,
  type Catalog,
  type Product,
} from "../../catalog/index.ts";
import type { ImageRecordStore, RecipeRecordStore } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { listPage } from "./page.ts";

export interface ProductsParts {
  readonly catalog: Catalog;
  readonly imageRecords: ImageRecordStore;
  readonly recipeRecords: RecipeRecordStore;
}

const importSchema = z.strictObject({
  /** What to call the file in messages. */
  file: z.string().min(1),
  text: z.string(),
});

type Named = { Params: { product: string } };

/** The product catalog; a version of a product is named `NAME:VERSION`. */
export function registerProducts(app: FastifyInstance, { catalog, imageRecords, recipeRecords }: ProductsParts): void {
  const base = "/apis/netkiln/v1/products";
  const missing = ({ name, version }: Pick<Product, "name" | "version">) =>
    new NetkilnError("not_found", `the product catalog has no ${name}:${version}`);
  const warningsOf = (products: readonly Product[]) =>
    missingReferences(products, {
      isRecipe: async (id) => (await recipeRecords.find(id, "live")) !== undefined,
      isImage: async (id) => (await imageRecords.find(id, "live")) !== undefined,
    });

  app.get(base, async ({ query }) =>
    listPage(
      query,
      ({ limit, after }) => catalog.list({ limit, after: after === undefined ? undefined : parseProductName(after) }),
      ({ name, version }) => `${name}:${version}`,
    ),
  );
  app.post(base, async ({ body }) => {
    const { file, text } = parseAs(importSchema, body, "the request");
    const products = readCatalog(text, file);
    await catalog.put(...products);
    return { products, warnings: await warningsOf(products) };
  });
  app.get<Named>(`${base}/:product`, async ({ params }) => {
    const wanted = parseProductName(params.product);
    const product = await catalog.find(wanted.name, wanted.version);
    if (product === undefined) throw missing(wanted);
    return product;
  });
  app.put<Named>(`${base}/:product`, async ({ params, body }) => {
    const data = parseAs(productDataSchema, body, "what is known of the product");
    const product = { ...parseProductName(params.product), data };
    await catalog.put(product);
    return { ...product, warnings: await warningsOf([product]) };
  });
  app.delete<Named>(`${base}/:product`, async ({ params }, reply) => {
    const wanted = parseProductName(params.product);
    if (!(await catalog.remove(wanted.name, wanted.version))) throw missing(wanted);
    return reply.code(204).send();
  });
}
