import { timestamp } from "../lib/clock.ts";
import { canonicalJson } from "../lib/files.ts";
import type { Database, Migration } from "../lib/db.ts";

type Tables = {
  configuration: { name: string; last_updated: string; data: string };
};

export const migrations: Record<string, Migration> = {
  "0090-configuration": {
    up: async (db) => {
      await db.schema
        .createTable("configuration")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("last_updated", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
    },
  },
};

/** A git repository at an exact commit; `branch` is what the commit was resolved from. */
export interface PinnedRepository {
  readonly name?: string;
  readonly url: string;
  readonly commit: string;
  readonly branch?: string;
}

/** One playbook of a repository. */
export interface Layer extends PinnedRepository {
  readonly playbook: string;
  /** Kept for those who ask; DKMS works in our sandbox as it is. */
  readonly specialParameters?: { readonly imsRequireDkms?: boolean };
}

export interface Configuration {
  readonly name: string;
  readonly lastUpdated: string;
  /** In the order in which they are applied. */
  readonly layers: readonly Layer[];
  /** An inventory that every layer is given beside its own. */
  readonly additionalInventory?: PinnedRepository;
}

export type ConfigurationContent = Pick<Configuration, "layers" | "additionalInventory">;

export interface ConfigurationStore {
  /** Sets the content of a configuration; `changed` is false when it was the same already. */
  put(name: string, content: ConfigurationContent): Promise<{ configuration: Configuration; changed: boolean }>;
  find(name: string): Promise<Configuration | undefined>;
  list(page: { limit: number; after?: string | undefined }): Promise<Configuration[]>;
  delete(name: string): Promise<void>;
}

export function openConfigurationStore(database: Database): ConfigurationStore {
  const db = database.withTables<Tables>();
  const find = async (name: string) => {
    const row = await db.selectFrom("configuration").select("data").where("name", "=", name).executeTakeFirst();
    return row === undefined ? undefined : (JSON.parse(row.data) as Configuration);
  };
  return {
    find,
    put: async (name, content) => {
      const existing = await find(name);
      const configuration: Configuration = { name, lastUpdated: timestamp(), ...content };
      if (
        existing !== undefined &&
        canonicalJson({ ...existing, lastUpdated: "" }) === canonicalJson({ ...configuration, lastUpdated: "" })
      ) {
        return { configuration: existing, changed: false };
      }
      const row = { name, last_updated: configuration.lastUpdated, data: JSON.stringify(configuration) };
      await db
        .insertInto("configuration")
        .values(row)
        .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
        .execute();
      return { configuration, changed: true };
    },
    list: async ({ limit, after = "" }) => {
      const query = db
        .selectFrom("configuration")
        .select("data")
        .where("name", ">", after)
        .orderBy("name")
        .limit(limit);
      return (await query.execute()).map((row) => JSON.parse(row.data) as Configuration);
    },
    delete: async (name) => {
      await db.deleteFrom("configuration").where("name", "=", name).execute();
    },
  };
}
