import { timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { amongTexts } from "./components.ts";
import { addMembers, openGroupStore, replaceMembers } from "./groups.ts";
import { openNodeNames, type NodeNames } from "./named.ts";
import type { ComponentRow, Tables } from "./tables.ts";
import { aliasOf, nameKind, type Group, type HsmGroup, type Node, type NodeInput, type NodeState } from "./types.ts";

export interface NodeQuery {
  /** Only these. */
  readonly xnames?: readonly string[] | undefined;
  /** Only nodes whose xname sorts after this one. */
  readonly after?: string | undefined;
  /** All when not given. */
  readonly limit?: number | undefined;
  readonly role?: string | undefined;
  readonly group?: string | undefined;
  readonly state?: NodeState | undefined;
}

/** The inventory: which nodes there are, where they stand and to what they belong. */
export interface NodeStore extends NodeNames {
  /** Adds a node or replaces what is said about it. Throws `conflict` when another node has its nid or a MAC of it. */
  put(input: NodeInput): Promise<Node>;
  get(xname: string): Promise<Node | undefined>;
  /** By xname, alias (`nid000001`, with any number of zeros), nid or MAC address. */
  find(name: string): Promise<Node | undefined>;
  /** Sorted by xname as text. */
  list(query?: NodeQuery): Promise<Node[]>;
  /** The xnames alone, sorted as text. */
  names(page: { after?: string | undefined; limit: number }): Promise<string[]>;
  /** False when there is no such node. */
  remove(xname: string): Promise<boolean>;
  setState(xname: string, state: NodeState): Promise<void>;
  setStates(xnames: readonly string[], state: NodeState): Promise<void>;
  /** Throws `not_found` when a member is no node. */
  putGroup(group: Group): Promise<Group>;
  getGroup(label: string): Promise<Group | undefined>;
  listGroups(query?: { after?: string | undefined; limit?: number | undefined }): Promise<Group[]>;
  removeGroup(label: string): Promise<boolean>;
}

export function openNodeStore(database: Database): NodeStore {
  const db = database.withTables<Tables>();
  const select = () => db.selectFrom("inventory_component").selectAll().where("type", "=", "Node");

  const get = async (xname: string) => (await withParts(db, await select().where("xname", "=", xname).execute()))[0];

  const setStates = async (xnames: readonly string[], state: NodeState) => {
    if (xnames.length === 0) return;
    const changed = db.updateTable("inventory_component").set({ state }).where("xname", "in", amongTexts(xnames));
    await changed.where("state", "!=", state).execute();
  };

  return {
    put: async (input) => {
      await db.transaction().execute(async (trx) => {
        await refuseConflict(trx, input);
        await write(trx, input);
      });
      return found(await get(input.xname), input.xname);
    },
    get,
    find: async (name) => {
      const { kind, value } = nameKind(name);
      if (kind === "nid") return (await withParts(db, await select().where("nid", "=", value).execute()))[0];
      if (kind === "xname") return get(value);
      const owner = await db
        .selectFrom("inventory_interface")
        .select("xname")
        .where("mac", "=", value)
        .executeTakeFirst();
      return owner === undefined ? undefined : get(owner.xname);
    },
    list: async ({ xnames, after, limit, role, group, state } = {}) => {
      let query = select().orderBy(sql.ref("xname"));
      if (xnames !== undefined) query = query.where("xname", "in", amongTexts(xnames));
      if (after !== undefined) query = query.where("xname", ">", after);
      if (role !== undefined) query = query.where("role", "=", role);
      if (state !== undefined) query = query.where("state", "=", state);
      if (group !== undefined) {
        const members = db.selectFrom("inventory_member").select("xname").where("kind", "=", "group");
        query = query.where("xname", "in", members.where("label", "=", group));
      }
      if (limit !== undefined) query = query.limit(limit);
      return withParts(db, await query.execute());
    },
    names: async ({ after = "", limit }) => {
      const nodes = db.selectFrom("inventory_component").select("xname").where("type", "=", "Node");
      const rows = await nodes.where("xname", ">", after).orderBy("xname").limit(limit).execute();
      return rows.map(({ xname }) => xname);
    },
    remove: async (xname) =>
      db.transaction().execute(async (trx) => {
        const gone = trx.deleteFrom("inventory_component").where("xname", "=", xname).where("type", "=", "Node");
        if ((await gone.executeTakeFirst()).numDeletedRows === 0n) return false;
        await trx.deleteFrom("inventory_interface").where("xname", "=", xname).execute();
        await trx.deleteFrom("inventory_member").where("xname", "=", xname).execute();
        return true;
      }),
    setState: (xname, state) => setStates([xname], state),
    setStates,
    ...openNodeNames(database),
    ...groupMethods(database),
  };
}

function groupMethods(database: Database): Pick<NodeStore, "putGroup" | "getGroup" | "listGroups" | "removeGroup"> {
  const db = database.withTables<Tables>();
  const groups = openGroupStore(database, "group");
  return {
    putGroup: async ({ label, description, members }) => {
      const group = { label, description, members: [...new Set(members)].sort() };
      await db.transaction().execute(async (trx) => {
        for (const xname of group.members) {
          const component = trx.selectFrom("inventory_component").select("xname").where("xname", "=", xname);
          if ((await component.executeTakeFirst()) === undefined) {
            throw new NetkilnError("not_found", `there is no node ${xname} to put into ${label}`);
          }
        }
        await trx
          .insertInto("inventory_group")
          .values({ kind: "group", label, description, tags: "[]", exclusive: null })
          .onConflict((conflict) => conflict.columns(["kind", "label"]).doUpdateSet({ description }))
          .execute();
        await replaceMembers(trx, "group", label, group.members);
      });
      return group;
    },
    getGroup: async (label) => {
      const group = await groups.get(label);
      return group && toGroup(group);
    },
    listGroups: async (page = {}) => (await groups.list({ labels: [], tags: [], ...page })).map(toGroup),
    removeGroup: groups.remove,
  };
}

function toGroup({ label, description, members }: HsmGroup): Group {
  return { label, description, members };
}

async function refuseConflict(db: Kysely<Tables>, { xname, nid, interfaces }: NodeInput): Promise<void> {
  const sameNid = await db
    .selectFrom("inventory_component")
    .select("xname")
    .where("nid", "=", nid)
    .where("xname", "!=", xname)
    .executeTakeFirst();
  if (sameNid !== undefined) {
    throw new NetkilnError("conflict", `nid ${nid} belongs to ${sameNid.xname}`, {
      hint: "give each node a nid of its own, or remove that node first",
    });
  }
  const macs = interfaces.map(({ mac }) => mac);
  const twice = macs.find((mac, index) => macs.indexOf(mac) !== index);
  if (twice !== undefined) throw new NetkilnError("conflict", `${xname} has the MAC address ${twice} twice`);
  for (const mac of macs) {
    // One that is nobody's, or of a component that went, is taken.
    const owner = await db
      .selectFrom("inventory_interface")
      .innerJoin("inventory_component", "inventory_component.xname", "inventory_interface.xname")
      .select("inventory_component.xname")
      .where("mac", "=", mac)
      .executeTakeFirst();
    if (owner !== undefined && owner.xname !== xname) {
      throw new NetkilnError("conflict", `the MAC address ${mac} belongs to ${owner.xname}`, {
        hint: "a board that moved keeps its addresses: remove the node at its old place first",
      });
    }
  }
}

async function write(db: Kysely<Tables>, input: NodeInput): Promise<void> {
  const { xname } = input;
  const said = {
    nid: input.nid,
    role: input.role,
    sub_role: input.subRole ?? null,
    arch: input.arch,
    enabled: Number(input.enabled),
    kernel_parameters: input.kernelParameters,
    power_driver: input.power.driver,
    power_options: JSON.stringify(input.power.options),
  };
  const untold = { software_status: null, subtype: null, class: null, locked: 0, reservation_disabled: 0 };
  await db
    .insertInto("inventory_component")
    .values({ xname, type: "Node", ...said, ...untold, state: "Unknown", flag: "OK", net_type: "Sling" })
    .onConflict((conflict) => conflict.column("xname").doUpdateSet(said))
    .execute();
  await writeInterfaces(db, input);
  const memberships = db.deleteFrom("inventory_member").where("kind", "=", "group").where("xname", "=", xname);
  await memberships.execute();
  for (const label of input.groups) {
    const group = { kind: "group", label, description: "", tags: "[]", exclusive: null } as const;
    const added = db.insertInto("inventory_group").values(group);
    await added.onConflict((conflict) => conflict.doNothing()).execute();
    await addMembers(db, "group", label, [xname]);
  }
}

/** What HSM's clients said about an interface that stays is kept: its description and further addresses. */
async function writeInterfaces(db: Kysely<Tables>, { xname, interfaces }: NodeInput): Promise<void> {
  const macs = interfaces.map(({ mac }) => mac);
  const gone = db.deleteFrom("inventory_interface").where("xname", "=", xname);
  await gone.where("mac", "not in", amongTexts(macs)).execute();
  for (const [position, { mac, ip }] of interfaces.entries()) {
    const said = { xname, type: "Node", position, updated: timestamp() };
    await db
      .insertInto("inventory_interface")
      .values({ mac, ...said, description: "" })
      .onConflict((conflict) => conflict.column("mac").doUpdateSet(said))
      .execute();
    const addresses = db.selectFrom("inventory_address").select("ip").where("mac", "=", mac);
    const first = await addresses.orderBy(sql.ref("position")).executeTakeFirst();
    if (first?.ip === ip) continue;
    await db.deleteFrom("inventory_address").where("mac", "=", mac).execute();
    if (ip !== undefined) {
      await db.insertInto("inventory_address").values({ mac, ip, network: "", position: 0 }).execute();
    }
  }
}

async function withParts(db: Kysely<Tables>, rows: ComponentRow[]): Promise<Node[]> {
  const names = amongTexts(rows.map(({ xname }) => xname));
  const interfaces = await db
    .selectFrom("inventory_interface")
    .select(["mac", "xname"])
    .where("xname", "in", names)
    .orderBy(sql.ref("position"))
    .execute();
  const addresses = await db
    .selectFrom("inventory_address")
    .select(["mac", "ip"])
    .where("mac", "in", amongTexts(interfaces.map(({ mac }) => mac)))
    .orderBy(sql.ref("position"))
    .execute();
  const members = await db
    .selectFrom("inventory_member")
    .select(["label", "xname"])
    .where("kind", "=", "group")
    .where("xname", "in", names)
    .orderBy(sql.ref("label"))
    .execute();
  const interfacesOf = Map.groupBy(interfaces, ({ xname }) => xname);
  const addressesOf = Map.groupBy(addresses, ({ mac }) => mac);
  const groupsOf = Map.groupBy(members, ({ xname }) => xname);
  return rows.map((row) => {
    const nid = row.nid ?? 0;
    return {
      xname: row.xname,
      nid,
      alias: aliasOf(nid),
      role: row.role ?? "Compute",
      subRole: row.sub_role ?? undefined,
      arch: row.arch as Node["arch"],
      enabled: row.enabled !== 0,
      state: row.state as NodeState,
      locked: row.locked !== 0,
      interfaces: (interfacesOf.get(row.xname) ?? []).map(({ mac }) => ({ mac, ip: addressesOf.get(mac)?.[0]?.ip })),
      groups: (groupsOf.get(row.xname) ?? []).map(({ label }) => label),
      kernelParameters: row.kernel_parameters,
      power: { driver: row.power_driver, options: JSON.parse(row.power_options) as Record<string, unknown> },
    };
  });
}

function found(node: Node | undefined, xname: string): Node {
  if (node === undefined) throw new NetkilnError("not_found", `the node ${xname} was removed meanwhile`);
  return node;
}
