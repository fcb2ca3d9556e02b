import { sql, type Database, type Kysely, type Migration } from "../../lib/db.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { ClusterDefaults, GroupData, InstanceInfo, PhoneHome } from "./types.ts";

type Kind = "defaults" | "group" | "instance" | "phone-home";

type Tables = {
  cloud_init: {
    kind: Kind;
    /** Of the group, or the xname; empty for the defaults. */
    name: string;
    /** In JSON. */
    data: string;
  };
};

export const cloudInitMigrations: Record<string, Migration> = {
  "0511-cloud-init": {
    up: async (db) => {
      await db.schema
        .createTable("cloud_init")
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("cloud_init_key", ["kind", "name"])
        .execute();
    },
  },
};

/** What is kept for one node, and for the groups that it is in. */
export interface NodeSettings {
  readonly defaults: ClusterDefaults;
  readonly instance: InstanceInfo;
  /** By name; a group of which nothing is kept is not among them. */
  readonly groups: ReadonlyMap<string, GroupData>;
}

/** What cloud-init is told beyond the inventory: for the cluster, for its groups and for single nodes. */
export interface CloudInitStore {
  defaults(): Promise<ClusterDefaults>;
  /** Changes what is given and leaves the rest. */
  changeDefaults(change: ClusterDefaults): Promise<void>;
  /** Sorted by name. */
  groups(): Promise<GroupData[]>;
  group(name: string): Promise<GroupData | undefined>;
  /** Throws `conflict` when there is one. */
  createGroup(group: GroupData): Promise<void>;
  putGroup(group: GroupData): Promise<void>;
  /** False when there was none. */
  removeGroup(name: string): Promise<boolean>;
  /** Replaces what was said of the node; an instance id that it has stays when none is given. */
  putInstance(xname: string, info: InstanceInfo): Promise<void>;
  forNode(xname: string, groups: readonly string[]): Promise<NodeSettings>;
  /** Keeps the node's last words; false when they are those that it said before in this boot. */
  putPhoneHome(xname: string, said: PhoneHome, boot: string | undefined): Promise<boolean>;
}

export function openCloudInitStore(database: Database): CloudInitStore {
  const db = database.withTables<Tables>();
  return {
    defaults: async () => (await read<ClusterDefaults>(db, "defaults", "")) ?? {},
    changeDefaults: (change) =>
      db.transaction().execute(async (trx) => {
        const said = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
        await write(trx, "defaults", "", { ...(await read<ClusterDefaults>(trx, "defaults", "")), ...said });
      }),
    groups: async () => {
      const rows = db.selectFrom("cloud_init").select("data").where("kind", "=", "group").orderBy(sql.ref("name"));
      return (await rows.execute()).map(({ data }) => JSON.parse(data) as GroupData);
    },
    group: (name) => read<GroupData>(db, "group", name),
    createGroup: (group) =>
      db.transaction().execute(async (trx) => {
        if ((await read(trx, "group", group.name)) !== undefined) {
          throw new NetkilnError("conflict", `cloud-init has data for the group ${group.name} already`, {
            hint: "use PUT to replace them",
          });
        }
        await write(trx, "group", group.name, group);
      }),
    putGroup: (group) => write(db, "group", group.name, group),
    removeGroup: async (name) => {
      const gone = db.deleteFrom("cloud_init").where("kind", "=", "group").where("name", "=", name);
      return (await gone.executeTakeFirst()).numDeletedRows > 0n;
    },
    putInstance: (xname, info) =>
      db.transaction().execute(async (trx) => {
        const before = await read<InstanceInfo>(trx, "instance", xname);
        await write(trx, "instance", xname, { ...info, instanceId: info.instanceId ?? before?.instanceId });
      }),
    forNode: (xname, groups) => settingsOf(db, xname, groups),
    putPhoneHome: (xname, said, boot) =>
      db.transaction().execute(async (trx) => {
        const words = JSON.stringify({ ...said, boot });
        if (JSON.stringify(await read(trx, "phone-home", xname)) === words) return false;
        await write(trx, "phone-home", xname, { ...said, boot });
        return true;
      }),
  };
}

async function read<T>(db: Kysely<Tables>, kind: Kind, name: string): Promise<T | undefined> {
  const rows = db.selectFrom("cloud_init").select("data").where("kind", "=", kind).where("name", "=", name);
  const row = await rows.executeTakeFirst();
  return row && (JSON.parse(row.data) as T);
}

async function write(db: Kysely<Tables>, kind: Kind, name: string, value: object): Promise<void> {
  const data = JSON.stringify(value);
  await db
    .insertInto("cloud_init")
    .values({ kind, name, data })
    .onConflict((conflict) => conflict.columns(["kind", "name"]).doUpdateSet({ data }))
    .execute();
}

/** One query: every node of a boot storm asks. */
async function settingsOf(db: Kysely<Tables>, xname: string, groups: readonly string[]): Promise<NodeSettings> {
  const rows = await db
    .selectFrom("cloud_init")
    .selectAll()
    .where((where) =>
      where.or([
        where.and([where("kind", "=", "defaults"), where("name", "=", "")]),
        where.and([where("kind", "=", "instance"), where("name", "=", xname)]),
        where.and([
          where("kind", "=", "group"),
          where("name", "in", sql<string>`(select value from json_each(${JSON.stringify(groups)}))`),
        ]),
      ]),
    )
    .execute();
  const one = (kind: Kind) => JSON.parse(rows.find((row) => row.kind === kind)?.data ?? "{}") as object;
  const ofGroups = rows.filter(({ kind }) => kind === "group");
  return {
    defaults: one("defaults"),
    instance: one("instance"),
    groups: new Map(ofGroups.map(({ name, data }) => [name, JSON.parse(data) as GroupData])),
  };
}
