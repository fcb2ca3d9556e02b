import { prepareRead, sql, type Database, type Kysely } from "./db.ts";

/**
 * In a migration: from now on every change of these tables raises the revision of that name. Triggers do it, so it
 * counts whoever writes, in whatever process.
 * @param tables the columns that count, by table; all where none are named
 */
export async function countChanges(
  // oxlint-disable-next-line typescript/no-explicit-any -- as migrations get it
  db: Kysely<any>,
  name: string,
  tables: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  await sql`create table if not exists revision (name text primary key, value integer not null)`.execute(db);
  await sql`insert into revision (name, value) values (${name}, 0)`.execute(db);
  for (const [table, columns] of Object.entries(tables)) {
    const of = columns.length === 0 ? sql`` : sql` of ${sql.join(columns.map((column) => sql.ref(column)))}`;
    for (const [verb, change] of [
      ["insert", sql`insert`],
      ["update", sql`update${of}`],
      ["delete", sql`delete`],
    ] as const) {
      await sql`
        create trigger ${sql.ref(`${table}_${verb}_revision`)} after ${change} on ${sql.ref(table)}
        begin update revision set value = value + 1 where name = ${sql.lit(name)}; end`.execute(db);
    }
  }
}

/**
 * In a migration, for a table that is counted already under that name: from now on its updates count only where one of
 * these columns gets another value.
 */
export async function countOnly(
  // oxlint-disable-next-line typescript/no-explicit-any -- as migrations get it
  db: Kysely<any>,
  name: string,
  table: string,
  columns: readonly string[],
): Promise<void> {
  const trigger = sql.ref(`${table}_update_revision`);
  const refs = columns.map((column) => sql.ref(column));
  const differs = refs.map((column) => sql`old.${column} is not new.${column}`);
  await sql`drop trigger ${trigger}`.execute(db);
  await sql`
    create trigger ${trigger} after update of ${sql.join(refs)} on ${sql.ref(table)}
    when ${sql.join(differs, sql` or `)}
    begin update revision set value = value + 1 where name = ${sql.lit(name)}; end`.execute(db);
}

/** A number that grows with every change that is counted under any name; equal numbers, equal contents. */
export function openRevision(db: Database): () => number {
  const read = prepareRead<{ readonly value: number }>(db, "select sum(value) as value from revision");
  return () => read()[0]?.value ?? 0;
}
