import { clock } from "../lib/clock.ts";
import { sql, type Database } from "../lib/db.ts";
import { log } from "../lib/log.ts";
import type { Tables } from "./tables.ts";

export const accessEndpoints = ["bootscript", "user-data"] as const;
export type AccessEndpoint = (typeof accessEndpoints)[number];

export interface Access {
  readonly name: string;
  readonly endpoint: string;
  /** Seconds since 1970. */
  readonly lastEpoch: number;
}

/** When something was last asked for by or about a node. */
export interface AccessLog {
  /** Costs nothing: it is written together with others, up to a second later. */
  note(name: string, endpoint: AccessEndpoint): void;
  /** Sorted by name and endpoint; `after` is the last of the page before. */
  list(
    filter: { readonly name?: string | undefined; readonly endpoint?: AccessEndpoint | undefined },
    page: { readonly after?: Access | undefined; readonly limit: number },
  ): Promise<Access[]>;
  /** Ends those that are older, or only counts them; returns how many. */
  end(before: Date, options: { readonly carryOut: boolean }): Promise<number>;
  /** Writes what was noted. */
  flush(): Promise<void>;
}

const delayMs = 1000;

export function openAccessLog(database: Database): AccessLog {
  const db = database.withTables<Tables>();
  // By name, so that thousands of notes make nothing new that the collector of garbage has to look at.
  const noted = new Map(accessEndpoints.map((endpoint) => [endpoint, new Map<string, number>()]));
  let flushing = false;

  const write = (endpoint: AccessEndpoint, rows: string) =>
    // In their order, as nodes ask in none, and each would look for its place anew.
    sql`
      insert into boot_access (name, endpoint, last_epoch)
      select key, ${endpoint}, value from json_each(${rows}) where true order by key
      on conflict do update set last_epoch = max(last_epoch, excluded.last_epoch)`.execute(db);
  /** After a failed write; what was noted since is later. */
  const restore = (endpoint: AccessEndpoint, rows: string) => {
    const [later, earlier] = [noted.get(endpoint), JSON.parse(rows) as Record<string, number>];
    for (const [name, at] of Object.entries(earlier)) if (later?.has(name) === false) later.set(name, at);
    flushLater();
  };
  const flush = async () => {
    flushing = false;
    for (const [endpoint, epochs] of noted) {
      if (epochs.size === 0) continue;
      const rows = JSON.stringify(Object.fromEntries(epochs));
      epochs.clear();
      try {
        await write(endpoint, rows);
      } catch (error) {
        restore(endpoint, rows);
        throw error;
      }
    }
  };
  const flushLater = () => {
    if (flushing) return;
    flushing = true;
    const flushNow = () => void flush().catch((error: unknown) => log.error({ error }, "accesses were not recorded"));
    setTimeout(flushNow, delayMs).unref();
  };

  return {
    note: (name, endpoint) => {
      flushLater();
      noted.get(endpoint)?.set(name, Math.floor(clock.now().getTime() / 1000));
    },
    list: async ({ name, endpoint }, { after, limit }) => {
      await flush();
      let query = db.selectFrom("boot_access").selectAll().orderBy("name").orderBy("endpoint").limit(limit);
      if (name !== undefined) query = query.where("name", "=", name);
      if (endpoint !== undefined) query = query.where("endpoint", "=", endpoint);
      if (after !== undefined) {
        query = query.where(sql<boolean>`(name, endpoint) > (${after.name}, ${after.endpoint})`);
      }
      const rows = await query.execute();
      return rows.map((row) => ({ name: row.name, endpoint: row.endpoint, lastEpoch: row.last_epoch }));
    },
    end: async (before, { carryOut }) => {
      const cutoff = Math.floor(before.getTime() / 1000);
      if (carryOut) {
        const gone = db.deleteFrom("boot_access").where("last_epoch", "<", cutoff);
        return Number((await gone.executeTakeFirst()).numDeletedRows);
      }
      const old = db.selectFrom("boot_access").where("last_epoch", "<", cutoff);
      return (await old.select(({ fn }) => fn.countAll<number>().as("count")).executeTakeFirstOrThrow()).count;
    },
    flush,
  };
}
