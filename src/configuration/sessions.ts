import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Tables } from "./migrations.ts";
import {
  sessionResults,
  sessionStatuses,
  type Artifact,
  type ConfigurationSession,
  type ConfigurationSessionRequest,
  type SessionImage,
  type SessionStatus,
  type SessionSucceeded,
  type SessionTarget,
} from "./types.ts";

/** All that are given have to be true of a session. */
export interface SessionFilter {
  readonly status?: SessionStatus | undefined;
  readonly succeeded?: SessionSucceeded | undefined;
  readonly nameContains?: string | undefined;
  readonly job?: string | undefined;
  readonly definition?: SessionTarget["definition"] | undefined;
  /** As `3d`: begun at least, and at most, so long ago. */
  readonly minAge?: string | undefined;
  readonly maxAge?: string | undefined;
  readonly tags?: readonly (readonly [name: string, value: string])[] | undefined;
}

/** How far a session is. What would step back is left out: several may report, in any order. */
export interface SessionProgress {
  readonly status?: SessionStatus;
  readonly succeeded?: SessionSucceeded;
  readonly startTime?: string;
  readonly completionTime?: string;
  readonly job?: string;
  readonly imsJob?: string;
  readonly run?: string;
  readonly error?: string;
  /** Added to those that are there. */
  readonly artifacts?: readonly Artifact[];
  /** In the place of those that are there. */
  readonly images?: readonly SessionImage[];
}

export interface ConfigurationSessionStore {
  /** Throws `conflict` when the name is taken, `invalid_input` for a configuration that is not there or a bad target. */
  create(request: ConfigurationSessionRequest): Promise<ConfigurationSession>;
  find(name: string): Promise<ConfigurationSession | undefined>;
  /** The session that a run is of, while there is one. */
  findByRun(run: string): Promise<ConfigurationSession | undefined>;
  list(
    query: SessionFilter & { readonly after?: string | undefined; readonly limit?: number },
  ): Promise<ConfigurationSession[]>;
  /** Throws `not_found`; with `keepJob`, `conflict` when the job would become another. */
  report(name: string, progress: SessionProgress, options?: { keepJob?: boolean }): Promise<ConfigurationSession>;
  /** False when there is none. */
  remove(name: string): Promise<boolean>;
  /** Only when nobody has begun it by now. */
  removePending(name: string): Promise<boolean>;
  /** The names of those that were removed. */
  removeWhere(filter: SessionFilter): Promise<string[]>;
}

export function openConfigurationSessions(database: Database): ConfigurationSessionStore {
  const db = database.withTables<Tables>();
  const find = async (name: string) => {
    const row = await db.selectFrom("configuration_session").selectAll().where("name", "=", name).executeTakeFirst();
    return row === undefined ? undefined : toSession(row);
  };
  return {
    find,
    findByRun: async (run) => {
      const rows = db.selectFrom("configuration_session").selectAll();
      const row = await rows.where(sql<boolean>`data ->> '$.run' = ${run}`).executeTakeFirst();
      return row === undefined ? undefined : toSession(row);
    },
    create: async (request) => {
      checkTarget(request.target);
      return db.transaction().execute(async (trx) => {
        const { name, configuration } = request;
        const taken = trx.selectFrom("configuration_session").select("name").where("name", "=", name);
        if ((await taken.executeTakeFirst()) !== undefined) {
          throw new NetkilnError("conflict", `A session with the name ${name} already exists`);
        }
        const known = trx.selectFrom("configuration").select("name").where("name", "=", configuration);
        // Debugging ones come with the engine, not from a table.
        if ((await known.executeTakeFirst()) === undefined && !configuration.startsWith("debug_")) {
          throw new NetkilnError("invalid_input", `No configurations exist named ${configuration}`);
        }
        const session: ConfigurationSession = {
          ...request,
          status: "pending",
          succeeded: "none",
          startTime: timestamp(),
          artifacts: [],
          images: imagesOf(request.target),
        };
        await trx.insertInto("configuration_session").values(toRow(session)).execute();
        return session;
      });
    },
    list: async ({ after = "", limit, ...filter }) => {
      let query = rowsOf(db, filter).where("name", ">", after).orderBy("name");
      if (limit !== undefined) query = query.limit(limit);
      return (await query.execute()).map(toSession);
    },
    report: async (name, progress, { keepJob = false } = {}) =>
      db.transaction().execute(async (trx) => {
        const rows = trx.selectFrom("configuration_session").selectAll().where("name", "=", name);
        const row = await rows.executeTakeFirst();
        if (row === undefined) throw new NetkilnError("not_found", `Session ${name} could not be found`);
        const session = toSession(row);
        if (keepJob && session.job !== undefined && progress.job !== undefined) {
          throw new NetkilnError("conflict", `Session ${name} could not be patched: its job is already ${session.job}`);
        }
        const after = advanced(session, progress);
        await trx.updateTable("configuration_session").set(toRow(after)).where("name", "=", name).execute();
        return after;
      }),
    remove: async (name) =>
      (await db.deleteFrom("configuration_session").where("name", "=", name).executeTakeFirst()).numDeletedRows > 0n,
    removePending: async (name) => {
      const pending = db.deleteFrom("configuration_session").where("name", "=", name).where("status", "=", "pending");
      return (await pending.executeTakeFirst()).numDeletedRows > 0n;
    },
    removeWhere: async (filter) =>
      db.transaction().execute(async (trx) => {
        const names = (await rowsOf(trx, filter).orderBy("name").execute()).map(({ name }) => name);
        await sql`delete from configuration_session
          where name in (select value from json_each(${JSON.stringify(names)}))`.execute(trx);
        return names;
      }),
  };
}

