import { timestamp } from "../lib/clock.ts";
import { canonicalJson } from "../lib/files.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { judgeComponentsOf } from "./judge.ts";
import type { Tables } from "./migrations.ts";
import { defaultRetryPolicy } from "./options.ts";
import type { Configuration, ConfigurationContent } from "./types.ts";

export interface ConfigurationQuery {
  readonly limit: number;
  readonly after?: string | undefined;
  /** Only those that a component desires, or only those that none does. */
  readonly inUse?: boolean | undefined;
  readonly tenant?: string | undefined;
}

export interface ConfigurationStore {
  /** Sets the content of a configuration; `changed` is false when it was the same already. */
  put(name: string, content: ConfigurationContent): Promise<{ configuration: Configuration; changed: boolean }>;
  find(name: string): Promise<Configuration | undefined>;
  list(query: ConfigurationQuery): Promise<Configuration[]>;
  /** Throws `conflict` while a component desires it. */
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
      await db.transaction().execute(async (trx) => writeConfiguration(trx, configuration));
      return { configuration, changed: true };
    },
    list: async ({ limit, after = "", inUse, tenant }) => {
      const desired = sql<boolean>`exists (
        select 1 from configured_component where desired_config = configuration.name)`;
      const query = db
        .selectFrom("configuration")
        .select("data")
        .where("name", ">", after)
        .$if(inUse !== undefined, (rows) => rows.where(inUse === true ? desired : sql<boolean>`not ${desired}`))
        .$if(tenant !== undefined, (rows) => rows.where(sql<boolean>`data ->> '$.tenant' = ${tenant ?? ""}`))
        .orderBy("name")
        .limit(limit);
      return (await query.execute()).map((row) => JSON.parse(row.data) as Configuration);
    },
    delete: async (name) => {
      await db.transaction().execute(async (trx) => {
        const desiring = trx.selectFrom("configured_component").select("id").where("desired_config", "=", name);
        if ((await desiring.limit(1).executeTakeFirst()) !== undefined) {
          throw new NetkilnError(
            "conflict",
            `Configuration ${name} is referenced by the desired state of some components`,
          );
        }
        await trx.deleteFrom("configuration").where("name", "=", name).execute();
      });
    },
  };
}

/** Writes a configuration, and what follows from it: which sources are in use, and how its components stand. */
export async function writeConfiguration(db: Kysely<Tables>, configuration: Configuration): Promise<void> {
  const { name, lastUpdated, layers, additionalInventory } = configuration;
  const row = { name, last_updated: lastUpdated, data: JSON.stringify(configuration) };
  await db
    .insertInto("configuration")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
    .execute();
  await db.deleteFrom("configuration_layer_source").where("configuration", "=", name).execute();
  const repositories = [...layers, ...(additionalInventory === undefined ? [] : [additionalInventory])];
  const sources = new Set(repositories.map(({ source }) => source).filter((source) => source !== undefined));
  for (const source of sources) {
    await db.insertInto("configuration_layer_source").values({ configuration: name, source }).execute();
  }
  await judgeComponentsOf(db, configuration, await defaultRetryPolicy(db));
}
