import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { applyStaged, type AppliedStages } from "./apply-staged.ts";
import { componentWork, stageAt, takeOver, type ComponentWork } from "./component-store.ts";
import { ageInMs, readOptions, sessionOptionsOf } from "./options.ts";
import { progressOf, type SessionProgress } from "./progress.ts";
import type { SessionRequest } from "./schema.ts";
import type { SessionRow, Tables } from "./tables.ts";
import type { BootTargetState, Page, Session, SessionOptions, SessionStatus, SessionTemplate } from "./types.ts";

export interface SessionFilter {
  readonly status?: SessionStatus | undefined;
  /** Made before or at this time, and after or at that. */
  readonly until?: string | undefined;
  readonly since?: string | undefined;
}

/** What can be said of a session by hand. Null takes an end or an error back. */
export interface SessionChange {
  readonly components?: string | undefined;
  readonly status?: SessionStatus | undefined;
  readonly start_time?: string | undefined;
  readonly end_time?: string | null | undefined;
  readonly error?: string | null | undefined;
}

export interface SessionStore extends ComponentWork {
  putTemplate(template: SessionTemplate): Promise<void>;
  getTemplate(name: string): Promise<SessionTemplate | undefined>;
  listTemplates(page?: Page): Promise<SessionTemplate[]>;
  removeTemplate(name: string): Promise<boolean>;
  /** A new pending session; throws `not_found` without its template, `conflict` when the name is taken. */
  createSession(request: SessionRequest): Promise<Session>;
  getSession(name: string): Promise<Session | undefined>;
  listSessions(query?: Page & SessionFilter): Promise<Session[]>;
  /** Undefined when there is none. */
  changeSession(name: string, change: SessionChange): Promise<Session | undefined>;
  /** Its nodes are left as they are. */
  removeSession(name: string): Promise<boolean>;
  removeSessions(filter: SessionFilter): Promise<void>;
  /** Removes complete sessions that are older than the option `cleanup_completed_session_ttl` says. */
  removeOldSessions(): Promise<void>;
  /**
   * Gives the session its nodes, taking them from other sessions, or writes down at them what it has staged; and makes
   * it running. All or nothing.
   */
  setUp(name: string, targets: ReadonlyMap<string, BootTargetState | undefined>): Promise<void>;
  /** Whether it has nodes that are worked on, or at which it is staged. */
  isUnderWay(name: string): Promise<boolean>;
  complete(name: string, error: string | undefined): Promise<void>;
  /** How its components stand; when it is complete, how they stood then. */
  progress(session: Session): Promise<SessionProgress>;
  /** Keeps how its components stand now. */
  saveProgress(name: string): Promise<void>;
  failures(session: string): Promise<{ xname: string; message: string }[]>;
  applyStaged(xnames: readonly string[]): Promise<AppliedStages>;
}

