import { clock } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type RawBuilder } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { countOf } from "../lib/text.ts";
import type { ComponentRow, Tables } from "./tables.ts";
import {
  filterColumns,
  type Component,
  type ComponentFilter,
  type ComponentInput,
  type ComponentState,
  type Membership,
} from "./types.ts";
import { typeOfXname } from "./xname.ts";

export interface Page {
  /** Only xnames that sort after this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** The components of the system: nodes and everything else that has a place. */
export interface ComponentStore {
  get(xname: string): Promise<Component | undefined>;
  getByNid(nid: number): Promise<Component | undefined>;
  /** Sorted by xname as text. */
  list(filter: ComponentFilter, page: Page): Promise<Component[]>;
  /** What they belong to, of those that fit. */
  memberships(filter: ComponentFilter, page: Page): Promise<Membership[]>;
  /**
   * Adds components. Of those that are there already, `force` replaces state, flag, subtype, network type,
   * architecture and class, and without it they stay as they are. Throws `conflict` when a nid is another's.
   */
  create(inputs: readonly ComponentInput[], options: { force: boolean }): Promise<void>;
  /** Changes all of them or, when one is not there, none: throws `not_found`. */
  change(xnames: readonly string[], change: Partial<ComponentState>): Promise<void>;
  /** As `change`; nids may be swapped. Throws `conflict` when one belongs to a component that is not named. */
  changeNids(nids: ReadonlyMap<string, number>): Promise<void>;
  /** Interfaces stay: they may be somebody else's soon. False when there is no such component. */
  remove(xname: string): Promise<boolean>;
  /** How many there were. */
  removeAll(): Promise<number>;
}

export function openComponentStore(database: Database): ComponentStore {
  const db = database.withTables<Tables>();
  return {
    get: async (xname) => {
      const row = await db.selectFrom("inventory_component").selectAll().where("xname", "=", xname).executeTakeFirst();
      return row && toComponent(row);
    },
    getByNid: async (nid) => {
      const row = await db.selectFrom("inventory_component").selectAll().where("nid", "=", nid).executeTakeFirst();
      return row && toComponent(row);
    },
    list: async (filter, page) => (await select(db, filter, page)).map(toComponent),
    memberships: async (filter, page) => {
      const names = (await select(db, filter, page)).map(({ xname }) => xname);
      const members = await db
        .selectFrom("inventory_member")
        .select(["kind", "label", "xname"])
        .where("xname", "in", amongTexts(names))
        .orderBy(sql.ref("label"))
        .execute();
      const of = Map.groupBy(members, ({ xname }) => xname);
      return names.map((xname) => {
        const labels = (kind: string) =>
          (of.get(xname) ?? []).filter((member) => member.kind === kind).map(({ label }) => label);
        return { xname, groups: labels("group"), partition: labels("partition")[0] };
      });
    },
    create: async (inputs, { force }) => db.transaction().execute(async (trx) => createComponents(trx, inputs, force)),
    change: async (xnames, change) => {
      await db.transaction().execute(async (trx) => {
        await refuseMissing(trx, xnames);
        await trx
          .updateTable("inventory_component")
          .set({
            ...(change.state !== undefined && { state: change.state }),
            ...(change.flag !== undefined && { flag: change.flag }),
            ...(change.enabled !== undefined && { enabled: Number(change.enabled) }),
            ...("softwareStatus" in change && { software_status: change.softwareStatus ?? null }),
            ...(change.role !== undefined && { role: change.role, sub_role: change.subRole ?? null }),
          })
          .where("xname", "in", amongTexts(xnames))
          .execute();
      });
    },
    changeNids: async (nids) => {
      await db.transaction().execute(async (trx) => {
        await refuseMissing(trx, [...nids.keys()]);
        const wanted = [...nids].map(([xname, nid]) => ({ xname, nid }));
        await refuseNids(trx, wanted);
        await trx
          .updateTable("inventory_component")
          .set({ nid: null })
          .where("xname", "in", amongTexts([...nids.keys()]))
          .execute();
        await sql`
          update inventory_component set nid = given.value ->> '$.nid'
          from json_each(${JSON.stringify(wanted)}) as given
          where xname = given.value ->> '$.xname'`.execute(trx);
      });
    },
    remove: async (xname) =>
      db.transaction().execute(async (trx) => {
        await trx.deleteFrom("inventory_member").where("xname", "=", xname).execute();
        const gone = await trx.deleteFrom("inventory_component").where("xname", "=", xname).executeTakeFirst();
        return gone.numDeletedRows > 0n;
      }),
    removeAll: async () =>
      db.transaction().execute(async (trx) => {
        await trx.deleteFrom("inventory_member").execute();
        return Number((await trx.deleteFrom("inventory_component").executeTakeFirst()).numDeletedRows);
      }),
  };
}

/** The texts as one parameter, however many they are. */
export function amongTexts(texts: readonly string[]): RawBuilder<string> {
  return sql<string>`(select value from json_each(${JSON.stringify(texts)}))`;
}

const columnOf: Readonly<Record<(typeof filterColumns)[number], keyof ComponentRow>> = {
  type: "type",
  state: "state",
  flag: "flag",
  role: "role",
  subRole: "sub_role",
  enabled: "enabled",
  softwareStatus: "software_status",
  subtype: "subtype",
  arch: "arch",
  class: "class",
  locked: "locked",
  reservationDisabled: "reservation_disabled",
};
const booleans: ReadonlySet<string> = new Set(["enabled", "locked", "reservationDisabled"]);

/** The rows that fit, in the order of their xnames. */
export async function select(db: Kysely<Tables>, filter: ComponentFilter, page: Page): Promise<ComponentRow[]> {
  let query = db.selectFrom("inventory_component").selectAll().orderBy(sql.ref("xname")).limit(page.limit);
  if (page.after !== undefined) query = query.where("xname", ">", page.after);
  if (filter.xnames !== undefined) query = query.where("xname", "in", amongTexts(filter.xnames));
  if (filter.within !== undefined) query = query.where("xname", "in", within(filter.within));
  if (filter.nids !== undefined) query = query.where("nid", "in", nidsAmong(filter.nids));
  for (const kind of ["group", "partition"] as const) {
    const labels = filter[kind];
    if (labels !== undefined) query = query.where(belongs(kind, labels));
  }
  if (filter.reserved !== undefined) query = query.where(isReserved(filter.reserved));
  for (const name of filterColumns) {
    const { some, none } = split(filter[name] ?? [], booleans.has(name));
    const column = sql.ref(columnOf[name]);
    // Names of one value can use an index together with the order of the page.
    if (some.length === 1) query = query.where(sql<boolean>`${column} = ${some[0]}`);
    else if (some.length > 1) query = query.where(sql<boolean>`${column} in (${sql.join(some)})`);
    if (none.length > 0) query = query.where(sql<boolean>`ifnull(${column}, '') not in (${sql.join(none)})`);
  }
  return query.execute();
}

function split(values: readonly string[], isBoolean: boolean) {
  const typed = (value: string) => (isBoolean ? Number(value.toLowerCase() === "true") : value);
  return {
    some: values.filter((value) => !value.startsWith("!")).map(typed),
    none: values.filter((value) => value.startsWith("!")).map((value) => typed(value.slice(1))),
  };
}

/** A letter goes on from what stands around it: `x1c1` holds `x1c1s0`, and `x1c10` is its neighbour. */
function within(names: readonly string[]): RawBuilder<string> {
  const list = JSON.stringify(names);
  return sql`(
    select value from json_each(${list})
    union select inner.xname from json_each(${list}) as outer
      cross join inventory_component as inner
        on inner.xname > outer.value || 'a' and inner.xname < outer.value || '{')`;
}

function nidsAmong(ranges: readonly (readonly [number, number])[]): RawBuilder<number> {
  return sql`(
    select found.nid from json_each(${JSON.stringify(ranges)}) as range
      cross join inventory_component as found
        on found.nid between range.value ->> 0 and range.value ->> 1)`;
}

function belongs(kind: string, labels: readonly string[]): RawBuilder<boolean> {
  const named = labels.filter((label) => label.toLowerCase() !== "null");
  const inNamed = sql`xname in
    (select xname from inventory_member where kind = ${kind} and label in ${amongTexts(named)})`;
  if (named.length === labels.length) return sql<boolean>`${inNamed}`;
  const inNone = sql`xname not in (select xname from inventory_member where kind = ${kind})`;
  return sql<boolean>`(${inNamed} or ${inNone})`;
}

function isReserved(values: readonly string[]): RawBuilder<boolean> {
  const wanted = new Set(values.map((value) => (value === "true" || value === "!false" ? 1 : 0)));
  const held = sql`xname in
    (select xname from inventory_reservation where ifnull(expires, '9') > ${clock.now().toISOString()})`;
  return sql<boolean>`(${held}) in (${sql.join([...wanted])})`;
}

/** Within a transaction; see `create` of the store. */
export async function createComponents(
  db: Kysely<Tables>,
  given: readonly ComponentInput[],
  force: boolean,
): Promise<void> {
  const inputs = [...new Map(given.map((input) => [input.xname, input])).values()];
  const known = await db
    .selectFrom("inventory_component")
    .select("xname")
    .where("xname", "in", amongTexts(inputs.map(({ xname }) => xname)))
    .execute();
  const there = new Set(known.map(({ xname }) => xname));
  const added = inputs.filter(({ xname }) => !there.has(xname));
  const rows = await withDefaults(db, added);
  await refuseNids(db, rows);
  await sql`
    insert into inventory_component
      (xname, type, state, flag, enabled, software_status, role, sub_role, nid, subtype, net_type, arch, class,
       locked, reservation_disabled, kernel_parameters, power_driver, power_options)
    select value ->> '$.xname', value ->> '$.type', value ->> '$.state', value ->> '$.flag', value ->> '$.enabled',
      value ->> '$.softwareStatus', value ->> '$.role', value ->> '$.subRole', value ->> '$.nid',
      value ->> '$.subtype', value ->> '$.netType', value ->> '$.arch', value ->> '$.class',
      0, 0, '', 'simulated', '{}'
    from json_each(${JSON.stringify(rows)})`.execute(db);
  if (!force) return;
  const replaced = inputs.filter(({ xname }) => there.has(xname));
  await sql`
    update inventory_component set
      state = given.value ->> '$.state',
      flag = given.value ->> '$.flag',
      subtype = ifnull(given.value ->> '$.subtype', subtype),
      net_type = ifnull(given.value ->> '$.netType', net_type),
      arch = ifnull(given.value ->> '$.arch', arch),
      class = ifnull(given.value ->> '$.class', class)
    from json_each(${JSON.stringify(replaced)}) as given
    where xname = given.value ->> '$.xname'`.execute(db);
}

type NewComponent = ComponentInput & { readonly type: string };

/** A node needs a role and a nid: those of its node map, else Compute and the first nid above all others. */
async function withDefaults(db: Kysely<Tables>, inputs: readonly ComponentInput[]): Promise<NewComponent[]> {
  const maps = await db.selectFrom("inventory_node_map").selectAll().execute();
  const mapOf = new Map(maps.map((map) => [map.xname, map]));
  const { highest } = await db
    .selectFrom("inventory_component")
    .select((select) => select.fn.max("nid").as("highest"))
    .executeTakeFirstOrThrow();
  let last = [...inputs, ...maps].reduce((most, { nid }) => Math.max(most, nid ?? 0), Number(highest ?? 0));
  return inputs.map((input) => {
    const type = typeOfXname(input.xname) ?? "INVALID";
    const common = { ...input, type, netType: input.netType ?? "Sling", arch: input.arch ?? "X86" };
    if (type !== "Node") return common;
    const map = mapOf.get(input.xname);
    return {
      ...common,
      nid: input.nid ?? map?.nid ?? (last += 1),
      role: input.role ?? map?.role ?? "Compute",
      subRole: input.subRole ?? map?.sub_role ?? undefined,
    };
  });
}

async function refuseMissing(db: Kysely<Tables>, xnames: readonly string[]): Promise<void> {
  const { rows } = await sql<{ xname: string }>`
    select value as xname from json_each(${JSON.stringify(xnames)})
    where value not in (select xname from inventory_component) limit 11`.execute(db);
  if (rows.length === 0) return;
  const some = rows.slice(0, 10).map(({ xname }) => xname);
  const more = rows.length > some.length ? " and others" : "";
  throw new NetkilnError("not_found", `there is no component ${some.join(", ")}${more}: nothing was changed`);
}

/** `given` get these nids together, so what they have now counts for nothing. */
async function refuseNids(
  db: Kysely<Tables>,
  given: readonly { readonly xname: string; readonly nid: number | undefined }[],
): Promise<void> {
  const owners = new Map<number, string>();
  for (const { xname, nid } of given) {
    if (nid === undefined) continue;
    const other = owners.get(nid);
    if (other !== undefined) throw new NetkilnError("conflict", `${other} and ${xname} cannot both have nid ${nid}`);
    owners.set(nid, xname);
  }
  const taken = await db
    .selectFrom("inventory_component")
    .select(["xname", "nid"])
    .where("nid", "in", sql<number>`(select value from json_each(${JSON.stringify([...owners.keys()])}))`)
    .where("xname", "not in", amongTexts(given.map(({ xname }) => xname)))
    .limit(11)
    .execute();
  if (taken.length === 0) return;
  const some = taken.slice(0, 10).map(({ xname, nid }) => `nid ${nid} belongs to ${xname}`);
  throw new NetkilnError("conflict", `${some.join(", ")}: nothing was changed`, {
    hint: `give each of the ${countOf(owners.size, "component")} a nid of its own`,
  });
}

function toComponent(row: ComponentRow): Component {
  return {
    xname: row.xname,
    type: row.type,
    state: row.state as Component["state"],
    flag: row.flag as Component["flag"],
    enabled: row.enabled !== 0,
    softwareStatus: row.software_status ?? undefined,
    role: row.role ?? undefined,
    subRole: row.sub_role ?? undefined,
    nid: row.nid ?? undefined,
    subtype: row.subtype ?? undefined,
    netType: row.net_type ?? undefined,
    arch: row.arch as Component["arch"],
    class: row.class ?? undefined,
    locked: row.locked !== 0,
    reservationDisabled: row.reservation_disabled !== 0,
  };
}
