import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Migration } from "../lib/db.ts";
import type { Plan } from "./ports.ts";
import { itemsOf, statusOf, type Run, type RunItem } from "./run.ts";

type Tables = {
  bootprep_run: {
    id: string;
    sequence: number;
    file: string;
    status: Run["status"];
    created: string;
    finished: string | null;
    plan: string;
    items: string;
  };
};

export const migrations: Record<string, Migration> = {
  "0120-bootprep": {
    up: async (db) => {
      await db.schema
        .createTable("bootprep_run")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("sequence", "integer", (column) => column.notNull().unique())
        .addColumn("file", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("finished", "text")
        .addColumn("plan", "text", (column) => column.notNull())
        .addColumn("items", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("bootprep_run_status").on("bootprep_run").column("status").execute();
    },
  },
};

export interface RunStore {
  create(file: string, plan: Plan): Promise<Run>;
  find(id: string): Promise<Run | undefined>;
  /** What a run carries out. */
  plan(id: string): Promise<Plan | undefined>;
  /** Newest first. */
  list(page: { limit: number; after?: string | undefined }): Promise<Run[]>;
  unfinished(): Promise<{ run: Run; plan: Plan }[]>;
  /** Aborted as soon as this process creates one more. */
  nextCreated(): AbortSignal;
  /** Writes how the items stand; the run is finished when they all are. */
  save(id: string, items: readonly RunItem[]): Promise<void>;
}

export function openRunStore(database: Database): RunStore {
  const db = database.withTables<Tables>();
  let created = new AbortController();
  const newest = () => db.selectFrom("bootprep_run").selectAll().orderBy("sequence", "desc");
  return {
    create: async (file, plan) => {
      const items = itemsOf(plan);
      const run: Run = { id: clock.uuid(), file, status: statusOf(items), created: timestamp(), items };
      await db
        .insertInto("bootprep_run")
        .values({
          ...run,
          sequence: sql<number>`(select coalesce(max(sequence), 0) + 1 from bootprep_run)`,
          plan: JSON.stringify(plan),
          items: JSON.stringify(items),
        })
        .execute();
      created.abort();
      created = new AbortController();
      return run;
    },
    nextCreated: () => created.signal,
    find: async (id) => {
      const row = await newest().where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : toRun(row);
    },
    plan: async (id) => {
      const row = await newest().where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : (JSON.parse(row.plan) as Plan);
    },
    list: async ({ limit, after }) => {
      const older = sql<boolean>`sequence < (select sequence from bootprep_run where id = ${after ?? ""})`;
      const rows = await newest()
        .$if(after !== undefined, (query) => query.where(older))
        .limit(limit)
        .execute();
      return rows.map(toRun);
    },
    unfinished: async () => {
      const rows = await newest().where("status", "=", "running").execute();
      return rows.map((row) => ({ run: toRun(row), plan: JSON.parse(row.plan) as Plan }));
    },
    save: async (id, items) => {
      const status = statusOf(items);
      await db
        .updateTable("bootprep_run")
        .set({ items: JSON.stringify(items), status, ...(status !== "running" && { finished: timestamp() }) })
        .where("id", "=", id)
        .execute();
    },
  };
}

function toRun(row: Tables["bootprep_run"]): Run {
  return {
    id: row.id,
    file: row.file,
    status: row.status,
    created: row.created,
    ...(row.finished !== null && { finished: row.finished }),
    items: JSON.parse(row.items) as RunItem[],
  };
}
