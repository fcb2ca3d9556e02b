import { clock } from "../lib/clock.ts";
import { sql, type Database, type Migration } from "../lib/db.ts";
import { typeOfXname, type NodeStore } from "../node/index.ts";

type Tables = {
  power_cap_task: { id: string; type: CapTask["type"]; created: string; expires: string; components: string };
};

export const migrations: Record<string, Migration> = {
  "0531-power-caps": {
    up: async (db) => {
      await db.schema
        .createTable("power_cap_task")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("type", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("expires", "text", (column) => column.notNull())
        .addColumn("components", "text", (column) => column.notNull())
        .execute();
    },
  },
};

export interface CapRequest {
  readonly type: "snapshot" | "patch";
  readonly xnames: readonly string[];
}

/** What came of it for one component: no driver can limit power, or tell limits. */
export interface CapOutcome {
  readonly xname: string;
  readonly status: "failed" | "unsupported";
  readonly error: string;
}

/** Power limits that were asked for, or were to be set. */
export interface CapTask {
  readonly id: string;
  readonly type: CapRequest["type"];
  readonly created: string;
  readonly expires: string;
  readonly components: readonly CapOutcome[];
}

export interface PowerCapStore {
  /** Over when it returns: there is nothing that would have to be waited for. */
  create(request: CapRequest): Promise<CapTask>;
  get(id: string): Promise<CapTask | undefined>;
  /** The oldest first. */
  list(): Promise<CapTask[]>;
}

const keptHours = 24;

export function openPowerCapStore(database: Database, nodes: NodeStore): PowerCapStore {
  const db = database.withTables<Tables>();
  const removeExpired = async () => {
    await db.deleteFrom("power_cap_task").where("expires", "<=", clock.now().toISOString()).execute();
  };
  return {
    create: async ({ type, xnames }) => {
      const now = clock.now();
      const task: CapTask = {
        id: clock.uuid(),
        type,
        created: now.toISOString(),
        expires: new Date(now.getTime() + keptHours * 3_600_000).toISOString(),
        components: await judge(nodes, [...new Set(xnames)]),
      };
      await removeExpired();
      await db
        .insertInto("power_cap_task")
        .values({ ...task, components: JSON.stringify(task.components) })
        .execute();
      return task;
    },
    get: async (id) => {
      await removeExpired();
      const row = await db.selectFrom("power_cap_task").selectAll().where("id", "=", id).executeTakeFirst();
      return row && toTask(row);
    },
    list: async () => {
      await removeExpired();
      const rows = db.selectFrom("power_cap_task").selectAll().orderBy(sql.ref("created")).orderBy(sql.ref("id"));
      return (await rows.execute()).map(toTask);
    },
  };
}

async function judge(nodes: NodeStore, xnames: readonly string[]): Promise<CapOutcome[]> {
  const nodeOf = new Map((await nodes.list({ xnames })).map((node) => [node.xname, node]));
  return xnames.map((xname) => {
    const node = nodeOf.get(xname);
    if (node !== undefined) {
      const error = `Power capping is not supported by the power driver ${node.power.driver}`;
      return { xname, status: "unsupported", error };
    }
    const type = typeOfXname(xname) ?? "unknown";
    if (type === "Node") return { xname, status: "failed", error: "Xname not found in HSM" };
    return { xname, status: "unsupported", error: `Type, ${type} unsupported for power capping` };
  });
}

function toTask({ components, ...row }: Tables["power_cap_task"]): CapTask {
  return { ...row, components: JSON.parse(components) as CapOutcome[] };
}
