import { sql, type Generated, type Migration } from "../lib/db.ts";

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
    /** The phase `script`, when it was reached and in JSON what is known of it; a row of `boot_phase` costs as much again. */
    script_time: string | null;
    script_detail: string | null;
  };
  /** All other phases. */
  boot_phase: { boot: string; phase: BootPhase; time: string; source: "server" | "node"; detail: string };
  /** Which boots a node has: those that are filed, and all of them (boots-of-node.ts). */
  boot_of_node: { xname: string; number: number };
  node_boot: { xname: string; number: number };
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
  "0610-boot-script": {
    up: async (db) => {
      await sql`alter table boot add column script_time text`.execute(db);
      await sql`alter table boot add column script_detail text`.execute(db);
      await sql`update boot set script_time = time, script_detail = detail from boot_phase
        where boot_phase.boot = boot.id and phase = 'script'`.execute(db);
      await sql`delete from boot_phase where phase = 'script'`.execute(db);
      await sql`create index boot_unscripted on boot (xname) where script_time is null`.execute(db);
    },
  },
  "0611-boots-of-node": {
    up: async (db) => {
      await sql`drop index boot_xname`.execute(db);
      await sql`create table boot_of_node (xname text not null, number integer not null, primary key (xname, number))
        without rowid`.execute(db);
      await sql`insert into boot_of_node select xname, number from boot order by xname, number`.execute(db);
      await sql`create table boot_filed (upto integer not null)`.execute(db);
      await sql`insert into boot_filed select coalesce(max(number), 0) from boot`.execute(db);
      await sql`create view node_boot as select xname, number from boot_of_node
        union all select xname, number from boot where number > (select upto from boot_filed)`.execute(db);
      await sql`create trigger boot_ended after delete on boot
        begin delete from boot_of_node where xname = old.xname and number = old.number; end`.execute(db);
    },
  },
};
