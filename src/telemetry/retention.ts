import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import type { Tables as BootTables } from "./boot-tables.ts";
import { bootsOf, fileBoots } from "./boots-of-node.ts";
import { hasComeUp, isOfNode } from "./boots.ts";
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
/** Events and nodes that are looked at before others get their turn, as nodes boot meanwhile: as long as a batch. */
const eventsAtOnce = 5000;
const nodesAtOnce = 20;
const pauseMs = 5;

const countAll = sql<number>`count(*)`.as("count");

/** Ends old events; returns how many. */
export async function endEvents(database: Database, { before, carryOut, signal }: Ending): Promise<number> {
  const db = database.withTables<EventTables>();
  const ids = db.selectFrom("event").select("id").limit(1);
  const first = await ids.orderBy("id").executeTakeFirst();
  const last = await ids.orderBy("id", "desc").executeTakeFirst();
  let ended = 0;
  // To the end: times do not grow with the ids when the clock was set back.
  for (let from = first?.id ?? 1; from <= (last?.id ?? 0); from += eventsAtOnce) {
    const old = db
      .selectFrom("event")
      .where("id", ">=", from)
      .where("id", "<", from + eventsAtOnce)
      .where("time", "<", timestamp(before));
    ended += carryOut
      ? await inBatches(signal, () => db.deleteFrom("event").where("id", "in", old.select("id").limit(batch)))
      : (await old.select(countAll).executeTakeFirstOrThrow()).count;
    await clock.sleep(pauseMs, signal);
  }
  return ended;
}

export interface BootEnding extends Ending {
  readonly keepLast: number;
  /** By xname: the boot in which a node was seen to run what it should. */
  readonly kept: ReadonlyMap<string, string>;
}

/**
 * Ends old boots with their phases; returns how many. Of each node the last `keepLast` stay, however old, and those that
 * it may run: the current one, which anybody's fetch of a kernel can make another, the last that came up, and `kept`.
 */
export async function endBoots(database: Database, ending: BootEnding): Promise<number> {
  const db = database.withTables<BootTables>();
  await fileBoots(database);
  let ended = 0;
  let looked = 0;
  for (let xname = await nodeAfter(db, ""); xname !== undefined; xname = await nodeAfter(db, xname)) {
    ended += await endBootsOf(db, xname, ending);
    looked += 1;
    if (looked % nodesAtOnce === 0) await clock.sleep(pauseMs, ending.signal);
  }
  return ended;
}

async function nodeAfter(db: Kysely<BootTables>, xname: string): Promise<string | undefined> {
  const next = db.selectFrom("boot_of_node").select("xname").where("xname", ">", xname).orderBy("xname").limit(1);
  return (await next.executeTakeFirst())?.xname;
}

async function endBootsOf(
  db: Kysely<BootTables>,
  xname: string,
  { before, carryOut, signal, keepLast, kept }: BootEnding,
): Promise<number> {
  signal?.throwIfAborted();
  const newest = db
    .selectFrom("boot")
    .select("number")
    .where("number", "in", bootsOf(xname))
    .orderBy(sql.ref("number"), "desc");
  const last = await newest
    .limit(1)
    .offset(keepLast - 1)
    .executeTakeFirst();
  if (last === undefined) return 0;
  const current = await newest.where(isOfNode()).limit(1).executeTakeFirst();
  const up = await newest.where(hasComeUp()).limit(1).executeTakeFirst();
  const old = db
    .selectFrom("boot")
    .where("number", "in", bootsOf(xname))
    .where("number", "<", last.number)
    .where("number", "not in", [current?.number ?? 0, up?.number ?? 0])
    .where("id", "<>", kept.get(xname) ?? "")
    .where("started", "<", before.toISOString());
  if (!carryOut) return (await old.select(countAll).executeTakeFirstOrThrow()).count;
  return inBatches(signal, () => db.deleteFrom("boot").where("number", "in", old.select("number").limit(batch)));
}

/** Repeats a deletion of `batch` rows until there are no more; returns how many there were. */
async function inBatches(
  signal: AbortSignal | undefined,
  deletion: () => { executeTakeFirst(): Promise<{ readonly numDeletedRows: bigint }> },
): Promise<number> {
  for (let ended = 0; ;) {
    signal?.throwIfAborted();
    const { numDeletedRows } = await deletion().executeTakeFirst();
    ended += Number(numDeletedRows);
    if (numDeletedRows < batch) return ended;
    await clock.sleep(pauseMs, signal);
  }
}
