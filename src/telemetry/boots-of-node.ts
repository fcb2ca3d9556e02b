/**
 * Which boots a node has. Nodes of a storm ask in no order, so an index by node would write a page of its own for almost
 * each boot that begins, which is more than all else of it. So the table `boot_of_node` is written for many boots at a
 * time; the newest, which are not in it yet, are looked through. The view `node_boot` is both.
 */
import { log } from "../lib/log.ts";
import { sql, type Database, type RawBuilder } from "../lib/db.ts";

/** The numbers of a node's boots, for `in`. */
export function bootsOf(xname: string): RawBuilder<number> {
  return sql`(select number from node_boot where xname = ${xname})`;
}

/**
 * So many are looked through at most, as long as one process begins boots: a millisecond. They go to pages all over the
 * table, so to file twice as many at a time takes less for each.
 */
const mostUnfiled = 8000;
const delayMs = 1000;

/** Brings the table up to date, with all that is committed. */
export async function fileBoots(database: Database): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await sql`insert or ignore into boot_of_node
      select xname, number from boot where number > (select upto from boot_filed) order by xname, number`.execute(trx);
    await sql`update boot_filed set upto = newest.number
      from (select coalesce(max(number), 0) as number from boot) as newest where upto < newest.number`.execute(trx);
  });
}

/** Has boots filed by and by; it is told how many have begun. */
export function openBootFiling(database: Database): (begun: number) => Promise<void> {
  let unfiled = 0;
  const file = async () => {
    unfiled = 0;
    // Those that are left are filed with the next ones.
    await fileBoots(database).catch((error: unknown) => log.error({ error }, "boots were not filed by their nodes"));
  };
  return async (begun) => {
    if (unfiled === 0 && begun > 0) setTimeout(() => void file(), delayMs).unref();
    unfiled += begun;
    if (unfiled >= mostUnfiled) await file();
  };
}
