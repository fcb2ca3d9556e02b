import type { Database, Migration } from "../lib/db.ts";
import type { PowerDriver, PowerState } from "./types.ts";

type Tables = { power_simulated: { xname: string; state: PowerState } };

export const migrations: Record<string, Migration> = {
  "0050-power-simulated": {
    up: async (db) => {
      await db.schema
        .createTable("power_simulated")
        .addColumn("xname", "text", (column) => column.primaryKey())
        .addColumn("state", "text", (column) => column.notNull())
        .execute();
    },
  },
};

/** Power that is only written down: for tests, and for trying sessions without machines. */
export function simulatedPower(database: Database): PowerDriver {
  const db = database.withTables<Tables>();
  const set = async (xname: string, state: PowerState) => {
    await db
      .insertInto("power_simulated")
      .values({ xname, state })
      .onConflict((conflict) => conflict.column("xname").doUpdateSet({ state }))
      .execute();
  };
  return {
    status: async ({ xname }) => {
      const row = await db.selectFrom("power_simulated").select("state").where("xname", "=", xname).executeTakeFirst();
      return row?.state ?? "off";
    },
    on: ({ xname }) => set(xname, "on"),
    off: ({ xname }) => set(xname, "off"),
  };
}