function rowsOf(db: Kysely<Tables>, filter: SessionFilter) {
  const { status, succeeded, nameContains, job, definition, minAge, maxAge, tags = [] } = filter;
  let query = db.selectFrom("configuration_session").selectAll();
  if (status !== undefined) query = query.where("status", "=", status);
  if (succeeded !== undefined) query = query.where("succeeded", "=", succeeded);
  if (nameContains !== undefined) query = query.where(sql<boolean>`instr(name, ${nameContains}) > 0`);
  if (job !== undefined) query = query.where(sql<boolean>`data ->> '$.job' = ${job}`);
  if (definition !== undefined) query = query.where(sql<boolean>`data ->> '$.target.definition' = ${definition}`);
  if (minAge !== undefined) query = query.where("start_time", "<=", agoOf(minAge));
  if (maxAge !== undefined) query = query.where("start_time", ">=", agoOf(maxAge));
  for (const [name, value] of tags) {
    query = query.where(sql<boolean>`exists (select 1 from json_each(tags) where key = ${name} and value = ${value})`);
  }
  return query;
}

const unitSeconds: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400, w: 604_800 };

/** When it was an age (`90m`, `24h`, `3d`, `1w`) ago. */
function agoOf(age: string): string {
  const [, count, unit = ""] = /^(\d+)([mhdw])$/i.exec(age) ?? [];
  const seconds = unitSeconds[unit.toLowerCase()];
  if (seconds === undefined) throw new NetkilnError("invalid_input", `"${age}" is no age such as 90m, 24h, 3d or 1w`);
  // The beginning of our calendar, for ages beyond it.
  return timestamp(new Date(Math.max(clock.now().getTime() - Number(count) * seconds * 1000, 0)));
}

const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** Names that come to stand in Ansible's inventory (INI), where brackets and colons mean something. */
const groupName = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** They come to stand in options of ssh. */
const hostName = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

function checkTarget({ definition, groups = [], imageMap = [] }: SessionTarget): void {
  const refuse = (why: string) => {
    throw new NetkilnError("invalid_input", why);
  };
  if (definition === "repo" || definition === "dynamic") {
    if (groups.length > 0) refuse(`'${definition}' target definitions must not contain groups specifications.`);
    return;
  }
  const members = groups.flatMap(({ members }) => members);
  if (groups.length === 0) refuse("At least one target group must be specified.");
  if (groups.some(({ members }) => members.length === 0)) refuse("Group member lists must not be empty.");
  if (members.includes("")) refuse("Group members must not be blank.");
  if (definition === "spec") {
    const odd = members.filter((member) => !hostName.test(member)).map((member) => JSON.stringify(member));
    if (odd.length > 0) refuse(`These are no names of hosts: ${odd.join(", ")}.`);
    return;
  }
  const bad = members.filter((member) => !uuid.test(member));
  if (bad.length > 0) refuse(`The following Image target group members are not valid UUIDs: ${bad.join(", ")}.`);
  const badGroups = groups.filter(({ name }) => !groupName.test(name)).map(({ name }) => JSON.stringify(name));
  if (badGroups.length > 0) refuse(`These are no names of Ansible groups: ${badGroups.join(", ")}.`);
  const badNames = imageMap.filter(({ resultName }) => !/^[\x21-\x7e][\x20-\x7e]*$/.test(resultName));
  if (badNames.length > 0) refuse("Names of images must be one line of plain characters.");
}

/** Each image once, with all groups that it is in. */
function imagesOf({ definition, groups = [] }: SessionTarget): SessionImage[] {
  if (definition !== "image") return [];
  const names = new Map<string, string[]>();
  for (const { name, members } of groups) {
    for (const member of members) names.set(member, [...(names.get(member) ?? []), name]);
  }
  return [...names].map(([imageId, groups]) => ({ imageId, groups: [...new Set(groups)] }));
}

function advanced(session: ConfigurationSession, progress: SessionProgress): ConfigurationSession {
  const { status = "pending", succeeded = "none", artifacts = [], ...rest } = progress;
  const isKnown = (one: Artifact) =>
    session.artifacts.some(({ imageId, resultId }) => imageId === one.imageId && resultId === one.resultId);
  return {
    ...session,
    ...rest,
    status: later(sessionStatuses, session.status, status),
    succeeded: later(sessionResults, session.succeeded, succeeded),
    artifacts: [...session.artifacts, ...artifacts.filter((one) => !isKnown(one))],
  };
}

function later<T>(order: readonly T[], one: T, other: T): T {
  return order.indexOf(other) > order.indexOf(one) ? other : one;
}

function toRow({ name, configuration, status, succeeded, startTime, tags, ...data }: ConfigurationSession) {
  return {
    ...{ name, configuration, status, succeeded },
    start_time: startTime,
    tags: JSON.stringify(tags),
    data: JSON.stringify(data),
  };
}

function toSession(row: Tables["configuration_session"]): ConfigurationSession {
  type Data = Omit<ConfigurationSession, "name" | "configuration" | "status" | "succeeded" | "startTime" | "tags">;
  const { name, configuration, status, succeeded } = row;
  return {
    ...(JSON.parse(row.data) as Data),
    ...{ name, configuration, status, succeeded },
    startTime: row.start_time,
    tags: JSON.parse(row.tags) as Record<string, string>,
  };
}
