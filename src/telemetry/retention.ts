import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import type { Tables as BootTables } from "./boot-tables.ts";
import { isOfNode } from "./boots.ts";
import type { EventTables } from "./store.ts";

export interface Ending {
  /** What is older can go. */
  readonly before: Date;
  /** False to count only. */
  readonly carryOut: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What is deleted at once: a few milliseconds, in which nobody else can write. */
const batch = 500;
/** In between, others get their turn; nodes boot meanwhile. */
const pauseMs = 5;

/** Ends old events; returns how many. */
export async function endEvents(database: Database, { before, carryOut, signal }: Ending): Promise<number> {
  const db = database.withTables<EventTables>();
  const cutoff = timestamp(before);
  let ended = 0;
  let last = 0;
  for (;;) {
    signal?.throwIfAborted();
    const next = db.selectFrom("event").select(["id", "time"]).where("id", ">", last).orderBy("id").limit(batch);
    const rows = await next.execute();
    // Ids and times grow together, so the old ones are in front.
    const young = rows.findIndex(({ time }) => time >= cutoff);
    const old = young === -1 ? rows : rows.slice(0, young);
    last = old.at(-1)?.id ?? last;
    ended += old.length;
    if (carryOut && old.length > 0) await db.deleteFrom("event").where("id", "<=", last).execute();
    if (old.length < batch) return ended;
    await clock.sleep(pauseMs, signal);
  }
}

/**
 * Ends old boots with their phases; returns how many. Of each node the last `keepLast` stay, however old, and the one
 * that it is in.
 */
export async function endBoots(database: Database, ending: Ending & { readonly keepLast: number }): Promise<number> {
  const db = database.withTables<BootTables>();
  let ended = 0;
  let looked = 0;
  for (let xname = await nodeAfter(db, ""); xname !== undefined; xname = await nodeAfter(db, xname)) {
    ended += await endBootsOf(db, xname, ending);
    looked += 1;
    if (looked % batch === 0) await clock.sleep(pauseMs, ending.signal);
  }
  return ended;
}

async function nodeAfter(db: Kysely<BootTables>, xname: string): Promise<string | undefined> {
  const next = db.selectFrom("boot").select("xname").where("xname", ">", xname).orderBy("xname").limit(1);
  return (await next.executeTakeFirst())?.xname;
}

async function endBootsOf(
  db: Kysely<BootTables>,
  xname: string,
  { before, carryOut, signal, keepLast }: Ending & { readonly keepLast: number },
): Promise<number> {
  const newest = db.selectFrom("boot").select("number").where("xname", "=", xname).orderBy(sql.ref("number"), "desc");
  const kept = await newest
    .limit(1)
    .offset(keepLast - 1)
    .executeTakeFirst();
  if (kept === undefined) return 0;
  const current = await newest.where(isOfNode()).limit(1).executeTakeFirst();
  const old = db
    .selectFrom("boot")
    .where("xname", "=", xname)
    .where("number", "<", kept.number)
    .where("number", "<>", current?.number ?? 0)
    .where("started", "<", before.toISOString());
  if (!carryOut) {
    const { count } = await old.select(({ fn }) => fn.countAll<number>().as("count")).executeTakeFirstOrThrow();
    return count;
  }
  let ended = 0;
  for (;;) {
    signal?.throwIfAborted();
    const some = old.select("number").orderBy(sql.ref("number")).limit(batch);
    const gone = await db.deleteFrom("boot").where("number", "in", some).executeTakeFirst();
    ended += Number(gone.numDeletedRows);
    if (gone.numDeletedRows < batch) return ended;
    await clock.sleep(pauseMs, signal);
  }
}
