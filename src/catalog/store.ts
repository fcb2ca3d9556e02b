import { sql, type Database, type Migration } from "../lib/db.ts";
import type { Product, ProductData } from "./schema.ts";

type Tables = { product: { name: string; version: string; data: string } };

export const migrations: Record<string, Migration> = {
  "0540-product": {
    up: async (db) => {
      await db.schema
        .createTable("product")
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("version", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("product_key", ["name", "version"])
        .execute();
    },
  },
};

type ProductKey = Pick<Product, "name" | "version">;

/** Which versions of which products are installed, and what they brought: CSM's product catalog. */
export interface Catalog {
  /** All of it, by name and version. */
  products(): Promise<Product[]>;
  list(page: { limit: number; after?: ProductKey | undefined }): Promise<Product[]>;
  find(name: string, version: string): Promise<Product | undefined>;
  /** Sets what is known of each of them; all or none. */
  put(...products: readonly Product[]): Promise<void>;
  /** False when there is none. */
  remove(name: string, version: string): Promise<boolean>;
}

export function openCatalog(database: Database): Catalog {
  const db = database.withTables<Tables>();
  const rows = () => db.selectFrom("product").selectAll().orderBy("name").orderBy("version");
  return {
    products: async () => (await rows().execute()).map(toProduct),
    list: async ({ limit, after = { name: "", version: "" } }) => {
      const behind = sql<boolean>`(name, version) > (${after.name}, ${after.version})`;
      return (await rows().where(behind).limit(limit).execute()).map(toProduct);
    },
    find: async (name, version) => {
      const row = await rows().where("name", "=", name).where("version", "=", version).executeTakeFirst();
      return row === undefined ? undefined : toProduct(row);
    },
    put: async (...products) => {
      await db.transaction().execute(async (trx) => {
        for (const { name, version, data } of products) {
          const row = { name, version, data: JSON.stringify(data) };
          await trx
            .insertInto("product")
            .values(row)
            .onConflict((conflict) => conflict.columns(["name", "version"]).doUpdateSet(row))
            .execute();
        }
      });
    },
    remove: async (name, version) => {
      const removal = db.deleteFrom("product").where("name", "=", name).where("version", "=", version);
      return (await removal.executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}

function toProduct({ name, version, data }: Tables["product"]): Product {
  return { name, version, data: JSON.parse(data) as ProductData };
}
