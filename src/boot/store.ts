import { clock } from "../lib/clock.ts";
import { sql, type Database, type Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { requireOneLine, requireOneWord } from "./line.ts";
import type { BootEntry, BootParameters, EntryKind, EntryNames } from "./types.ts";

type Tables = {
  boot_entry: {
    kind: EntryKind;
    name: string;
    params: string;
    kernel: string;
    initrd: string;
    cloud_init: string | null;
    referral_token: string;
  };
};

export const migrations: Record<string, Migration> = {
  "0040-boot-entry": {
    up: async (db) => {
      await db.schema
        .createTable("boot_entry")
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("params", "text", (column) => column.notNull())
        .addColumn("kernel", "text", (column) => column.notNull())
        .addColumn("initrd", "text", (column) => column.notNull())
        .addColumn("cloud_init", "text")
        .addColumn("referral_token", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("boot_entry_key", ["kind", "name"])
        .execute();
    },
  },
};

/** Boot parameters by name, as the Boot Script Service keeps them. */
export interface BootEntryStore {
  /** Throws `conflict` when one of them is there. Returns the referral token. */
  create(names: EntryNames, parameters: BootParameters): Promise<string>;
  /** Replaces what is there. Returns the new referral token, one for all the names. */
  put(names: EntryNames, parameters: BootParameters): Promise<string>;
  /** Changes only what is given and keeps the token; throws `not_found` for a name that is not there. */
  patch(names: EntryNames, parameters: Partial<BootParameters>): Promise<void>;
  /** Throws `not_found` for a name that is not there; then none is removed. */
  remove(names: EntryNames): Promise<void>;
  get(kind: EntryKind, name: string): Promise<BootEntry | undefined>;
  list(): Promise<BootEntry[]>;
}

type Row = Tables["boot_entry"];

export function openBootEntries(database: Database): BootEntryStore {
  const db = database.withTables<Tables>();
  const keyed = (key: Pick<Row, "kind" | "name">, within = db) =>
    within.selectFrom("boot_entry").selectAll().where("kind", "=", key.kind).where("name", "=", key.name);

  const change = (
    names: EntryNames,
    apply: (row: Row | undefined, key: Pick<Row, "kind" | "name">) => Row | undefined,
  ) =>
    db.transaction().execute(async (trx) => {
      for (const key of keysOf(names)) {
        const next = apply(await keyed(key, trx).executeTakeFirst(), key);
        await trx.deleteFrom("boot_entry").where("kind", "=", key.kind).where("name", "=", key.name).execute();
        if (next !== undefined) await trx.insertInto("boot_entry").values(checked(next)).execute();
      }
    });

  const write = async (names: EntryNames, parameters: BootParameters, mayReplace: boolean) => {
    const token = clock.uuid();
    await change(names, (row, key) => {
      if (row !== undefined && !mayReplace) {
        throw new NetkilnError("conflict", `boot parameters for ${key.name} are there already`, {
          hint: "use PUT to replace them or PATCH to change them",
        });
      }
      return { ...key, ...toRow(parameters), referral_token: token };
    });
    return token;
  };

  return {
    create: (names, parameters) => write(names, parameters, false),
    put: (names, parameters) => write(names, parameters, true),
    patch: (names, parameters) =>
      change(names, (row, key) => {
        const current = toEntry(present(row, key.name));
        return { ...key, ...toRow({ ...current, ...parameters }), referral_token: current.referralToken };
      }),
    remove: (names) =>
      change(names, (row, key) => {
        present(row, key.name);
        return undefined;
      }),
    get: async (kind, name) => {
      const row = await keyed({ kind, name }).executeTakeFirst();
      return row === undefined ? undefined : toEntry(row);
    },
    list: async () => {
      const rows = db.selectFrom("boot_entry").selectAll().orderBy(sql.ref("kind")).orderBy(sql.ref("name"));
      return (await rows.execute()).map(toEntry);
    },
  };
}

function keysOf({ hosts, macs, nids }: EntryNames): Pick<Row, "kind" | "name">[] {
  const keys: Pick<Row, "kind" | "name">[] = [
    ...hosts.map((name) => ({ kind: "host" as const, name })),
    ...macs.map((name) => ({ kind: "mac" as const, name })),
    ...nids.map((nid) => ({ kind: "nid" as const, name: String(nid) })),
  ];
  if (keys.length > 0) return keys;
  throw new NetkilnError("invalid_input", "the boot parameters name no host, MAC address or nid");
}

function present(row: Row | undefined, name: string): Row {
  if (row !== undefined) return row;
  throw new NetkilnError("not_found", `there are no boot parameters for ${name}`);
}

function checked(row: Row): Row {
  requireOneLine(row.params, `params for ${row.name}`);
  requireOneWord(row.kernel, `kernel for ${row.name}`);
  requireOneWord(row.initrd, `initrd for ${row.name}`);
  return row;
}

function toRow({ params, kernel, initrd, cloudInit }: BootParameters): Omit<Row, "kind" | "name" | "referral_token"> {
  return { params, kernel, initrd, cloud_init: cloudInit === undefined ? null : JSON.stringify(cloudInit) };
}

function toEntry({ cloud_init, referral_token, ...rest }: Row): BootEntry {
  const cloudInit = cloud_init === null ? undefined : (JSON.parse(cloud_init) as Record<string, unknown>);
  return { ...rest, cloudInit, referralToken: referral_token };
}
