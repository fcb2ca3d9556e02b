import { clock, timestamp } from "../../lib/clock.ts";
import { sql, type Database, type Migration } from "../../lib/db.ts";

/** A public key that lets its owner into the shells of jobs. */
export interface SshKey {
  /** UUID. */
  readonly id: string;
  readonly name: string;
  readonly created: string;
  /** As authorized_keys has it (sshd(8)); what it says is looked at where it is used. */
  readonly publicKey: string;
  readonly deleted: string | undefined;
}

type Tables = {
  ssh_key: { id: string; name: string; created: string; public_key: string; deleted: string | null };
};

export const sshKeyMigrations: Record<string, Migration> = {
  "0432-ssh-key": {
    up: async (db) => {
      await db.schema
        .createTable("ssh_key")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("public_key", "text", (column) => column.notNull())
        .addColumn("deleted", "text")
        .execute();
    },
  },
};

export interface SshKeyStore {
  add(key: Pick<SshKey, "name" | "publicKey">): Promise<SshKey>;
  /** In the order in which they were added. */
  list(which: "live" | "deleted"): Promise<SshKey[]>;
  /** By its whole id. */
  find(id: string, which: "live" | "deleted"): Promise<SshKey | undefined>;
  /** Takes it out of use and keeps it; false when there is none with this id. */
  delete(id: string): Promise<boolean>;
  undelete(id: string): Promise<boolean>;
  /** Ends a deleted one for good. */
  destroy(id: string): Promise<boolean>;
}

export function openSshKeys(database: Database): SshKeyStore {
  const db = database.withTables<Tables>();
  const keys = (which: "live" | "deleted") =>
    db
      .selectFrom("ssh_key")
      .selectAll()
      .where("deleted", which === "live" ? "is" : "is not", null);
  return {
    add: async ({ name, publicKey }) => {
      const row = { id: clock.uuid(), name, created: timestamp(), public_key: publicKey, deleted: null };
      await db.insertInto("ssh_key").values(row).execute();
      return toKey(row);
    },
    list: async (which) =>
      (
        await keys(which)
          .orderBy("created")
          .orderBy(sql`rowid`)
          .execute()
      ).map(toKey),
    find: async (id, which) => {
      const row = await keys(which).where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : toKey(row);
    },
    delete: async (id) => {
      const update = db.updateTable("ssh_key").set({ deleted: timestamp() }).where("id", "=", id);
      return (await update.where("deleted", "is", null).executeTakeFirst()).numUpdatedRows > 0n;
    },
    undelete: async (id) => {
      const update = db.updateTable("ssh_key").set({ deleted: null }).where("id", "=", id);
      return (await update.where("deleted", "is not", null).executeTakeFirst()).numUpdatedRows > 0n;
    },
    destroy: async (id) => {
      const removal = db.deleteFrom("ssh_key").where("id", "=", id).where("deleted", "is not", null);
      return (await removal.executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}

function toKey({ public_key: publicKey, deleted, ...row }: Tables["ssh_key"]): SshKey {
  return { ...row, publicKey, deleted: deleted ?? undefined };
}
