import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Migration } from "../lib/db.ts";
import { NetkilnError, type ErrorRecord } from "../lib/errors.ts";
import { emptyReport, type GcReport, type GcRun } from "./report.ts";

type Tables = {
  gc_run: {
    id: string;
    sequence: number;
    status: GcRun["status"];
    created: string;
    finished: string | null;
    phase: string;
    report: string;
    error: string | null;
  };
};

export const migrations: Record<string, Migration> = {
  "0015-gc": {
    up: async (db) => {
      await db.schema
        .createTable("gc_run")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("sequence", "integer", (column) => column.notNull().unique())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("finished", "text")
        .addColumn("phase", "text", (column) => column.notNull())
        .addColumn("report", "text", (column) => column.notNull())
        .addColumn("error", "text")
        .execute();
      await sql`create unique index gc_run_unfinished on gc_run ((1)) where status in ('pending', 'running')`.execute(
        db,
      );
    },
  },
};

/** Garbage collections, one at a time. */
export interface GcRunStore {
  /** Throws `conflict` while another one is under way. */
  create(): Promise<GcRun>;
  find(id: string): Promise<GcRun | undefined>;
  newest(): Promise<GcRun | undefined>;
  save(id: string, phase: string, report: GcReport): Promise<void>;
  finish(id: string, error?: ErrorRecord): Promise<void>;
}

export function openGcRunStore(database: Database): GcRunStore {
  const db = database.withTables<Tables>();
  const newest = () => db.selectFrom("gc_run").selectAll().orderBy("sequence", "desc");
  const first = (row: Tables["gc_run"] | undefined) => (row === undefined ? undefined : toRun(row));
  return {
    create: async () => {
      const row = {
        id: clock.uuid(),
        status: "pending" as const,
        created: timestamp(),
        phase: "waiting for a worker",
        report: JSON.stringify(emptyReport()),
      };
      const sequence = sql<number>`(select coalesce(max(sequence), 0) + 1 from gc_run)`;
      const added = await db
        .insertInto("gc_run")
        .values({ ...row, sequence })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if ((added.numInsertedOrUpdatedRows ?? 0n) > 0n)
        return toRun({ ...row, sequence: 0, finished: null, error: null });
      const other = await newest().executeTakeFirst();
      throw new NetkilnError("conflict", `a garbage collection is under way already (${other?.id}: ${other?.phase})`, {
        hint: "wait until it has ended: netkiln store status",
      });
    },
    find: async (id) => first(await newest().where("id", "=", id).executeTakeFirst()),
    newest: async () => first(await newest().executeTakeFirst()),
    save: async (id, phase, report) => {
      await db
        .updateTable("gc_run")
        .set({ status: "running", phase, report: JSON.stringify(report) })
        .where("id", "=", id)
        .execute();
    },
    finish: async (id, error) => {
      await db
        .updateTable("gc_run")
        .set({
          status: error === undefined ? "succeeded" : "failed",
          finished: timestamp(),
          phase: error === undefined ? "done" : "failed",
          error: error === undefined ? null : JSON.stringify(error),
        })
        .where("id", "=", id)
        .execute();
    },
  };
}

function toRun(row: Tables["gc_run"]): GcRun {
  return {
    id: row.id,
    status: row.status,
    created: row.created,
    ...(row.finished !== null && { finished: row.finished }),
    phase: row.phase,
    report: JSON.parse(row.report) as GcReport,
    ...(row.error !== null && { error: JSON.parse(row.error) as ErrorRecord }),
  };
}
