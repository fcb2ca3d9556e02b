import { clock } from "../lib/clock.ts";
import { sql, type Database, type Generated, type Kysely, type Migration } from "../lib/db.ts";
import type { EventStore } from "./store.ts";

/** In the order in which they happen; `failed` ends a boot that does not become ready. */
export const bootPhases = ["power", "script", "kernel", "initrd", "root", "userspace", "ready", "failed"] as const;
export type BootPhase = (typeof bootPhases)[number];

export interface PhaseRecord {
  readonly phase: BootPhase;
  /** UTC with milliseconds, by the server's clock: a diskless node's own is often wrong at that time. */
  readonly time: string;
  /** Who noticed: the server by what it did or served, or the node by its report. */
  readonly source: "server" | "node";
  readonly detail: Readonly<Record<string, unknown>>;
}

/** One attempt of one node to come up, from power or script to `ready` or `failed`. */
export interface Boot {
  /** Nobody can guess it: whoever knows it may report for this boot. */
  readonly id: string;
  readonly xname: string;
  readonly imageId: string | undefined;
  /** The build id of that image, which the node must report. */
  readonly expectedBuildId: string | undefined;
  /** UTC with milliseconds. */
  readonly started: string;
  readonly phases: readonly PhaseRecord[];
}

/** What a node is given to boot; both absent when its boot parameters name no image of ours. */
export interface BootTarget {
  readonly imageId: string | undefined;
  readonly expectedBuildId: string | undefined;
}

type Tables = {
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

export interface BootRecords {
  /** Begins a boot: power is about to be switched on. */
  begin(xname: string, target: BootTarget): Promise<Boot>;
  /**
   * The boot to which a script belongs that is fetched now, with `target` written into it: the running one when this is
   * a retry or when the power was switched on and no script was fetched since; else a new one.
   */
  forScript(xname: string, query: { retry: number; target: BootTarget }): Promise<Boot>;
  /** Keeps the first of each phase; false when it was there already. */
  record(id: string, phase: BootPhase, source: PhaseRecord["source"], detail?: PhaseRecord["detail"]): Promise<boolean>;
  get(id: string): Promise<Boot | undefined>;
  /** The node's newest boot. */
  latest(xname: string): Promise<Boot | undefined>;
  /** Newest first; `after` is the id of the last boot of the page before. */
  list(query: { xname?: string | undefined; after?: string | undefined; limit: number }): Promise<Boot[]>;
}

export function openBootRecords(database: Database, events: EventStore): BootRecords {
  const db = database.withTables<Tables>();

  const insert = async (trx: Kysely<Tables>, xname: string, target: BootTarget): Promise<Boot> => {
    const boot = { id: clock.randomHex(16), xname, ...target, started: clock.now().toISOString() };
    await trx
      .insertInto("boot")
      .values({
        id: boot.id,
        xname,
        image_id: target.imageId ?? null,
        expected_build_id: target.expectedBuildId ?? null,
        started: boot.started,
      })
      .execute();
    return { ...boot, phases: [] };
  };

  const newestOf = async (trx: Kysely<Tables>, xname: string): Promise<Boot | undefined> => {
    const newest = trx.selectFrom("boot").selectAll().where("xname", "=", xname);
    return (await withPhases(trx, await newest.orderBy(sql.ref("number"), "desc").limit(1).execute()))[0];
  };

  return {
    begin: (xname, target) => insert(db, xname, target),
    forScript: (xname, { retry, target }) =>
      db.transaction().execute(async (trx) => {
        const newest = await newestOf(trx, xname);
        const seen = new Set(newest?.phases.map(({ phase }) => phase));
        const over = seen.has("ready") || seen.has("failed");
        if (newest === undefined || over || (retry === 0 && seen.has("script"))) return insert(trx, xname, target);
        await trx
          .updateTable("boot")
          .set({ image_id: target.imageId ?? null, expected_build_id: target.expectedBuildId ?? null })
          .where("id", "=", newest.id)
          .execute();
        return { ...newest, ...target };
      }),
    record: async (id, phase, source, detail = {}) => {
      const boot = await db.selectFrom("boot").select("xname").where("id", "=", id).executeTakeFirst();
      if (boot === undefined) return false;
      const time = clock.now().toISOString();
      const result = await db
        .insertInto("boot_phase")
        .values({ boot: id, phase, time, source, detail: JSON.stringify(detail) })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if ((result.numInsertedOrUpdatedRows ?? 0n) === 0n) return false;
      await events.record(`node:${boot.xname}`, `boot.${phase}`, { ...detail, boot: id, time, source });
      return true;
    },
    get: async (id) =>
      (await withPhases(db, await db.selectFrom("boot").selectAll().where("id", "=", id).execute()))[0],
    latest: (xname) => newestOf(db, xname),
    list: async ({ xname, after, limit }) => {
      let query = db.selectFrom("boot").selectAll().orderBy(sql.ref("number"), "desc").limit(limit);
      if (xname !== undefined) query = query.where("xname", "=", xname);
      if (after !== undefined) {
        query = query.where("number", "<", db.selectFrom("boot").select("number").where("id", "=", after));
      }
      return withPhases(db, await query.execute());
    },
  };
}

/** The moment a phase was reached, or undefined. */
export function phaseOf(boot: Boot, phase: BootPhase): PhaseRecord | undefined {
  return boot.phases.find((record) => record.phase === phase);
}

type BootRow = Omit<Tables["boot"], "number"> & { number: number };

async function withPhases(db: Kysely<Tables>, boots: BootRow[]): Promise<Boot[]> {
  if (boots.length === 0) return [];
  const ids = boots.map(({ id }) => id);
  const rows = await db
    .selectFrom("boot_phase")
    .selectAll()
    .where("boot", "in", ids)
    .orderBy(sql.ref("time"))
    .orderBy(sql.ref("rowid"))
    .execute();
  const phasesOf = Map.groupBy(rows, ({ boot }) => boot);
  return boots.map((boot) => ({
    id: boot.id,
    xname: boot.xname,
    imageId: boot.image_id ?? undefined,
    expectedBuildId: boot.expected_build_id ?? undefined,
    started: boot.started,
    phases: (phasesOf.get(boot.id) ?? []).map(({ phase, time, source, detail }) => ({
      phase,
      time,
      source,
      detail: JSON.parse(detail) as Record<string, unknown>,
    })),
  }));
}
