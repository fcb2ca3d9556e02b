import { timestamp } from "../lib/clock.ts";
import { sql, watchChanges, type ChangeWatch, type Database, type Generated, type Migration } from "../lib/db.ts";

export type EventTables = {
  event: { id: Generated<number>; time: string; subject: string; kind: string; data: string };
};

export const migrations: Record<string, Migration> = {
  "0010-event": {
    up: async (db) => {
      await db.schema
        .createTable("event")
        .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("time", "text", (column) => column.notNull())
        .addColumn("subject", "text", (column) => column.notNull())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("event_subject").on("event").columns(["subject", "id"]).execute();
    },
  },
};

/** Something that happened. `subject` is `build:ID`, `run:ID`, `session:NAME` or `node:XNAME`; `id` only ever grows. */
export interface Event {
  readonly id: number;
  readonly time: string;
  readonly subject: string;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventStore {
  record(subject: string, kind: string, data?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Events after `after`, oldest first; of one subject, of several, or of all. */
  list(query: { subject?: string | readonly string[] | undefined; after?: number; limit: number }): Promise<Event[]>;
  /** Of all that is in the database. */
  changes(): ChangeWatch;
}

export function openEventStore(database: Database): EventStore {
  const db = database.withTables<EventTables>();
  return {
    changes: () => watchChanges(database),
    record: async (subject, kind, data = {}) => {
      await db
        .insertInto("event")
        .values({ time: timestamp(), subject, kind, data: JSON.stringify(data) })
        .execute();
    },
    list: async ({ subject, after = 0, limit }) => {
      const rows = await db
        .selectFrom("event")
        .selectAll()
        .where("id", ">", after)
        .$if(subject !== undefined, (query) => query.where("subject", "in", [subject ?? []].flat()))
        .orderBy(sql.ref("id"))
        .limit(limit)
        .execute();
      return rows.map((row) => ({ ...row, data: JSON.parse(row.data) as Record<string, unknown> }));
    },
  };
}
