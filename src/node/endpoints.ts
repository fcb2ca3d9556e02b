import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { amongTexts, createComponents, type Page } from "./components.ts";
import { putInterface, type InterfaceInput } from "./interfaces.ts";
import type { Tables } from "./tables.ts";
import type { ComponentInput } from "./types.ts";
import { typeOfXname } from "./xname.ts";

/** A management controller that speaks Redfish. */
export interface Endpoint {
  readonly xname: string;
  readonly type: string;
  readonly fqdn: string | undefined;
  readonly uuid: string | undefined;
  /** As `canonicalMac` has it. */
  readonly mac: string | undefined;
  readonly ip: string | undefined;
  readonly lastStatus: string;
  /** Everything that is shown of it. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** What an endpoint says about one component: what Redfish calls it, and how it is reached there. */
export interface EndpointPart {
  readonly xname: string;
  readonly endpoint: string;
  readonly type: string;
  readonly redfishType: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What follows from an endpoint. Components that are there already stay as they are; so they keep their nids. */
export interface Derived {
  readonly components: readonly ComponentInput[];
  readonly parts: readonly EndpointPart[];
  readonly interfaces: readonly InterfaceInput[];
}

export interface EndpointFilter {
  readonly xnames?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
  readonly fqdns?: readonly string[] | undefined;
  readonly uuids?: readonly string[] | undefined;
  readonly macs?: readonly string[] | undefined;
  readonly ips?: readonly string[] | undefined;
  readonly lastStatuses?: readonly string[] | undefined;
}

export interface PartFilter {
  readonly xnames?: readonly string[] | undefined;
  readonly endpoints?: readonly string[] | undefined;
  readonly types?: readonly string[] | undefined;
  readonly redfishTypes?: readonly string[] | undefined;
}

/** Redfish endpoints and what they say about components. */
export interface EndpointStore {
  list(filter: EndpointFilter, page: Page): Promise<Endpoint[]>;
  get(xname: string): Promise<Endpoint | undefined>;
  /** Throws `conflict` when one of the xnames or FQDNs is there already; then none is added. */
  create(endpoints: readonly { readonly endpoint: Endpoint; readonly derived: Derived }[]): Promise<void>;
  /** Throws `not_found`, and `conflict` when its FQDN is another's. */
  replace(endpoint: Endpoint, derived: Derived): Promise<void>;
  /** With all that it says about components, which are Empty then. False when there is none. */
  remove(xname: string): Promise<boolean>;
  removeAll(): Promise<number>;
  parts(filter: PartFilter, page: Page): Promise<EndpointPart[]>;
  removePart(xname: string): Promise<boolean>;
  removeAllParts(): Promise<number>;
}

export function openEndpointStore(database: Database): EndpointStore {
  const db = database.withTables<Tables>();
  const list: EndpointStore["list"] = async (filter, { after, limit }) => {
    let query = db.selectFrom("inventory_endpoint").selectAll().orderBy(sql.ref("xname")).limit(limit);
    if (after !== undefined) query = query.where("xname", ">", after);
    for (const [column, values] of [
      ["xname", filter.xnames],
      ["type", filter.types],
      ["fqdn", filter.fqdns],
      ["uuid", filter.uuids],
      ["mac", filter.macs],
      ["ip", filter.ips],
      ["last_status", filter.lastStatuses],
    ] as const) {
      if (values !== undefined) query = query.where(column, "in", amongTexts(values));
    }
    return (await query.execute()).map(toEndpoint);
  };
  /** Removes those that the query names; what they told about becomes Empty. */
  const remove = async (only: string | undefined): Promise<number> =>
    db.transaction().execute(async (trx) => {
      let told = trx.selectFrom("inventory_endpoint_part").select("xname");
      let gone = trx.deleteFrom("inventory_endpoint");
      if (only !== undefined) {
        told = told.where("endpoint", "=", only);
        gone = gone.where("xname", "=", only);
      }
      await trx.updateTable("inventory_component").set({ state: "Empty" }).where("xname", "in", told).execute();
      return Number((await gone.executeTakeFirst()).numDeletedRows);
    });

  return {
    list,
    get: async (xname) => (await list({ xnames: [xname] }, { limit: 1 }))[0],
    create: async (endpoints) => {
      await db.transaction().execute(async (trx) => {
        for (const { endpoint, derived } of endpoints) {
          const known = trx.selectFrom("inventory_endpoint").select("xname").where("xname", "=", endpoint.xname);
          if ((await known.executeTakeFirst()) !== undefined) {
            throw new NetkilnError("conflict", `there is already a Redfish endpoint ${endpoint.xname}`);
          }
          await refuseName(trx, endpoint);
          await trx.insertInto("inventory_endpoint").values(toRow(endpoint)).execute();
          await derive(trx, derived);
        }
      });
    },
    replace: async (endpoint, derived) => {
      await db.transaction().execute(async (trx) => {
        await refuseName(trx, endpoint);
        const { xname, ...said } = toRow(endpoint);
        const changed = trx.updateTable("inventory_endpoint").set(said).where("xname", "=", xname);
        if ((await changed.executeTakeFirst()).numUpdatedRows === 0n) {
          throw new NetkilnError("not_found", `there is no Redfish endpoint ${xname}`);
        }
        await derive(trx, derived);
      });
    },
    remove: async (xname) => (await remove(xname)) > 0,
    removeAll: async () => remove(undefined),
    parts: async (filter, { after, limit }) => {
      let query = db.selectFrom("inventory_endpoint_part").selectAll().orderBy(sql.ref("xname")).limit(limit);
      if (after !== undefined) query = query.where("xname", ">", after);
      for (const [column, values] of [
        ["xname", filter.xnames],
        ["endpoint", filter.endpoints],
        ["type", filter.types],
        ["redfish_type", filter.redfishTypes],
      ] as const) {
        if (values !== undefined) query = query.where(column, "in", amongTexts(values));
      }
      return (await query.execute()).map(({ redfish_type, data, ...part }) => ({
        ...part,
        redfishType: redfish_type,
        data: JSON.parse(data) as Record<string, unknown>,
      }));
    },
    removePart: async (xname) => {
      const gone = db.deleteFrom("inventory_endpoint_part").where("xname", "=", xname);
      return (await gone.executeTakeFirst()).numDeletedRows > 0n;
    },
    removeAllParts: async () =>
      Number((await db.deleteFrom("inventory_endpoint_part").executeTakeFirst()).numDeletedRows),
  };
}

async function refuseName(db: Kysely<Tables>, { xname, fqdn }: Endpoint): Promise<void> {
  if (fqdn === undefined) return;
  const other = db.selectFrom("inventory_endpoint").select("xname").where("fqdn", "=", fqdn);
  const owner = await other.where("xname", "!=", xname).executeTakeFirst();
  if (owner !== undefined) throw new NetkilnError("conflict", `the FQDN ${fqdn} belongs to ${owner.xname}`);
}

async function derive(db: Kysely<Tables>, { components, parts, interfaces }: Derived): Promise<void> {
  await createComponents(db, components, false);
  for (const { xname, endpoint, type, redfishType, data } of parts) {
    const said = { endpoint, type, redfish_type: redfishType, data: JSON.stringify(data) };
    await db
      .insertInto("inventory_endpoint_part")
      .values({ xname, ...said })
      .onConflict((conflict) => conflict.column("xname").doUpdateSet(said))
      .execute();
  }
  for (const one of interfaces) await putInterface(db, one);
}

function toRow({ xname, fqdn, uuid, mac, ip, lastStatus, data }: Endpoint) {
  return {
    xname,
    type: typeOfXname(xname) ?? "",
    fqdn: fqdn ?? null,
    uuid: uuid ?? null,
    mac: mac ?? null,
    ip: ip ?? null,
    last_status: lastStatus,
    data: JSON.stringify(data),
  };
}

function toEndpoint(row: Tables["inventory_endpoint"]): Endpoint {
  return {
    xname: row.xname,
    type: row.type,
    fqdn: row.fqdn ?? undefined,
    uuid: row.uuid ?? undefined,
    mac: row.mac ?? undefined,
    ip: row.ip ?? undefined,
    lastStatus: row.last_status,
    data: JSON.parse(row.data) as Record<string, unknown>,
  };
}
