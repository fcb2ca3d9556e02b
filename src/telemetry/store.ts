import { timestamp } from "../lib/clock.ts";
import {
  sql,
  watchChanges,
  type ChangeWatch,
  type Database,
  type Generated,
  type Migration,
  type RawBuilder,
} from "../lib/db.ts";

export type EventTables = {
  /** `subject` and `data` are empty where `boot` is the number of the boot that says them. */
  event: { id: Generated<number>; time: string; subject: string; kind: string; data: string; boot: number | null };
  /** All of them with what they say. */
  event_told: { id: number; time: string; subject: string; kind: string; data: string };
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
  "0612-event-of-boot": {
    // That a script was fetched stands in its boot, and the event's row says only whose it is until the boot is ended.
    up: async (db) => {
      const dataOf = (boot: string) => {
        const [detail, id, time] = ["script_detail", "id", "script_time"].map((name) => sql.ref(`${boot}.${name}`));
        return sql`json_set(${detail}, '$.boot', ${id}, '$.time', ${time}, '$.source', 'server')`;
      };
      await sql`alter table event add column boot integer`.execute(db);
      await sql`drop index event_subject`.execute(db);
      await sql`create index event_subject on event (subject, id) where boot is null`.execute(db);
      await sql`create index event_boot on event (boot) where boot is not null`.execute(db);
      await sql`create view event_told as select event.id, event.time, kind,
          iif(event.boot is null, subject, 'node:' || xname) as subject,
          iif(event.boot is null, data, ${dataOf("boot")}) as data
        from event left join boot on number = event.boot`.execute(db);
      await sql`create trigger boot_ended_event before delete on boot begin
          update event set boot = null, subject = 'node:' || old.xname, data = ${dataOf("old")} where boot = old.number;
        end`.execute(db);
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
        .values({ time: timestamp(), subject, kind, data: JSON.stringify(data), boot: null })
        .execute();
    },
    list: async ({ subject, after = 0, limit }) => {
      const rows = await db
        .selectFrom("event_told")
        .selectAll()
        .where("id", ">", after)
        .$if(subject !== undefined, (query) => query.where("id", "in", idsOf([subject ?? []].flat(), after, limit)))
        .orderBy(sql.ref("id"))
        .limit(limit)
        .execute();
      return rows.map((row) => ({ ...row, data: JSON.parse(row.data) as Record<string, unknown> }));
    },
  };
}

/** Of the first events of these subjects; those of fetched scripts are found by the boots of the node. */
function idsOf(subjects: readonly string[], after: number, limit: number): RawBuilder<number> {
  const xnames = subjects.flatMap((subject) => /^node:(.*)$/.exec(subject)?.[1] ?? []);
  return sql`(
    select id from event
    where boot is null and id > ${after} and subject in (select value from json_each(${JSON.stringify(subjects)}))
    union all
    select id from event
    where id > ${after} and boot in (
      select number from node_boot where xname in (select value from json_each(${JSON.stringify(xnames)})))
    order by id limit ${limit})`;
}
