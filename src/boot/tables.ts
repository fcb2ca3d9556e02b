import type { Migration } from "../lib/db.ts";
import { countChanges, countOnly } from "../lib/revision.ts";
import type { BootFileKind, EntryKind } from "./types.ts";

export type Tables = {
  boot_entry: {
    kind: EntryKind;
    name: string;
    params: string;
    kernel: string;
    initrd: string;
    cloud_init: string | null;
    referral_token: string;
  };
  /** Kernels and initrds about which something was said for themselves. */
  boot_file: { kind: BootFileKind; link: string; params: string };
  /** When something was last asked for by or about a node, in seconds since 1970. */
  boot_access: { name: string; endpoint: string; last_epoch: number };
};

export const migrations: Record<string, Migration> = {
  "0040-boot-entry": {
    up: async (db) => {
      await db.schema
        .createTable("boot_entry")
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("params", "text", (column) => column.notNull())
        .addColumn("kernel", "text", (column) => column.notNull())
        .addColumn("initrd", "text", (column) => column.notNull())
        .addColumn("cloud_init", "text")
        .addColumn("referral_token", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("boot_entry_key", ["kind", "name"])
        .execute();
    },
  },
  "0501-boot-file": {
    up: async (db) => {
      await db.schema
        .createTable("boot_file")
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("link", "text", (column) => column.notNull())
        .addColumn("params", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("boot_file_key", ["kind", "link"])
        .execute();
      for (const kind of ["kernel", "initrd"]) {
        await db.schema.createIndex(`boot_entry_${kind}`).on("boot_entry").column(kind).execute();
      }
      await countChanges(db, "boot", { boot_entry: [], boot_file: [] });
    },
  },
  "0503-boot-access": {
    up: async (db) => {
      await db.schema
        .createTable("boot_access")
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("endpoint", "text", (column) => column.notNull())
        .addColumn("last_epoch", "integer", (column) => column.notNull())
        .addPrimaryKeyConstraint("boot_access_key", ["name", "endpoint"])
        .execute();
    },
  },
  "0504-boot-entry-revision": {
    // Cloud-init's data are in no script, and every node writes into them when it phones home.
    up: (db) => countOnly(db, "boot", "boot_entry", ["kind", "name", "params", "kernel", "initrd", "referral_token"]),
  },
};
