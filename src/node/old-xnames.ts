import { sql, type Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { canonicalXname } from "./xname.ts";

/** Where nodes stood and stand. */
const tables = ["node", "inventory_component"] as const;

/**
 * Throws `refused` when there are nodes under names of version 0.1.0 that nobody can ask for any more: it kept zeros in
 * front of the numbers. To be called before the first migration, so that the version of before can still open the
 * database. What else bears these names (boots, boot parameters, templates, the folder of a virtual node that runs) is of
 * many rooms, and two names may have become one; so they are not renamed here.
 */
export async function refuseOldXnames(database: Database): Promise<void> {
  const db = database.withTables<Record<(typeof tables)[number], { xname: string }>>();
  const known = await sql<{ name: string }>`select name from sqlite_master where type = 'table'`.execute(db);
  const there = new Set(known.rows.map(({ name }) => name));
  const old: string[] = [];
  for (const table of tables) {
    if (!there.has(table)) continue;
    const rows = db
      .selectFrom(table)
      .select("xname")
      .where(sql<boolean>`xname glob '*[a-z]0[0-9]*'`);
    old.push(...(await rows.orderBy("xname").execute()).map(({ xname }) => xname));
  }
  if (old.length === 0) return;
  throw new NetkilnError("refused", "the inventory has xnames with zeros in front of their numbers", {
    problems: old.map((xname) => ({ message: `${xname}: it would be ${canonicalXname(xname)} now` })),
    hint:
      "nothing was changed: start the netkiln of before, remove each of these nodes there, add it again by its new name, " +
      "and start this one (docs/operations.md, Zeros in xnames)",
  });
}
