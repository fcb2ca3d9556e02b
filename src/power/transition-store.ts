import { clock } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type Migration } from "../lib/db.ts";
import type {
  PowerAction,
  PowerOperation,
  TaskCounts,
  TaskStatus,
  Transition,
  TransitionStatus,
  TransitionTask,
} from "./transition-types.ts";

type Tables = {
  power_transition: {
    id: string;
    operation: PowerOperation;
    deadline_minutes: number;
    created: string;
    expires: string;
    status: TransitionStatus;
  };
  power_transition_task: {
    transition_id: string;
    xname: string;
    position: number;
    status: TaskStatus;
    description: string;
    error: string | null;
    deputy_key: string | null;
    reservation_key: string | null;
    action: PowerAction | null;
    action_time: string | null;
    answered: number;
  };
};

export const migrations: Record<string, Migration> = {
  "0530-power-transitions": {
    up: async (db) => {
      await db.schema
        .createTable("power_transition")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("operation", "text", (column) => column.notNull())
        .addColumn("deadline_minutes", "integer", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("expires", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("power_transition_task")
        .addColumn("transition_id", "text", (column) =>
          column.notNull().references("power_transition.id").onDelete("cascade"),
        )
        .addColumn("xname", "text", (column) => column.notNull())
        .addColumn("position", "integer", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("description", "text", (column) => column.notNull())
        .addColumn("error", "text")
        .addColumn("deputy_key", "text")
        .addColumn("reservation_key", "text")
        .addColumn("action", "text")
        .addColumn("action_time", "text")
        .addColumn("answered", "integer", (column) => column.notNull())
        .addPrimaryKeyConstraint("power_transition_task_key", ["transition_id", "xname"])
        .execute();
    },
  },
};

export interface NewTransition {
  readonly operation: PowerOperation;
  readonly deadlineMinutes: number;
  readonly components: readonly { readonly xname: string; readonly deputyKey: string | undefined }[];
}

/** Transitions and their tasks, for a day. */
export interface TransitionStore {
  /** One task for each xname, also when it is named twice. */
  create(given: NewTransition): Promise<Transition>;
  get(id: string): Promise<Transition | undefined>;
  /** The oldest first. */
  list(): Promise<Transition[]>;
  /** In the order in which they were given. */
  tasks(id: string): Promise<TransitionTask[]>;
  /** The ids of those that are not completed or aborted. */
  unfinished(): Promise<string[]>;
  /** From `new` to `in-progress`; undefined when there is nothing more to do. */
  begin(id: string): Promise<Transition | undefined>;
  /** Nothing changes when it is finished. Undefined when there is none. */
  signalAbort(id: string): Promise<Transition | undefined>;
  isAborting(id: string): Promise<boolean>;
  write(id: string, tasks: readonly TransitionTask[]): Promise<void>;
  /** Completed, or aborted when that was asked for, once no task is left. */
  finish(id: string): Promise<void>;
  /** What is finished goes when its time has come. */
  removeExpired(): Promise<void>;
}

const keptHours = 24;
const none: TaskCounts = { new: 0, "in-progress": 0, failed: 0, succeeded: 0, unsupported: 0 };

export function openTransitionStore(database: Database): TransitionStore {
  const db = database.withTables<Tables>();
  const rowsOf = (id: string) => db.selectFrom("power_transition").selectAll().where("id", "=", id);
  const get = async (id: string) => (await withCounts(db, await rowsOf(id).execute(), id))[0];
  return {
    create: async (given) => {
      const id = clock.uuid();
      await db.transaction().execute(async (trx) => insert(trx, id, given));
      const made = await get(id);
      if (made === undefined) throw new Error(`the transition ${id} is gone`);
      return made;
    },
    get,
    list: async () => {
      const rows = db.selectFrom("power_transition").selectAll().orderBy(sql.ref("created")).orderBy(sql.ref("id"));
      return withCounts(db, await rows.execute());
    },
    tasks: async (id) => {
      const rows = db.selectFrom("power_transition_task").selectAll().where("transition_id", "=", id);
      return (await rows.orderBy(sql.ref("position")).execute()).map(toTask);
    },
    unfinished: async () => {
      const rows = db.selectFrom("power_transition").select("id").where("status", "not in", ["completed", "aborted"]);
      return (await rows.execute()).map(({ id }) => id);
    },
    begin: async (id) => {
      const begun = db.updateTable("power_transition").set({ status: "in-progress" }).where("id", "=", id);
      await begun.where("status", "=", "new").execute();
      const transition = await get(id);
      return transition?.status === "completed" || transition?.status === "aborted" ? undefined : transition;
    },
    signalAbort: async (id) => {
      const signaled = db.updateTable("power_transition").set({ status: "abort-signaled" }).where("id", "=", id);
      await signaled.where("status", "in", ["new", "in-progress"]).execute();
      return get(id);
    },
    isAborting: async (id) => (await rowsOf(id).executeTakeFirst())?.status === "abort-signaled",
    write: async (id, tasks) => writeTasks(db, id, tasks),
    finish: async (id) => {
      await sql`
        update power_transition set status = iif(status = 'abort-signaled', 'aborted', 'completed')
        where id = ${id} and status not in ('completed', 'aborted') and not exists (
          select 1 from power_transition_task where transition_id = ${id} and status in ('new', 'in-progress'))`.execute(
        db,
      );
    },
    removeExpired: async () => {
      const expired = db.deleteFrom("power_transition").where("expires", "<=", clock.now().toISOString());
      await expired.where("status", "in", ["completed", "aborted"]).execute();
    },
  };
}

async function insert(db: Kysely<Tables>, id: string, given: NewTransition): Promise<void> {
  const now = clock.now();
  await db
    .insertInto("power_transition")
    .values({
      id,
      operation: given.operation,
      deadline_minutes: given.deadlineMinutes,
      created: now.toISOString(),
      expires: new Date(now.getTime() + keptHours * 3_600_000).toISOString(),
      status: "new",
    })
    .execute();
  await sql`
    insert into power_transition_task (transition_id, xname, position, status, description, deputy_key, answered)
    select ${id}, value ->> '$.xname', key, 'new', 'Gathering data', value ->> '$.deputyKey', 0
    from json_each(${JSON.stringify(given.components)}) where true
    on conflict do nothing`.execute(db);
}

/** Every row is there already; as an insert that conflicts, each is found by its key. */
async function writeTasks(db: Kysely<Tables>, id: string, tasks: readonly TransitionTask[]): Promise<void> {
  if (tasks.length === 0) return;
  const rows = tasks.map((task) => ({ ...task, answered: Number(task.answered) }));
  await sql`
    insert into power_transition_task (transition_id, xname, position, status, description, error, deputy_key,
      reservation_key, action, action_time, answered)
    select ${id}, value ->> '$.xname', 0, value ->> '$.status', value ->> '$.description', value ->> '$.error',
      value ->> '$.deputyKey', value ->> '$.reservationKey', value ->> '$.action', value ->> '$.actionTime',
      value ->> '$.answered'
    from json_each(${JSON.stringify(rows)}) where true
    on conflict (transition_id, xname) do update set
      status = excluded.status, description = excluded.description, error = excluded.error,
      deputy_key = excluded.deputy_key, reservation_key = excluded.reservation_key, action = excluded.action,
      action_time = excluded.action_time, answered = excluded.answered`.execute(db);
}

async function withCounts(
  db: Kysely<Tables>,
  rows: readonly Tables["power_transition"][],
  id?: string,
): Promise<Transition[]> {
  let counted = db
    .selectFrom("power_transition_task")
    .select(["transition_id", "status", (select) => select.fn.countAll().as("count")])
    .groupBy(["transition_id", "status"]);
  if (id !== undefined) counted = counted.where("transition_id", "=", id);
  const countsOf = Map.groupBy(await counted.execute(), ({ transition_id }) => transition_id);
  return rows.map((row) => {
    const counts = (countsOf.get(row.id) ?? []).map(({ status, count }) => [status, Number(count)]);
    return {
      id: row.id,
      operation: row.operation,
      deadlineMinutes: row.deadline_minutes,
      created: row.created,
      expires: row.expires,
      status: row.status,
      counts: { ...none, ...(Object.fromEntries(counts) as Partial<TaskCounts>) },
    };
  });
}

function toTask(row: Tables["power_transition_task"]): TransitionTask {
  return {
    xname: row.xname,
    status: row.status,
    description: row.description,
    error: row.error ?? undefined,
    deputyKey: row.deputy_key ?? undefined,
    reservationKey: row.reservation_key ?? undefined,
    action: row.action ?? undefined,
    actionTime: row.action_time ?? undefined,
    answered: row.answered !== 0,
  };
}
