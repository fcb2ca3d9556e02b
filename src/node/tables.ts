import { sql, type Kysely, type Migration } from "../lib/db.ts";
import { countChanges } from "../lib/revision.ts";
import type { NodePower } from "./types.ts";

export type ComponentRow = {
  xname: string;
  type: string;
  state: string;
  flag: string;
  enabled: number;
  software_status: string | null;
  role: string | null;
  sub_role: string | null;
  /** Every node has one; other components may. */
  nid: number | null;
  subtype: string | null;
  net_type: string | null;
  arch: string;
  class: string | null;
  locked: number;
  reservation_disabled: number;
  kernel_parameters: string;
  power_driver: NodePower["driver"];
  power_options: string;
};

export type EndpointRow = {
  xname: string;
  type: string;
  fqdn: string | null;
  uuid: string | null;
  mac: string | null;
  ip: string | null;
  last_status: string;
  /** The endpoint as it is shown, in JSON. */
  data: string;
};

/** The tables of the inventory. What stands in `xname` elsewhere need not be a component: HSM lets names come first. */
export type Tables = {
  inventory_component: ComponentRow;
  inventory_interface: {
    mac: string;
    /** Empty while nobody said whose it is. */
    xname: string;
    /** The type of what it belongs to, or empty. */
    type: string;
    position: number;
    description: string;
    updated: string;
  };
  inventory_address: { mac: string; ip: string; network: string; position: number };
  inventory_group: {
    /** `group` or `partition`, which have names of their own. */
    kind: "group" | "partition";
    label: string;
    description: string;
    tags: string;
    /** Of the groups of one such name a component is in one at most. */
    exclusive: string | null;
  };
  inventory_member: { kind: "group" | "partition"; label: string; xname: string; exclusive: string | null };
  inventory_reservation: {
    xname: string;
    created: string;
    expires: string | null;
    deputy_key: string;
    reservation_key: string;
    /** Which part of netkiln made it; null when a client did. */
    holder: string | null;
  };
  inventory_endpoint: EndpointRow;
  inventory_endpoint_part: {
    xname: string;
    endpoint: string;
    type: string;
    redfish_type: string;
    data: string;
  };
  inventory_node_map: { xname: string; nid: number; role: string | null; sub_role: string | null };
  inventory_power_map: { xname: string; powered_by: string };
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
  "0400-inventory": {
    up: async (db) => {
      await createComponents(db);
      await createInterfaces(db);
      await createGroups(db);
      await createReservations(db);
      await createEndpoints(db);
      await createMaps(db);
      await moveNodes(db);
    },
  },
  "0532-reservation-holder": {
    up: async (db) => {
      await db.schema.alterTable("inventory_reservation").addColumn("holder", "text").execute();
    },
  },
  "0500-inventory-revision": {
    // States come and go with every boot, and decide nothing about it.
    up: (db) =>
      countChanges(db, "inventory", {
        inventory_component: ["xname", "type", "nid", "role", "enabled", "kernel_parameters"],
        inventory_interface: ["mac", "xname", "position"],
      }),
  },
};

// oxlint-disable-next-line typescript/no-explicit-any -- as migrations get it
type Schema = Kysely<any>;

/** What components are filtered by; with the xname behind it, each gives a page in its order. */
const filtered = ["type", "state", "flag", "software_status", "role", "sub_role", "class", "arch"] as const;

async function createComponents(db: Schema): Promise<void> {
  await db.schema
    .createTable("inventory_component")
    .addColumn("xname", "text", (column) => column.primaryKey())
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("flag", "text", (column) => column.notNull())
    .addColumn("enabled", "integer", (column) => column.notNull())
    .addColumn("software_status", "text", (column) => column.modifyEnd(sql`collate nocase`))
    .addColumn("role", "text")
    .addColumn("sub_role", "text")
    .addColumn("nid", "integer", (column) => column.unique())
    .addColumn("subtype", "text")
    .addColumn("net_type", "text")
    .addColumn("arch", "text", (column) => column.notNull())
    .addColumn("class", "text")
    .addColumn("locked", "integer", (column) => column.notNull())
    .addColumn("reservation_disabled", "integer", (column) => column.notNull())
    .addColumn("kernel_parameters", "text", (column) => column.notNull())
    .addColumn("power_driver", "text", (column) => column.notNull())
    .addColumn("power_options", "text", (column) => column.notNull())
    .execute();
  for (const column of filtered) {
    await db.schema
      .createIndex(`inventory_component_${column}`)
      .on("inventory_component")
      .columns([column, "xname"])
      .execute();
  }
  // Of these only the rare value is worth an index.
  for (const [column, value] of [
    ["enabled", 0],
    ["locked", 1],
    ["reservation_disabled", 1],
  ] as const) {
    await db.schema
      .createIndex(`inventory_component_${column}`)
      .on("inventory_component")
      .column("xname")
      .where(sql.ref(column), "=", sql.lit(value))
      .execute();
  }
}

