import { sql, type Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Tables } from "./tables.ts";

/** What a node gets that is not there yet. */
export interface NodeMap {
  readonly xname: string;
  readonly nid: number;
  readonly role: string | undefined;
  readonly subRole: string | undefined;
}

/** What feeds a component with power. */
export interface PowerMap {
  readonly xname: string;
  readonly poweredBy: readonly string[];
}

/** Records by xname, sorted by it. */
export interface MapStore<Entry extends { readonly xname: string }> {
  list(): Promise<Entry[]>;
  get(xname: string): Promise<Entry | undefined>;
  /** Adds or replaces. Throws `conflict` when another has its nid; then nothing is changed. */
  put(entries: readonly Entry[]): Promise<void>;
  /** False when there is none. */
  remove(xname: string): Promise<boolean>;
  removeAll(): Promise<number>;
}

export function openNodeMapStore(database: Database): MapStore<NodeMap> {
  const db = database.withTables<Tables>();
  const select = () => db.selectFrom("inventory_node_map").selectAll().orderBy(sql.ref("xname"));
  const toMap = ({ xname, nid, role, sub_role }: Tables["inventory_node_map"]): NodeMap => ({
    ...{ xname, nid, role: role ?? undefined, subRole: sub_role ?? undefined },
  });
  return {
    list: async () => (await select().execute()).map(toMap),
    get: async (xname) => {
      const row = await select().where("xname", "=", xname).executeTakeFirst();
      return row && toMap(row);
    },
    put: async (entries) => {
      await db.transaction().execute(async (trx) => {
        for (const { xname, nid, role, subRole } of entries) {
          const owner = trx.selectFrom("inventory_node_map").select("xname").where("nid", "=", nid);
          const other = await owner.where("xname", "!=", xname).executeTakeFirst();
          if (other !== undefined) throw new NetkilnError("conflict", `nid ${nid} is for ${other.xname}`);
          const said = { nid, role: role ?? null, sub_role: subRole ?? null };
          await trx
            .insertInto("inventory_node_map")
            .values({ xname, ...said })
            .onConflict((conflict) => conflict.column("xname").doUpdateSet(said))
            .execute();
        }
      });
    },
    remove: async (xname) =>
      (await db.deleteFrom("inventory_node_map").where("xname", "=", xname).executeTakeFirst()).numDeletedRows > 0n,
    removeAll: async () => Number((await db.deleteFrom("inventory_node_map").executeTakeFirst()).numDeletedRows),
  };
}

export function openPowerMapStore(database: Database): MapStore<PowerMap> {
  const db = database.withTables<Tables>();
  const select = () => db.selectFrom("inventory_power_map").selectAll().orderBy(sql.ref("xname"));
  const toMap = ({ xname, powered_by }: Tables["inventory_power_map"]): PowerMap => ({
    ...{ xname, poweredBy: JSON.parse(powered_by) as string[] },
  });
  return {
    list: async () => (await select().execute()).map(toMap),
    get: async (xname) => {
      const row = await select().where("xname", "=", xname).executeTakeFirst();
      return row && toMap(row);
    },
    put: async (entries) => {
      await db.transaction().execute(async (trx) => {
        for (const { xname, poweredBy } of entries) {
          const said = { powered_by: JSON.stringify(poweredBy) };
          await trx
            .insertInto("inventory_power_map")
            .values({ xname, ...said })
            .onConflict((conflict) => conflict.column("xname").doUpdateSet(said))
            .execute();
        }
      });
    },
    remove: async (xname) =>
      (await db.deleteFrom("inventory_power_map").where("xname", "=", xname).executeTakeFirst()).numDeletedRows > 0n,
    removeAll: async () => Number((await db.deleteFrom("inventory_power_map").executeTakeFirst()).numDeletedRows),
  };
}