export function openSessionStore(database: Database): SessionStore {
  const db = database.withTables<Tables>();
  return {
    ...templateMethods(db),
    ...sessionMethods(db),
    ...sessionWork(db),
    ...componentWork(db),
    applyStaged: (xnames) => applyStaged(db, xnames),
  };
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

type SessionMethods = Pick<
  SessionStore,
  | "createSession"
  | "getSession"
  | "listSessions"
  | "changeSession"
  | "removeSession"
  | "removeSessions"
  | "removeOldSessions"
  | "failures"
>;

function sessionMethods(db: Kysely<Tables>): SessionMethods {
  const getSession = async (name: string) => {
    const row = await db.selectFrom("boot_session").selectAll().where("name", "=", name).executeTakeFirst();
    return row === undefined ? undefined : toSession(row);
  };
  const listSessions = async ({ after, limit, ...filter }: Page & SessionFilter = {}) => {
    let query = matching(db, filter).selectAll().orderBy(sql.ref("name"));
    if (after !== undefined) query = query.where("name", ">", after);
    if (limit !== undefined) query = query.limit(limit);
    return (await query.execute()).map(toSession);
  };
  const removeSessions = (filter: SessionFilter) =>
    db.transaction().execute(async (trx) => {
      const rows = await matching(trx, filter).select("name").execute();
      for (const { name } of rows) await remove(trx, name);
    });
  return {
    createSession: async (request) => {
      const name = request.name ?? clock.uuid();
      await insertSession(db, name, request);
      const session = await getSession(name);
      if (session === undefined) throw new NetkilnError("not_found", `the session "${name}" was removed meanwhile`);
      return session;
    },
    getSession,
    listSessions,
    changeSession: async (name, change) => {
      const said = Object.entries(change).filter(([, value]) => value !== undefined);
      if (said.length > 0) {
        await db.updateTable("boot_session").set(Object.fromEntries(said)).where("name", "=", name).execute();
      }
      return getSession(name);
    },
    removeSession: (name) => db.transaction().execute((trx) => remove(trx, name)),
    removeSessions,
    removeOldSessions: async () => {
      const ms = ageInMs((await readOptions(db)).cleanup_completed_session_ttl);
      if (ms === 0) return;
      const filter = { status: "complete", until: timestamp(new Date(clock.now().getTime() - ms)) } as const;
      if ((await listSessions({ ...filter, limit: 1 })).length > 0) await removeSessions(filter);
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

async function insertSession(db: Kysely<Tables>, name: string, request: SessionRequest): Promise<void> {
  const { template_name } = request;
  const template = db.selectFrom("session_template").select("name").where("name", "=", template_name);
  if ((await template.executeTakeFirst()) === undefined) {
    throw new NetkilnError("not_found", `there is no session template "${template_name}"`);
  }
  const options = { ...sessionOptionsOf(await readOptions(db)), ...request.options };
  const result = await db
    .insertInto("boot_session")
    .values({
      name,
      operation: request.operation,
      template_name,
      limit_text: request.limit,
      stage: Number(request.stage),
      include_disabled: Number(request.include_disabled),
      options: JSON.stringify(options),
      status: "pending",
      components: "",
      start_time: timestamp(),
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if ((result.numInsertedOrUpdatedRows ?? 0n) > 0n) return;
  throw new NetkilnError("conflict", `there is already a session "${name}"`, {
    hint: "leave the name out to get a new one",
  });
}

function matching(db: Kysely<Tables>, { status, until, since }: SessionFilter) {
  let query = db.selectFrom("boot_session");
  if (status !== undefined) query = query.where("status", "=", status);
  if (until !== undefined) query = query.where("start_time", "<=", until);
  if (since !== undefined) query = query.where("start_time", ">=", since);
  return query;
}

/** Within a transaction. */
async function remove(db: Kysely<Tables>, name: string): Promise<boolean> {
  const its = db.updateTable("component").where("session", "=", name).where("active", "=", 1);
  await its.set({ active: 0, phase: "", status_override: "" }).execute();
  return (await db.deleteFrom("boot_session").where("name", "=", name).executeTakeFirst()).numDeletedRows > 0n;
}

type SessionWork = Pick<SessionStore, "setUp" | "isUnderWay" | "complete" | "progress" | "saveProgress">;

function sessionWork(db: Kysely<Tables>): SessionWork {
  const saveProgress = async (trx: Kysely<Tables>, name: string) => {
    const progress = JSON.stringify(await progressOf(trx, name));
    await trx.updateTable("boot_session").set({ progress }).where("name", "=", name).execute();
  };
  return {
    setUp: (name, targets) =>
      db.transaction().execute(async (trx) => {
        const session = await trx.selectFrom("boot_session").selectAll().where("name", "=", name).executeTakeFirst();
        if (session?.status !== "pending") return;
        // Nodes of a boot set have the same target.
        for (const [desired, group] of Map.groupBy(targets, ([, desired]) => desired)) {
          const xnames = group.map(([xname]) => xname);
          if (session.stage !== 0) await stageAt(trx, session, xnames, desired);
          else await takeOver(trx, session, xnames, desired, "session_setup");
        }
        await trx
          .updateTable("boot_session")
          .set({ status: "running", components: [...targets.keys()].join(",") })
          .where("name", "=", name)
          .execute();
      }),
    isUnderWay: async (name) => {
      const working = db.selectFrom("component").select("xname").where("session", "=", name).where("active", "=", 1);
      const staged = db.selectFrom("component").select("xname").where("staged_session", "=", name);
      return (
        (await working.limit(1).executeTakeFirst()) !== undefined ||
        (await staged.where("staged_session", "<>", "").limit(1).executeTakeFirst()) !== undefined
      );
    },
    complete: (name, error) =>
      db.transaction().execute(async (trx) => {
        const completed = await trx
          .updateTable("boot_session")
          .set({ status: "complete", error: error ?? null, end_time: timestamp() })
          .where("name", "=", name)
          .where("status", "!=", "complete")
          .executeTakeFirst();
        if (completed.numUpdatedRows > 0n) await saveProgress(trx, name);
      }),
    progress: async ({ name, status }) => {
      if (status !== "complete") return progressOf(db, name);
      const row = await db.selectFrom("boot_session").select("progress").where("name", "=", name).executeTakeFirst();
      return row?.progress == null ? progressOf(db, name) : (JSON.parse(row.progress) as SessionProgress);
    },
    saveProgress: (name) => saveProgress(db, name),
  };
}

function toSession(row: SessionRow): Session {
  return {
    name: row.name,
    operation: row.operation,
    template_name: row.template_name,
    limit: row.limit_text,
    stage: row.stage !== 0,
    include_disabled: row.include_disabled !== 0,
    options: JSON.parse(row.options) as SessionOptions,
    status: row.status,
    components: row.components,
    error: row.error ?? undefined,
    start_time: row.start_time,
    end_time: row.end_time ?? undefined,
  };
}
