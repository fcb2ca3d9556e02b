/** BOS's options: for every session that is made after they were set. */
import type { Database, Kysely } from "../lib/db.ts";
import type { Tables } from "./tables.ts";
import type { SessionOptions } from "./types.ts";

/**
 * BOS tries three times. We try once: a node that does not come up with an image seldom does at the second try. The rest
 * is as in BOS. docs/bos.md says which of them have an effect here.
 */
const defaults = {
  bss_read_timeout: 20,
  cfs_read_timeout: 20,
  cleanup_completed_session_ttl: "7d",
  clear_stage: false,
  component_actual_state_ttl: "4h",
  default_retry_policy: 1,
  discovery_frequency: 300,
  hsm_read_timeout: 20,
  ims_errors_fatal: false,
  ims_images_must_exist: false,
  ims_read_timeout: 20,
  logging_level: "INFO",
  max_boot_wait_time: 1200,
  max_component_batch_size: 2800,
  max_power_off_wait_time: 300,
  max_power_on_wait_time: 120,
  pcs_read_timeout: 20,
  polling_frequency: 15,
  reject_nids: false,
  session_limit_required: false,
};

export type BootOptions = typeof defaults;

export interface BootOptionStore {
  /** Also what nobody knows, as it was set. */
  get(): Promise<BootOptions>;
  set(change: Partial<BootOptions>): Promise<BootOptions>;
}

export function openBootOptions(database: Database): BootOptionStore {
  const db = database.withTables<Tables>();
  return {
    get: () => readOptions(db),
    set: async (change) =>
      db.transaction().execute(async (trx) => {
        for (const [name, given] of Object.entries(change)) {
          const value = JSON.stringify(given);
          await trx
            .insertInto("boot_option")
            .values({ name, value })
            .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
            .execute();
        }
        return readOptions(trx);
      }),
  };
}

export async function readOptions(db: Kysely<Tables>): Promise<BootOptions> {
  const rows = await db.selectFrom("boot_option").selectAll().execute();
  return { ...defaults, ...Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(value) as unknown])) };
}

/** Those that a session takes along. */
export function sessionOptionsOf(options: BootOptions): SessionOptions {
  const { max_boot_wait_time, max_power_on_wait_time, max_power_off_wait_time, default_retry_policy } = options;
  return { max_boot_wait_time, max_power_on_wait_time, max_power_off_wait_time, default_retry_policy };
}

const minutesOf: Readonly<Record<string, number>> = { m: 1, h: 60, d: 1440, w: 10_080 };

/** Milliseconds of an age such as `90m`, `6h`, `3d` or `2w`; 0 for `0` in any unit. */
export function ageInMs(age: string): number {
  const [, count = "0", unit = "m"] = /^(\d+)([mhdw]?)$/i.exec(age) ?? [];
  return Number(count) * (minutesOf[unit.toLowerCase()] ?? 1) * 60_000;
}
