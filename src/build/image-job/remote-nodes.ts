import type { Database, Migration } from "../../lib/db.ts";

type Tables = { remote_build_node: { xname: string } };

export const remoteNodeMigrations: Record<string, Migration> = {
  "0433-remote-build-node": {
    up: async (db) => {
      await db.schema
        .createTable("remote_build_node")
        .addColumn("xname", "text", (column) => column.primaryKey())
        .execute();
    },
  },
};

/** Nodes that an operator has set aside for builds, by xname. */
export interface RemoteNodeStore {
  /** Does nothing when it is there already. */
  add(xname: string): Promise<void>;
  list(): Promise<string[]>;
  has(xname: string): Promise<boolean>;
  /** False when it was not there. */
  remove(xname: string): Promise<boolean>;
}

export function openRemoteNodes(database: Database): RemoteNodeStore {
  const db = database.withTables<Tables>();
  const nodes = () => db.selectFrom("remote_build_node").select("xname").orderBy("xname");
  return {
    add: async (xname) => {
      const row = db.insertInto("remote_build_node").values({ xname });
      await row.onConflict((conflict) => conflict.column("xname").doNothing()).execute();
    },
    list: async () => (await nodes().execute()).map(({ xname }) => xname),
    has: async (xname) => (await nodes().where("xname", "=", xname).executeTakeFirst()) !== undefined,
    remove: async (xname) => {
      const removal = await db.deleteFrom("remote_build_node").where("xname", "=", xname).executeTakeFirst();
      return removal.numDeletedRows > 0n;
    },
  };
}
