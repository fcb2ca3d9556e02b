import { timestamp } from "../lib/clock.ts";
import type { Database, Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";

/** Somebody who sees and changes only what is his own, in the services that can tell. */
export interface Tenant {
  readonly name: string;
  readonly description: string;
  readonly created: string;
}

export interface TenantStore {
  /** Throws `conflict` when there is one of the name. */
  create(name: string, description: string): Promise<Tenant>;
  list(page: { limit: number; after?: string | undefined }): Promise<Tenant[]>;
  has(name: string): Promise<boolean>;
  remove(name: string): Promise<boolean>;
}

type Tables = { tenant: Tenant };

export const tenantMigrations: Record<string, Migration> = {
  "0551-tenants": {
    up: async (db) => {
      await db.schema
        .createTable("tenant")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("description", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .execute();
    },
  },
};

export function openTenants(database: Database): TenantStore {
  const db = database.withTables<Tables>();
  return {
    create: async (name, description) => {
      const tenant = { name, description, created: timestamp() };
      const { numInsertedOrUpdatedRows: count } = await db
        .insertInto("tenant")
        .values(tenant)
        .onConflict((conflict) => conflict.column("name").doNothing())
        .executeTakeFirst();
      if (count === 1n) return tenant;
      throw new NetkilnError("conflict", `there is already a tenant "${name}"`);
    },
    list: async ({ limit, after = "" }) =>
      db.selectFrom("tenant").selectAll().where("name", ">", after).orderBy("name").limit(limit).execute(),
    has: async (name) =>
      (await db.selectFrom("tenant").select("name").where("name", "=", name).executeTakeFirst()) !== undefined,
    remove: async (name) => {
      const result = await db.deleteFrom("tenant").where("name", "=", name).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
  };
}
