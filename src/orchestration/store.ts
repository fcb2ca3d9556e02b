import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { SessionRequest } from "./schema.ts";
import type {
  ActualState,
  BootTargetState,
  Component,
  LastAction,
  Operation,
  Session,
  SessionOptions,
  SessionTemplate,
} from "./types.ts";

type Tables = {
  session_template: { name: string; document: string };
  boot_session: {
    name: string;
    operation: Operation;
    template_name: string;
    limit_text: string;
    include_disabled: number;
    options: string;
    status: Session["status"];
    components: string;
    error: string | null;
    start_time: string;
    end_time: string | null;
  };
  boot_session_failure: { session: string; xname: string; message: string };
  component: {
    xname: string;
    session: string;
    operation: Operation;
    active: number;
    desired: string | null;
    actual: string | null;
    last_action: LastAction;
    action_time: string;
    attempts: number;
    boot_id: string | null;
    options: string;
    error: string | null;
  };
};

export const migrations: Record<string, Migration> = {
  "0060-orchestration": {
    up: async (db) => {
      await db.schema
        .createTable("session_template")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("document", "text", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("boot_session")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("operation", "text", (column) => column.notNull())
        .addColumn("template_name", "text", (column) => column.notNull())
        .addColumn("limit_text", "text", (column) => column.notNull())
        .addColumn("include_disabled", "integer", (column) => column.notNull())
        .addColumn("options", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("components", "text", (column) => column.notNull())
        .addColumn("error", "text")
        .addColumn("start_time", "text", (column) => column.notNull())
        .addColumn("end_time", "text")
        .execute();
      await db.schema
        .createTable("boot_session_failure")
        .addColumn("session", "text", (column) => column.notNull().references("boot_session.name").onDelete("cascade"))
        .addColumn("xname", "text", (column) => column.notNull())
        .addColumn("message", "text", (column) => column.notNull())
        .addPrimaryKeyConstraint("boot_session_failure_key", ["session", "xname"])
        .execute();
      await db.schema
        .createTable("component")
        .addColumn("xname", "text", (column) => column.primaryKey())
        .addColumn("session", "text", (column) => column.notNull())
        .addColumn("operation", "text", (column) => column.notNull())
        .addColumn("active", "integer", (column) => column.notNull())
        .addColumn("desired", "text")
        .addColumn("actual", "text")
        .addColumn("last_action", "text", (column) => column.notNull())
        .addColumn("action_time", "text", (column) => column.notNull())
        .addColumn("attempts", "integer", (column) => column.notNull())
        .addColumn("boot_id", "text")
        .addColumn("options", "text", (column) => column.notNull())
        .addColumn("error", "text")
        .execute();
      await db.schema.createIndex("component_session").on("component").columns(["session", "active"]).execute();
    },
  },
};

interface Page {
  readonly after?: string | undefined;
  readonly limit?: number | undefined;
}

export interface RecordedAction {
  readonly lastAction: LastAction;
  /** With a try: the boot that it began, and its number. */
  readonly bootId?: string;
  readonly attempts?: number;
}

export interface SessionStore {
  putTemplate(template: SessionTemplate): Promise<void>;
  getTemplate(name: string): Promise<SessionTemplate | undefined>;
  listTemplates(page?: Page): Promise<SessionTemplate[]>;
  removeTemplate(name: string): Promise<boolean>;
  /** A new pending session; throws `not_found` without its template, `conflict` when the name is taken. */
  createSession(request: SessionRequest): Promise<Session>;
  getSession(name: string): Promise<Session | undefined>;
  listSessions(page?: Page & { status?: Session["status"] | undefined }): Promise<Session[]>;
  /** Its nodes are left as they are. */
  removeSession(name: string): Promise<boolean>;
  /** Gives the session its nodes, taking them from other sessions, and makes it running; all or nothing. */
  setUp(name: string, targets: ReadonlyMap<string, BootTargetState | undefined>): Promise<void>;
  complete(name: string, error: string | undefined): Promise<void>;
  failures(session: string): Promise<{ xname: string; message: string }[]>;
  getComponent(xname: string): Promise<Component | undefined>;
  listComponents(query?: Page & { session?: string | undefined; active?: boolean | undefined }): Promise<Component[]>;
  /** Writes what was done; nothing happens when another session has taken the node. */
  recordAction(component: Component, action: RecordedAction): Promise<void>;
  /** Ends the session's work on the node, with what it runs now or with why it failed. */
  finish(component: Component, result: { actual: ActualState | undefined } | { error: string }): Promise<void>;
}

export function openSessionStore(database: Database): SessionStore {
  const db = database.withTables<Tables>();
  return { ...templateMethods(db), ...sessionMethods(db), ...componentMethods(db) };
}

type TemplateMethods = Pick<SessionStore, "putTemplate" | "getTemplate" | "listTemplates" | "removeTemplate">;

function templateMethods(db: Kysely<Tables>): TemplateMethods {
  const parse = (row: { document: string }) => JSON.parse(row.document) as SessionTemplate;
  return {
    putTemplate: async (template) => {
      const document = JSON.stringify(template);
      await db
        .insertInto("session_template")
        .values({ name: template.name, document })
        .onConflict((conflict) => conflict.column("name").doUpdateSet({ document }))
        .execute();
    },
    getTemplate: async (name) => {
      const row = await db.selectFrom("session_template").selectAll().where("name", "=", name).executeTakeFirst();
      return row === undefined ? undefined : parse(row);
    },
    listTemplates: async ({ after, limit } = {}) => {
      let query = db.selectFrom("session_template").selectAll().orderBy(sql.ref("name"));
      if (after !== undefined) query = query.where("name", ">", after);
      if (limit !== undefined) query = query.limit(limit);
      return (await query.execute()).map(parse);
    },
    removeTemplate: async (name) =>
      (await db.deleteFrom("session_template").where("name", "=", name).executeTakeFirst()).numDeletedRows > 0n,
  };
}

type ComponentMethods = Pick<SessionStore, "getComponent" | "listComponents" | "recordAction" | "finish">;
type SessionMethods = Omit<SessionStore, keyof TemplateMethods | keyof ComponentMethods>;

function sessionMethods(db: Kysely<Tables>): SessionMethods {
  const rowOf = (name: string) => db.selectFrom("boot_session").selectAll().where("name", "=", name).executeTakeFirst();
  const getSession = async (name: string) => {
    const row = await rowOf(name);
    return row === undefined ? undefined : toSession(row);
  };
  return {
    createSession: async (request) => {
      const name = request.name ?? clock.uuid();
      const { template_name } = request;
      const template = db.selectFrom("session_template").select("name").where("name", "=", template_name);
      if ((await template.executeTakeFirst()) === undefined) {
        throw new NetkilnError("not_found", `there is no session template "${template_name}"`);
      }
      const result = await db
        .insertInto("boot_session")
        .values({
          name,
          operation: request.operation,
          template_name,
          limit_text: request.limit,
          include_disabled: Number(request.include_disabled),
          options: JSON.stringify(request.options),
          status: "pending",
          components: "",
          start_time: timestamp(),
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if ((result.numInsertedOrUpdatedRows ?? 0n) === 0n) {
        throw new NetkilnError("conflict", `there is already a session "${name}"`, {
          hint: "leave the name out to get a new one",
        });
      }
      const session = await getSession(name);
      if (session === undefined) throw new NetkilnError("not_found", `the session "${name}" was removed meanwhile`);
      return session;
    },
    getSession,
    listSessions: async ({ after, limit, status } = {}) => {
      let query = db.selectFrom("boot_session").selectAll().orderBy(sql.ref("name"));
      if (after !== undefined) query = query.where("name", ">", after);
      if (status !== undefined) query = query.where("status", "=", status);
      if (limit !== undefined) query = query.limit(limit);
      return (await query.execute()).map(toSession);
    },
    removeSession: async (name) =>
      db.transaction().execute(async (trx) => {
        await trx.updateTable("component").set({ active: 0 }).where("session", "=", name).execute();
        return (await trx.deleteFrom("boot_session").where("name", "=", name).executeTakeFirst()).numDeletedRows > 0n;
      }),
    setUp: (name, targets) =>
      db.transaction().execute(async (trx) => {
        const session = await trx.selectFrom("boot_session").selectAll().where("name", "=", name).executeTakeFirst();
        if (session?.status !== "pending") return;
        for (const [xname, desired] of targets) await takeOver(trx, session, xname, desired);
        await trx
          .updateTable("boot_session")
          .set({ status: "running", components: [...targets.keys()].join(",") })
          .where("name", "=", name)
          .execute();
      }),
    complete: async (name, error) => {
      await db
        .updateTable("boot_session")
        .set({ status: "complete", error: error ?? null, end_time: timestamp() })
        .where("name", "=", name)
        .where("status", "!=", "complete")
        .execute();
    },
    failures: (session) =>
      db
        .selectFrom("boot_session_failure")
        .select(["xname", "message"])
        .where("session", "=", session)
        .orderBy(sql.ref("xname"))
        .execute(),
  };
}

async function takeOver(
  db: Kysely<Tables>,
  session: Tables["boot_session"],
  xname: string,
  desired: BootTargetState | undefined,
): Promise<void> {
  const fresh = {
    session: session.name,
    operation: session.operation,
    active: 1,
    desired: desired === undefined ? null : JSON.stringify(desired),
    last_action: "" as const,
    action_time: clock.now().toISOString(),
    attempts: 0,
    boot_id: null,
    options: session.options,
    error: null,
    // What is to be rebooted does not count as running anything already.
    ...(session.operation === "reboot" && { actual: null }),
  };
  await db
    .insertInto("component")
    .values({ xname, ...fresh })
    .onConflict((conflict) => conflict.column("xname").doUpdateSet(fresh))
    .execute();
}

function componentMethods(db: Kysely<Tables>): ComponentMethods {
  const owned = ({ xname, session }: Component, within: Kysely<Tables> = db) =>
    within.updateTable("component").where("xname", "=", xname).where("session", "=", session).where("active", "=", 1);
  return {
    getComponent: async (xname) => {
      const row = await db.selectFrom("component").selectAll().where("xname", "=", xname).executeTakeFirst();
      return row === undefined ? undefined : toComponent(row);
    },
    listComponents: async ({ after, limit, session, active } = {}) => {
      let query = db.selectFrom("component").selectAll().orderBy(sql.ref("xname"));
      if (after !== undefined) query = query.where("xname", ">", after);
      if (session !== undefined) query = query.where("session", "=", session);
      if (active !== undefined) query = query.where("active", "=", Number(active));
      if (limit !== undefined) query = query.limit(limit);
      return (await query.execute()).map(toComponent);
    },
    recordAction: async (component, { lastAction, attempts, bootId }) => {
      await owned(component)
        .set({
          last_action: lastAction,
          action_time: clock.now().toISOString(),
          ...(attempts !== undefined && { attempts }),
          ...(bootId !== undefined && { boot_id: bootId }),
        })
        .execute();
    },
    finish: (component, result) =>
      db.transaction().execute(async (trx) => {
        const error = "error" in result ? result.error : null;
        const actual = "actual" in result && result.actual !== undefined ? JSON.stringify(result.actual) : null;
        const changed = await owned(component, trx).set({ active: 0, error, actual }).executeTakeFirst();
        if (error === null || changed.numUpdatedRows === 0n) return;
        const { session, xname } = component;
        await trx.insertInto("boot_session_failure").values({ session, xname, message: error }).execute();
      }),
  };
}

function toSession(row: Tables["boot_session"]): Session {
  return {
    name: row.name,
    operation: row.operation,
    template_name: row.template_name,
    limit: row.limit_text,
    include_disabled: row.include_disabled !== 0,
    options: JSON.parse(row.options) as SessionOptions,
    status: row.status,
    components: row.components,
    error: row.error ?? undefined,
    start_time: row.start_time,
    end_time: row.end_time ?? undefined,
  };
}

function toComponent(row: Tables["component"]): Component {
  return {
    xname: row.xname,
    session: row.session,
    operation: row.operation,
    active: row.active !== 0,
    desired: row.desired === null ? undefined : (JSON.parse(row.desired) as BootTargetState),
    actual: row.actual === null ? undefined : (JSON.parse(row.actual) as ActualState),
    lastAction: row.last_action,
    actionTime: row.action_time,
    attempts: row.attempts,
    bootId: row.boot_id ?? undefined,
    options: JSON.parse(row.options) as SessionOptions,
    error: row.error ?? undefined,
  };
}
