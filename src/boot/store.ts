import { clock } from "../lib/clock.ts";
import { prepareRead, sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { openNodeFinder } from "../node/index.ts";
import { mergeCloudInit } from "./cloud-init-merge.ts";
import { requireOneLine, requireOneWord } from "./line.ts";
import { namedBy, requireNames, textOf, type Named } from "./names.ts";
import type { Tables } from "./tables.ts";
import {
  unknownPrefix,
  type BootEntry,
  type BootFileKind,
  type BootParameters,
  type EntryKey,
  type EntryNames,
} from "./types.ts";

/**
 * Boot parameters by name, as the Boot Script Service keeps them. A node that is known has one entry: what is written
 * under any of its names takes the place of what was written under another.
 */
export interface BootEntryStore {
  /** Throws `conflict` when one of them is there. Returns the referral token. */
  create(names: EntryNames, parameters: BootParameters): Promise<string>;
  /** Replaces what is there. Returns the new referral token, one for all the names. */
  put(names: EntryNames, parameters: BootParameters): Promise<string>;
  /** Changes only what is given and keeps the token; throws `not_found` for a name that is not there. */
  patch(names: EntryNames, parameters: Partial<BootParameters>): Promise<void>;
  /** Throws `not_found` for a name that is not there; then none is removed. */
  remove(names: EntryNames): Promise<void>;
  /** Removes all that have these; what is empty does not count. Returns how many there were. */
  removeWith(content: Readonly<Record<BootFileKind | "params", string>>): Promise<number>;
  /** What is there of these names, in their order. */
  find(names: EntryNames): Promise<BootEntry[]>;
  /** What stands under the name or under any other of the same node: its xname, alias, MAC addresses or nid. */
  get(kind: EntryKey["kind"], name: string): Promise<BootEntry | undefined>;
  list(): Promise<BootEntry[]>;
  /** Sorted by kind and name. */
  page(page: { after?: EntryKey | undefined; limit: number }): Promise<BootEntry[]>;
  /** Under exactly this name, as it is committed, at once. */
  at(key: EntryKey): BootEntry | undefined;
  /** Whether nodes that are not known can boot something, if they say their architecture. */
  hasUnknown(): boolean;
}

type Row = Tables["boot_entry"];

export function openBootEntries(database: Database): BootEntryStore {
  const db = database.withTables<Tables>();
  const nodes = openNodeFinder(database);
  const at = prepareRead<Row>(database, "select * from boot_entry where kind = ? and name = ?");
  const unknown = prepareRead(
    database,
    `select 1 from boot_entry where kind = 'host' and name > '${unknownPrefix}' and name < '${unknownPrefix}~'
      and kernel <> '' limit 1`,
  );
  const select = () => db.selectFrom("boot_entry").selectAll().orderBy(sql.ref("kind")).orderBy(sql.ref("name"));

  const write = async (names: EntryNames, parameters: BootParameters, mayReplace: boolean) => {
    const named = someOf(namedBy(requireNames(names), nodes));
    const row = checked({ ...toRow(parameters), referral_token: clock.uuid() });
    await db.transaction().execute(async (trx) => {
      if (!mayReplace) refuseThere(await rowsOf(trx, named));
      await removeRows(trx, named);
      await insertRows(trx, named, row);
    });
    return row.referral_token;
  };
  const find = async (names: EntryNames) => {
    const named = namedBy(names, nodes);
    const found = byKey(await rowsOf(db, named));
    return named.flatMap(({ same }) => same.flatMap((key) => found.get(textOf(key)) ?? []).slice(0, 1)).map(toEntry);
  };

  return {
    create: (names, parameters) => write(names, parameters, false),
    put: (names, parameters) => write(names, parameters, true),
    patch: async (names, change) => {
      const named = someOf(namedBy(requireNames(names), nodes));
      await db.transaction().execute(async (trx) => {
        const rows = await rowsOf(trx, named);
        refuseMissing(named, rows);
        for (const row of rows) {
          const current = toEntry(row);
          const cloudInit = mergeCloudInit(current.cloudInit, change.cloudInit);
          const next = checked(toRow({ ...current, ...change, cloudInit }));
          await trx
            .updateTable("boot_entry")
            .set(next)
            .where("kind", "=", row.kind)
            .where("name", "=", row.name)
            .execute();
        }
      });
    },
    remove: async (names) => {
      const named = someOf(namedBy(names, nodes));
      await db.transaction().execute(async (trx) => {
        refuseMissing(named, await rowsOf(trx, named));
        await removeRows(trx, named);
      });
    },
    removeWith: async (content) => {
      const wanted = Object.entries(content).filter(([, value]) => value !== "");
      if (wanted.length === 0) throw nothingNamed();
      let query = db.deleteFrom("boot_entry");
      for (const [column, value] of wanted) query = query.where(sql.ref(column), "=", value);
      return Number((await query.executeTakeFirst()).numDeletedRows);
    },
    find,
    get: async (kind, name) => {
      const only = (wanted: EntryKey["kind"]) => (kind === wanted ? [name] : []);
      return (await find({ hosts: only("host"), macs: only("mac"), nids: only("nid").map(Number) }))[0];
    },
    list: async () => (await select().execute()).map(toEntry),
    page: async ({ after, limit }) => {
      const behind = after && sql<boolean>`(kind, name) > (${after.kind}, ${after.name})`;
      const query = behind === undefined ? select() : select().where(behind);
      return (await query.limit(limit).execute()).map(toEntry);
    },
    at: ({ kind, name }) => at(kind, name).map(toEntry)[0],
    hasUnknown: () => unknown().length > 0,
  };
}

function someOf(named: readonly Named[]): readonly Named[] {
  if (named.length > 0) return named;
  throw nothingNamed();
}

function nothingNamed(): NetkilnError {
  return new NetkilnError("invalid_input", "the boot parameters name no host, MAC address or nid");
}

/** All names of all of them, as one parameter. */
function keysText(named: readonly Named[]): string {
  return JSON.stringify(named.flatMap(({ same }) => same));
}

async function rowsOf(db: Kysely<Tables>, named: readonly Named[]): Promise<Row[]> {
  const given = keysText(named);
  const { rows } = await sql<Row>`
    select boot_entry.* from json_each(${given}) as given
    cross join boot_entry on kind = given.value ->> 'kind' and name = given.value ->> 'name'`.execute(db);
  return rows;
}

async function removeRows(db: Kysely<Tables>, named: readonly Named[]): Promise<void> {
  await sql`
    delete from boot_entry where rowid in (
      select boot_entry.rowid from json_each(${keysText(named)}) as given
      cross join boot_entry on kind = given.value ->> 'kind' and name = given.value ->> 'name')`.execute(db);
}

async function insertRows(db: Kysely<Tables>, named: readonly Named[], row: Omit<Row, "kind" | "name">): Promise<void> {
  const keys = JSON.stringify(named.map(({ key }) => key));
  await sql`
    insert into boot_entry (kind, name, params, kernel, initrd, cloud_init, referral_token)
    select value ->> 'kind', value ->> 'name',
      ${row.params}, ${row.kernel}, ${row.initrd}, ${row.cloud_init}, ${row.referral_token}
    from json_each(${keys})`.execute(db);
}

const shownNames = 10;

function listed(names: readonly string[]): string {
  const more = names.length > shownNames ? ` and ${names.length - shownNames} more` : "";
  return `${names.slice(0, shownNames).join(", ")}${more}`;
}

function refuseThere(rows: readonly Row[]): void {
  if (rows.length === 0) return;
  const names = listed(rows.map(({ name }) => name));
  throw new NetkilnError("conflict", `boot parameters for ${names} are there already`, {
    hint: "use PUT to replace them or PATCH to change them",
  });
}

function refuseMissing(named: readonly Named[], rows: readonly Row[]): void {
  const there = byKey(rows);
  const missing = named.filter(({ same }) => !same.some((key) => there.has(textOf(key))));
  if (missing.length === 0) return;
  const names = listed(missing.map(({ key }) => key.name));
  throw new NetkilnError("not_found", `there are no boot parameters for ${names}: nothing was changed`);
}

function byKey(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [textOf(row), row]));
}

/** Throws for what would break out of its place in a script. */
function checked<Part extends Pick<Row, "params" | "kernel" | "initrd">>(row: Part): Part {
  requireOneLine(row.params, "params");
  requireOneWord(row.kernel, "kernel");
  requireOneWord(row.initrd, "initrd");
  return row;
}

function toRow({ params, kernel, initrd, cloudInit }: BootParameters): Omit<Row, "kind" | "name" | "referral_token"> {
  return { params, kernel, initrd, cloud_init: cloudInit === undefined ? null : JSON.stringify(cloudInit) };
}

function toEntry({ kind, name, params, kernel, initrd, cloud_init, referral_token }: Row): BootEntry {
  const cloudInit = cloud_init === null ? undefined : (JSON.parse(cloud_init) as Record<string, unknown>);
  return { kind, name, params, kernel, initrd, cloudInit, referralToken: referral_token };
}
