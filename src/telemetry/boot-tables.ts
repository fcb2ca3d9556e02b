import type { Generated, Migration } from "../lib/db.ts";

/** In the order in which they happen; `failed` ends a boot that does not become ready. */
export const bootPhases = ["power", "script", "kernel", "initrd", "root", "userspace", "ready", "failed"] as const;
export type BootPhase = (typeof bootPhases)[number];

/** What a node is given to boot; both absent when its boot parameters name no image of ours. */
export interface BootTarget {
  readonly imageId: string | undefined;
  readonly expectedBuildId: string | undefined;
}

export type Tables = {
  boot: {
    /** Order of beginning. */
    number: Generated<number>;
    id: string;
    xname: string;
    image_id: string | null;
    expected_build_id: string | null;
    started: string;
  };
  boot_phase: { boot: string; phase: BootPhase; time: string; source: "server" | "node"; detail: string };
};

export const bootMigrations: Record<string, Migration> = {
  "0011-boot": {
    up: async (db) => {
      await db.schema
        .createTable("boot")
        .addColumn("number", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("id", "text", (column) => column.notNull().unique())
        .addColumn("xname", "text", (column) => column.notNull())
        .addColumn("image_id", "text")
        .addColumn("expected_build_id", "text")
        .addColumn("started", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("boot_xname").on("boot").columns(["xname", "number"]).execute();
      await db.schema
        .createTable("boot_phase")
        .addColumn("boot", "text", (column) => column.notNull().references("boot.id").onDelete("cascade"))
        .addColumn("phase", "text", (column) => column.notNull())
        .addColumn("time", "text", (column) => column.notNull())
        .addColumn("source", "text", (column) => column.notNull())
        .addColumn("detail", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("boot_phase_key", ["boot", "phase"])
        .execute();
    },
  },
};
