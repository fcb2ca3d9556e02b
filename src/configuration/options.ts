import type { Database, Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { judgeAllComponents } from "./judge.ts";
import type { Tables } from "./migrations.ts";

/** Seconds where a number is a time. */
export interface ConfigurationOptions {
  readonly hardwareSyncInterval: number;
  readonly batcherCheckInterval: number;
  readonly batchSize: number;
  readonly batchWindow: number;
  readonly defaultBatcherRetryPolicy: number;
  readonly defaultPlaybook: string;
  readonly defaultAnsibleConfig: string;
  /** As `7d`; empty for never. */
  readonly sessionTtl: string;
  readonly additionalInventoryUrl: string;
  readonly additionalInventorySource: string;
  readonly batcherMaxBackoff: number;
  readonly batcherDisable: boolean;
  readonly batcherPendingTimeout: number;
  readonly loggingLevel: string;
  readonly defaultPageSize: number;
  readonly debugWaitTime: number;
  readonly includeAraLinks: boolean;
}

/** What CFS is installed with. */
export const defaultOptions: ConfigurationOptions = {
  hardwareSyncInterval: 10,
  batcherCheckInterval: 10,
  batchSize: 25,
  batchWindow: 60,
  defaultBatcherRetryPolicy: 3,
  defaultPlaybook: "site.yml",
  defaultAnsibleConfig: "cfs-default-ansible-cfg",
  sessionTtl: "7d",
  additionalInventoryUrl: "",
  additionalInventorySource: "",
  batcherMaxBackoff: 3600,
  batcherDisable: false,
  batcherPendingTimeout: 300,
  loggingLevel: "INFO",
  defaultPageSize: 1000,
  debugWaitTime: 3600,
  includeAraLinks: false,
};

export interface ConfigurationOptionStore {
  get(): Promise<ConfigurationOptions>;
  /** Throws `invalid_input` when the options would contradict each other. */
  set(change: Partial<ConfigurationOptions>): Promise<ConfigurationOptions>;
}

export function openConfigurationOptions(database: Database): ConfigurationOptionStore {
  const db = database.withTables<Tables>();
  return {
    get: () => readOptions(db),
    set: async (change) =>
      db.transaction().execute(async (trx) => {
        const before = await readOptions(trx);
        const after = { ...before, ...change };
        if (after.additionalInventoryUrl !== "" && after.additionalInventorySource !== "") {
          throw new NetkilnError(
            "invalid_input",
            "Only one of additional_inventory_url and additional_inventory_source can be set",
          );
        }
        for (const [name, given] of Object.entries(change)) {
          const value = JSON.stringify(given);
          await trx
            .insertInto("configuration_option")
            .values({ name, value })
            .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
            .execute();
        }
        if (after.defaultBatcherRetryPolicy !== before.defaultBatcherRetryPolicy) {
          await judgeAllComponents(trx, after.defaultBatcherRetryPolicy);
        }
        return after;
      }),
  };
}

async function readOptions(db: Kysely<Tables>): Promise<ConfigurationOptions> {
  const rows = await db.selectFrom("configuration_option").selectAll().execute();
  return {
    ...defaultOptions,
    ...Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(value) as unknown])),
  };
}

export async function defaultRetryPolicy(db: Kysely<Tables>): Promise<number> {
  return (await readOptions(db)).defaultBatcherRetryPolicy;
}
