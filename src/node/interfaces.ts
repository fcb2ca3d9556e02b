import { timestamp } from "../lib/clock.ts";
import { prepareRead, sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { amongTexts, type Page } from "./components.ts";
import type { Tables } from "./tables.ts";
import type { Interface, InterfaceAddress } from "./types.ts";
import { typeOfXname } from "./xname.ts";

export interface InterfaceFilter {
  readonly macs?: readonly string[] | undefined;
  readonly ips?: readonly string[] | undefined;
  readonly networks?: readonly string[] | undefined;
  readonly xnames?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
  /** Updated before, and after; RFC 3339 in UTC. */
  readonly olderThan?: string | undefined;
  readonly newerThan?: string | undefined;
}

export interface InterfaceInput {
  /** As `canonicalMac` has it. */
  readonly mac: string;
  readonly description: string;
  readonly addresses: readonly InterfaceAddress[];
  /** Empty when it is nobody's yet. */
  readonly xname: string;
}

/** Network interfaces, each named by its MAC address. Those of a node are the node's own. */
export interface InterfaceStore {
  /** Sorted by MAC address. */
  list(filter: InterfaceFilter, page: Page): Promise<Interface[]>;
  get(mac: string): Promise<Interface | undefined>;
  /** The components of whose interfaces one has this address, as it is committed, at once. */
  ownersOf(ip: string): string[];
  /** Whether any interface of this component has an address, likewise. */
  hasAddress(xname: string): boolean;
  /** Throws `conflict` when there is one with that MAC address. */
  create(input: InterfaceInput): Promise<void>;
  /** Throws `not_found`. Addresses are replaced when given. */
  change(mac: string, change: Partial<Omit<InterfaceInput, "mac">>): Promise<void>;
  /** False when there is none. */
  remove(mac: string): Promise<boolean>;
  removeAll(): Promise<number>;
  /** Throws `not_found`, and `conflict` when it has that address. */
  addAddress(mac: string, address: InterfaceAddress): Promise<void>;
  /** Throws `not_found` also when it has no such address. */
  changeAddress(mac: string, ip: string, network: string): Promise<void>;
  /** False when it has no such address; throws `not_found` when there is no such interface. */
  removeAddress(mac: string, ip: string): Promise<boolean>;
}

export function openInterfaceStore(database: Database): InterfaceStore {
  const db = database.withTables<Tables>();
  const readOwners = prepareRead<{ readonly xname: string }>(
    database,
    "select distinct xname from inventory_address join inventory_interface using (mac) where ip = ? and xname <> ''",
  );
  const readAddress = prepareRead(
    database,
    "select 1 from inventory_interface cross join inventory_address using (mac) where xname = ? limit 1",
  );
  const list: InterfaceStore["list"] = async (filter, { after, limit }) => {
    let query = db.selectFrom("inventory_interface").selectAll().orderBy(sql.ref("mac")).limit(limit);
    if (after !== undefined) query = query.where("mac", ">", after);
    if (filter.macs !== undefined) query = query.where("mac", "in", amongTexts(filter.macs));
    if (filter.xnames !== undefined) query = query.where("xname", "in", amongTexts(filter.xnames));
    if (filter.types !== undefined) query = query.where("type", "in", amongTexts(filter.types));
    if (filter.olderThan !== undefined) query = query.where("updated", "<", filter.olderThan);
    if (filter.newerThan !== undefined) query = query.where("updated", ">", filter.newerThan);
    for (const [column, values] of [
      ["ip", filter.ips],
      ["network", filter.networks],
    ] as const) {
      if (values === undefined) continue;
      const addresses = db.selectFrom("inventory_address").select("mac").where(column, "in", amongTexts(values));
      query = query.where("mac", "in", addresses);
    }
    return withAddresses(db, await query.execute());
  };
  const get = async (mac: string) => (await list({ macs: [mac] }, { limit: 1 }))[0];
  const touch = async (trx: Kysely<Tables>, mac: string) => {
    const changed = trx.updateTable("inventory_interface").set({ updated: timestamp() }).where("mac", "=", mac);
    if ((await changed.executeTakeFirst()).numUpdatedRows === 0n) throw noInterface(mac);
  };

  return {
    list,
    get,
    ownersOf: (ip) => readOwners(ip).map(({ xname }) => xname),
    hasAddress: (xname) => readAddress(xname).length > 0,
    create: async (input) => {
      await db.transaction().execute(async (trx) => {
        const known = trx.selectFrom("inventory_interface").select("mac").where("mac", "=", input.mac);
        if ((await known.executeTakeFirst()) !== undefined) {
          throw new NetkilnError("conflict", `there is already an interface with the MAC address ${input.mac}`);
        }
        await putInterface(trx, input);
      });
    },
    change: async (mac, change) => {
      await db.transaction().execute(async (trx) => {
        await touch(trx, mac);
        const { description, xname, addresses } = change;
        const said = {
          ...(description !== undefined && { description }),
          ...(xname !== undefined && { xname, type: typeOfXname(xname) ?? "" }),
        };
        if (Object.keys(said).length > 0) {
          await trx.updateTable("inventory_interface").set(said).where("mac", "=", mac).execute();
        }
        if (addresses !== undefined) await replaceAddresses(trx, mac, addresses);
      });
    },
    remove: async (mac) =>
      (await db.deleteFrom("inventory_interface").where("mac", "=", mac).executeTakeFirst()).numDeletedRows > 0n,
    removeAll: async () => Number((await db.deleteFrom("inventory_interface").executeTakeFirst()).numDeletedRows),
    addAddress: async (mac, address) => {
      await db.transaction().execute(async (trx) => {
        await touch(trx, mac);
        const known = trx.selectFrom("inventory_address").selectAll().where("mac", "=", mac);
        const rows = await known.execute();
        if (rows.some(({ ip }) => ip === address.ip)) {
          throw new NetkilnError("conflict", `the interface ${mac} has the address ${address.ip} already`);
        }
        const position = Math.max(-1, ...rows.map((row) => row.position)) + 1;
        await trx
          .insertInto("inventory_address")
          .values({ mac, ...address, position })
          .execute();
      });
    },
    changeAddress: async (mac, ip, network) => {
      await db.transaction().execute(async (trx) => {
        await touch(trx, mac);
        const changed = trx.updateTable("inventory_address").set({ network }).where("mac", "=", mac);
        if ((await changed.where("ip", "=", ip).executeTakeFirst()).numUpdatedRows > 0n) return;
        throw new NetkilnError("not_found", `the interface ${mac} has no address ${ip}`);
      });
    },
    removeAddress: async (mac, ip) =>
      db.transaction().execute(async (trx) => {
        await touch(trx, mac);
        const gone = trx.deleteFrom("inventory_address").where("mac", "=", mac).where("ip", "=", ip);
        return (await gone.executeTakeFirst()).numDeletedRows > 0n;
      }),
  };
}

function noInterface(mac: string): NetkilnError {
  return new NetkilnError("not_found", `there is no interface with the MAC address ${mac}`);
}

/** Adds it, or replaces what is said about it; behind the others of its component. */
export async function putInterface(db: Kysely<Tables>, input: InterfaceInput): Promise<void> {
  const { mac, description, xname, addresses } = input;
  const { last } = await db
    .selectFrom("inventory_interface")
    .select((select) => select.fn.max("position").as("last"))
    .where("xname", "=", xname)
    .where("mac", "!=", mac)
    .executeTakeFirstOrThrow();
  const said = { description, xname, type: typeOfXname(xname) ?? "", updated: timestamp() };
  await db
    .insertInto("inventory_interface")
    .values({ mac, ...said, position: xname === "" ? 0 : Number(last ?? -1) + 1 })
    .onConflict((conflict) => conflict.column("mac").doUpdateSet(said))
    .execute();
  await replaceAddresses(db, mac, addresses);
}

async function replaceAddresses(
  db: Kysely<Tables>,
  mac: string,
  addresses: readonly InterfaceAddress[],
): Promise<void> {
  await db.deleteFrom("inventory_address").where("mac", "=", mac).execute();
  const once = [...new Map(addresses.map((address) => [address.ip, address])).values()];
  for (const [position, { ip, network }] of once.entries()) {
    await db.insertInto("inventory_address").values({ mac, ip, network, position }).execute();
  }
}

async function withAddresses(db: Kysely<Tables>, rows: Tables["inventory_interface"][]): Promise<Interface[]> {
  const addresses = await db
    .selectFrom("inventory_address")
    .selectAll()
    .where("mac", "in", amongTexts(rows.map(({ mac }) => mac)))
    .orderBy(sql.ref("position"))
    .execute();
  const of = Map.groupBy(addresses, ({ mac }) => mac);
  return rows.map(({ mac, description, xname, type, updated }) => ({
    ...{ mac, description, xname, type, updated },
    addresses: (of.get(mac) ?? []).map(({ ip, network }) => ({ ip, network })),
  }));
}
