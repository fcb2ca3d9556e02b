import { sql, type Database, type Kysely, type Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { aliasOf, canonicalMac, type Group, type Node, type NodeInput, type NodeState } from "./types.ts";

type Tables = {
  node: {
    xname: string;
    nid: number;
    role: string;
    sub_role: string | null;
    arch: Node["arch"];
    enabled: number;
    state: NodeState;
    locked: number;
    kernel_parameters: string;
    power_driver: Node["power"]["driver"];
    power_options: string;
  };
  node_interface: { mac: string; xname: string; position: number; ip: string | null };
  node_group: { label: string; description: string };
  node_group_member: { label: string; xname: string };
};

export const migrations: Record<string, Migration> = {
  "0030-node": {
    up: async (db) => {
      await db.schema
        .createTable("node")
        .addColumn("xname", "text", (column) => column.primaryKey())
        .addColumn("nid", "integer", (column) => column.notNull().unique())
        .addColumn("role", "text", (column) => column.notNull())
        .addColumn("sub_role", "text")
        .addColumn("arch", "text", (column) => column.notNull())
        .addColumn("enabled", "integer", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("locked", "integer", (column) => column.notNull())
        .addColumn("kernel_parameters", "text", (column) => column.notNull())
        .addColumn("power_driver", "text", (column) => column.notNull())
        .addColumn("power_options", "text", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("node_interface")
        .addColumn("mac", "text", (column) => column.primaryKey())
        .addColumn("xname", "text", (column) => column.notNull().references("node.xname").onDelete("cascade"))
        .addColumn("position", "integer", (column) => column.notNull())
        .addColumn("ip", "text")
        .execute();
      await db.schema.createIndex("node_interface_xname").on("node_interface").column("xname").execute();
      await db.schema
        .createTable("node_group")
        .addColumn("label", "text", (column) => column.primaryKey())
        .addColumn("description", "text", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("node_group_member")
        .addColumn("label", "text", (column) => column.notNull().references("node_group.label").onDelete("cascade"))
        .addColumn("xname", "text", (column) => column.notNull().references("node.xname").onDelete("cascade"))
        .addPrimaryKeyConstraint("node_group_member_key", ["label", "xname"])
        .execute();
      await db.schema.createIndex("node_group_member_xname").on("node_group_member").column("xname").execute();
    },
  },
};

export interface NodeQuery {
  /** Only nodes whose xname sorts after this one. */
  readonly after?: string | undefined;
  /** All when not given. */
  readonly limit?: number | undefined;
  readonly role?: string | undefined;
  readonly group?: string | undefined;
  readonly state?: NodeState | undefined;
}

/** The inventory: which nodes there are, where they stand and to what they belong. */
export interface NodeStore {
  /** Adds a node or replaces what is said about it. Throws `conflict` when another node has its nid or a MAC of it. */
  put(input: NodeInput): Promise<Node>;
  get(xname: string): Promise<Node | undefined>;
  /** By xname, alias (`nid000001`, with any number of zeros), nid or MAC address. */
  find(name: string): Promise<Node | undefined>;
  /** Sorted by xname as text. */
  list(query?: NodeQuery): Promise<Node[]>;
  /** False when there is no such node. */
  remove(xname: string): Promise<boolean>;
  setState(xname: string, state: NodeState): Promise<void>;
  setLocked(xname: string, locked: boolean): Promise<void>;
  /** Throws `not_found` when a member is no node. */
  putGroup(group: Group): Promise<Group>;
  getGroup(label: string): Promise<Group | undefined>;
  listGroups(query?: { after?: string | undefined; limit?: number | undefined }): Promise<Group[]>;
  removeGroup(label: string): Promise<boolean>;
}

export function openNodeStore(database: Database): NodeStore {
  const db = database.withTables<Tables>();

  const get = async (xname: string) => {
    const rows = await db.selectFrom("node").selectAll().where("xname", "=", xname).execute();
    return (await withParts(db, rows))[0];
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
      const nid = /^(?:nid)?(\d+)$/.exec(name)?.[1];
      if (nid !== undefined && nid.length < 12) {
        const rows = await db.selectFrom("node").selectAll().where("nid", "=", Number(nid)).execute();
        return (await withParts(db, rows))[0];
      }
      const mac = canonicalMac(name);
      if (mac === undefined) return get(name);
      const owner = await db.selectFrom("node_interface").select("xname").where("mac", "=", mac).executeTakeFirst();
      return owner === undefined ? undefined : get(owner.xname);
    },
    list: async ({ after, limit, role, group, state } = {}) => {
      let query = db.selectFrom("node").selectAll().orderBy(sql.ref("xname"));
      if (after !== undefined) query = query.where("xname", ">", after);
      if (role !== undefined) query = query.where("role", "=", role);
      if (state !== undefined) query = query.where("state", "=", state);
      if (group !== undefined) {
        const members = db.selectFrom("node_group_member").select("xname").where("label", "=", group);
        query = query.where("xname", "in", members);
      }
      if (limit !== undefined) query = query.limit(limit);
      return withParts(db, await query.execute());
    },
    remove: async (xname) =>
      (await db.deleteFrom("node").where("xname", "=", xname).executeTakeFirst()).numDeletedRows > 0n,
    setState: async (xname, state) => {
      await db.updateTable("node").set({ state }).where("xname", "=", xname).where("state", "!=", state).execute();
    },
    setLocked: async (xname, locked) => {
      await db
        .updateTable("node")
        .set({ locked: Number(locked) })
        .where("xname", "=", xname)
        .execute();
    },
    ...groupMethods(db),
  };
}

function groupMethods(db: Kysely<Tables>): Pick<NodeStore, "putGroup" | "getGroup" | "listGroups" | "removeGroup"> {
  const listGroups: NodeStore["listGroups"] = async ({ after, limit } = {}) => {
    let query = db.selectFrom("node_group").selectAll().orderBy(sql.ref("label"));
    if (after !== undefined) query = query.where("label", ">", after);
    if (limit !== undefined) query = query.limit(limit);
    return withMembers(db, await query.execute());
  };
  return {
    putGroup: async ({ label, description, members }) => {
      const group = { label, description, members: [...new Set(members)].sort() };
      await db.transaction().execute(async (trx) => {
        for (const xname of group.members) {
          const node = await trx.selectFrom("node").select("xname").where("xname", "=", xname).executeTakeFirst();
          if (node === undefined) throw new NetkilnError("not_found", `there is no node ${xname} to put into ${label}`);
        }
        await trx
          .insertInto("node_group")
          .values({ label, description })
          .onConflict((conflict) => conflict.column("label").doUpdateSet({ description }))
          .execute();
        await trx.deleteFrom("node_group_member").where("label", "=", label).execute();
        for (const xname of group.members) await trx.insertInto("node_group_member").values({ label, xname }).execute();
      });
      return group;
    },
    getGroup: async (label) =>
      (await withMembers(db, await db.selectFrom("node_group").selectAll().where("label", "=", label).execute()))[0],
    listGroups,
    removeGroup: async (label) =>
      (await db.deleteFrom("node_group").where("label", "=", label).executeTakeFirst()).numDeletedRows > 0n,
  };
}

async function refuseConflict(db: Kysely<Tables>, { xname, nid, interfaces }: NodeInput): Promise<void> {
  const sameNid = await db
    .selectFrom("node")
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
    const owner = await db.selectFrom("node_interface").select("xname").where("mac", "=", mac).executeTakeFirst();
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
  await db
    .insertInto("node")
    .values({ xname, ...said, state: "Unknown", locked: 0 })
    .onConflict((conflict) => conflict.column("xname").doUpdateSet(said))
    .execute();
  await db.deleteFrom("node_interface").where("xname", "=", xname).execute();
  for (const [position, { mac, ip }] of input.interfaces.entries()) {
    await db
      .insertInto("node_interface")
      .values({ mac, xname, position, ip: ip ?? null })
      .execute();
  }
  await db.deleteFrom("node_group_member").where("xname", "=", xname).execute();
  for (const label of input.groups) {
    const group = db.insertInto("node_group").values({ label, description: "" });
    await group.onConflict((conflict) => conflict.doNothing()).execute();
    await db.insertInto("node_group_member").values({ label, xname }).execute();
  }
}

/** SQLite takes some 32,000 parameters in a statement. */
const namesPerQuery = 10_000;

async function withParts(db: Kysely<Tables>, rows: Tables["node"][]): Promise<Node[]> {
  const interfaces: Tables["node_interface"][] = [];
  const members: Tables["node_group_member"][] = [];
  for (let start = 0; start < rows.length; start += namesPerQuery) {
    const names = rows.slice(start, start + namesPerQuery).map(({ xname }) => xname);
    const some = db.selectFrom("node_interface").selectAll().where("xname", "in", names);
    interfaces.push(...(await some.orderBy(sql.ref("position")).execute()));
    const memberships = db.selectFrom("node_group_member").selectAll().where("xname", "in", names);
    members.push(...(await memberships.orderBy(sql.ref("label")).execute()));
  }
  const interfacesOf = Map.groupBy(interfaces, ({ xname }) => xname);
  const groupsOf = Map.groupBy(members, ({ xname }) => xname);
  return rows.map((row) => ({
    xname: row.xname,
    nid: row.nid,
    alias: aliasOf(row.nid),
    role: row.role,
    subRole: row.sub_role ?? undefined,
    arch: row.arch,
    enabled: row.enabled !== 0,
    state: row.state,
    locked: row.locked !== 0,
    interfaces: (interfacesOf.get(row.xname) ?? []).map(({ mac, ip }) => ({ mac, ip: ip ?? undefined })),
    groups: (groupsOf.get(row.xname) ?? []).map(({ label }) => label),
    kernelParameters: row.kernel_parameters,
    power: { driver: row.power_driver, options: JSON.parse(row.power_options) as Record<string, unknown> },
  }));
}

async function withMembers(db: Kysely<Tables>, groups: Tables["node_group"][]): Promise<Group[]> {
  const labels = groups.map(({ label }) => label);
  if (labels.length === 0) return [];
  const rows = await db
    .selectFrom("node_group_member")
    .selectAll()
    .where("label", "in", labels)
    .orderBy(sql.ref("xname"))
    .execute();
  const membersOf = Map.groupBy(rows, ({ label }) => label);
  return groups.map((group) => ({ ...group, members: (membersOf.get(group.label) ?? []).map(({ xname }) => xname) }));
}

function found(node: Node | undefined, xname: string): Node {
  if (node === undefined) throw new NetkilnError("not_found", `the node ${xname} was removed meanwhile`);
  return node;
}
