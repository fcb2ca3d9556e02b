import { prepareRead, sql, type Database } from "../lib/db.ts";
import { requireOneLine, requireOneWord } from "./line.ts";
import type { Tables } from "./tables.ts";
import type { BootFile, BootFileKind } from "./types.ts";

/** Kernels and initrds: those that entries name, and those about which something was said for themselves. */
export interface BootFileStore {
  /** Kernels, then initrds, each sorted by link. */
  list(): Promise<BootFile[]>;
  find(kind: BootFileKind, link: string): Promise<BootFile | undefined>;
  /** From now on these parameters go with it, whoever boots it. */
  put(file: BootFile): Promise<void>;
  /** Takes it out of all entries, which stay; false when nobody knows it. */
  remove(kind: BootFileKind, link: string): Promise<boolean>;
  /** What goes with this kernel and this initrd, as it is committed, at once. */
  paramsOf(kernel: string, initrd: string): string[];
}

export function openBootFiles(database: Database): BootFileStore {
  const db = database.withTables<Tables>();
  const paramsOf = prepareRead<{ readonly params: string }>(
    database,
    `select params from boot_file
     where (kind = 'kernel' and link = ?) or (kind = 'initrd' and link = ?) order by kind desc`,
  );
  const known = (kind: BootFileKind, link: string | undefined) => sql<BootFile>`
    select ${kind} as kind, link, max(params) as params from (
      select ${sql.ref(kind)} as link, '' as params from boot_entry
      union all select link, params from boot_file where kind = ${kind})
    where link <> '' ${link === undefined ? sql`` : sql`and link = ${link}`}
    group by link order by link`;
  const list = async (kind: BootFileKind, link?: string) =>
    (await known(kind, link).execute(db)).rows.map((row) => ({ kind, link: row.link, params: row.params }));

  return {
    list: async () => [...(await list("kernel")), ...(await list("initrd"))],
    find: async (kind, link) => (await list(kind, link))[0],
    put: async ({ kind, link, params }) => {
      requireOneWord(link, kind);
      requireOneLine(params, "params");
      await db
        .insertInto("boot_file")
        .values({ kind, link, params })
        .onConflict((conflict) => conflict.columns(["kind", "link"]).doUpdateSet({ params }))
        .execute();
    },
    remove: async (kind, link) => {
      if (link === "") return false;
      return db.transaction().execute(async (trx) => {
        const gone = trx.deleteFrom("boot_file").where("kind", "=", kind).where("link", "=", link);
        const { numDeletedRows } = await gone.executeTakeFirst();
        const named = trx
          .updateTable("boot_entry")
          .set({ [kind]: "" })
          .where(kind, "=", link);
        const { numUpdatedRows } = await named.executeTakeFirst();
        return numDeletedRows + numUpdatedRows > 0n;
      });
    },
    paramsOf: (kernel, initrd) => paramsOf(kernel, initrd).map(({ params }) => params),
  };
}