async function createInterfaces(db: Schema): Promise<void> {
  await db.schema
    .createTable("inventory_interface")
    .addColumn("mac", "text", (column) => column.primaryKey())
    .addColumn("xname", "text", (column) => column.notNull())
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("position", "integer", (column) => column.notNull())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("updated", "text", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("inventory_interface_xname").on("inventory_interface").column("xname").execute();
  await db.schema.createIndex("inventory_interface_type").on("inventory_interface").column("type").execute();
  await db.schema
    .createTable("inventory_address")
    .addColumn("mac", "text", (column) => column.notNull().references("inventory_interface.mac").onDelete("cascade"))
    .addColumn("ip", "text", (column) => column.notNull())
    .addColumn("network", "text", (column) => column.notNull())
    .addColumn("position", "integer", (column) => column.notNull())
    .addPrimaryKeyConstraint("inventory_address_key", ["mac", "ip"])
    .execute();
  await db.schema.createIndex("inventory_address_ip").on("inventory_address").column("ip").execute();
  await db.schema.createIndex("inventory_address_network").on("inventory_address").column("network").execute();
}

async function createGroups(db: Schema): Promise<void> {
  await db.schema
    .createTable("inventory_group")
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("label", "text", (column) => column.notNull())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("tags", "text", (column) => column.notNull())
    .addColumn("exclusive", "text")
    .addPrimaryKeyConstraint("inventory_group_key", ["kind", "label"])
    .execute();
  await db.schema
    .createTable("inventory_member")
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("label", "text", (column) => column.notNull())
    .addColumn("xname", "text", (column) => column.notNull())
    .addColumn("exclusive", "text")
    .addPrimaryKeyConstraint("inventory_member_key", ["kind", "label", "xname"])
    .addUniqueConstraint("inventory_member_once", ["xname", "kind", "exclusive"])
    .addForeignKeyConstraint(
      "inventory_member_group",
      ["kind", "label"],
      "inventory_group",
      ["kind", "label"],
      (constraint) => constraint.onDelete("cascade"),
    )
    .execute();
}

async function createReservations(db: Schema): Promise<void> {
  await db.schema
    .createTable("inventory_reservation")
    .addColumn("xname", "text", (column) =>
      column.primaryKey().references("inventory_component.xname").onDelete("cascade"),
    )
    .addColumn("created", "text", (column) => column.notNull())
    .addColumn("expires", "text")
    .addColumn("deputy_key", "text", (column) => column.notNull())
    .addColumn("reservation_key", "text", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("inventory_reservation_expires").on("inventory_reservation").column("expires").execute();
}

async function createEndpoints(db: Schema): Promise<void> {
  await db.schema
    .createTable("inventory_endpoint")
    .addColumn("xname", "text", (column) => column.primaryKey())
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("fqdn", "text", (column) => column.unique())
    .addColumn("uuid", "text")
    .addColumn("mac", "text")
    .addColumn("ip", "text")
    .addColumn("last_status", "text", (column) => column.notNull())
    .addColumn("data", "text", (column) => column.notNull())
    .execute();
  for (const column of ["type", "uuid", "mac", "ip"]) {
    await db.schema
      .createIndex(`inventory_endpoint_${column}`)
      .on("inventory_endpoint")
      .columns([column, "xname"])
      .execute();
  }
  await db.schema
    .createTable("inventory_endpoint_part")
    .addColumn("xname", "text", (column) => column.primaryKey())
    .addColumn("endpoint", "text", (column) =>
      column.notNull().references("inventory_endpoint.xname").onDelete("cascade"),
    )
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("redfish_type", "text", (column) => column.notNull())
    .addColumn("data", "text", (column) => column.notNull())
    .execute();
  for (const column of ["endpoint", "type"]) {
    await db.schema
      .createIndex(`inventory_endpoint_part_${column}`)
      .on("inventory_endpoint_part")
      .columns([column, "xname"])
      .execute();
  }
}

async function createMaps(db: Schema): Promise<void> {
  await db.schema
    .createTable("inventory_node_map")
    .addColumn("xname", "text", (column) => column.primaryKey())
    .addColumn("nid", "integer", (column) => column.notNull().unique())
    .addColumn("role", "text")
    .addColumn("sub_role", "text")
    .execute();
  await db.schema
    .createTable("inventory_power_map")
    .addColumn("xname", "text", (column) => column.primaryKey())
    .addColumn("powered_by", "text", (column) => column.notNull())
    .execute();
}

/** The nodes of before become components of the type Node, and what belongs to them goes along. */
async function moveNodes(db: Schema): Promise<void> {
  await sql`
    insert into inventory_component
      (xname, type, state, flag, enabled, role, sub_role, nid, net_type, arch, locked, reservation_disabled,
       kernel_parameters, power_driver, power_options)
    select xname, 'Node', state, 'OK', enabled, role, sub_role, nid, 'Sling', arch, locked, 0,
       kernel_parameters, power_driver, power_options from node`.execute(db);
  await sql`
    insert into inventory_interface (mac, xname, type, position, description, updated)
    select mac, xname, 'Node', position, '', strftime('%Y-%m-%dT%H:%M:%SZ', 'now') from node_interface`.execute(db);
  await sql`
    insert into inventory_address (mac, ip, network, position)
    select mac, ip, '', 0 from node_interface where ip is not null`.execute(db);
  await sql`
    insert into inventory_group (kind, label, description, tags)
    select 'group', label, description, '[]' from node_group`.execute(db);
  await sql`
    insert into inventory_member (kind, label, xname)
    select 'group', label, xname from node_group_member`.execute(db);
  for (const table of ["node_group_member", "node_group", "node_interface", "node"]) {
    await db.schema.dropTable(table).execute();
  }
}
