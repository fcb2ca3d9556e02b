/** Components as BOS has them: every node, whether anything was said about it or not. */
import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { nodeXnames } from "../node/index.ts";
import { changed, type ChangeContext, type ComponentChange } from "./change-component.ts";
import { chunk, freshComponent, isAmong, toComponent, writeComponents } from "./component-rows.ts";
import { readOptions, sessionOptionsOf } from "./options.ts";
import type { Tables } from "./tables.ts";
import type { BootArtifacts, Component, ComponentPhase, SessionOptions } from "./types.ts";

/** All that are given have to be true of a component. */
export interface ComponentFilter {
  readonly ids?: readonly string[] | undefined;
  readonly session?: string | undefined;
  readonly stagedSession?: string | undefined;
  readonly active?: boolean | undefined;
  readonly phase?: ComponentPhase | undefined;
  readonly status?: readonly string[] | undefined;
}

export interface BootComponentStore {
  find(id: string): Promise<Component | undefined>;
  /** Sorted by id as text. */
  list(query: ComponentFilter & { after?: string | undefined; limit: number }): Promise<Component[]>;
  /** Puts all of them, whether they were there or not: what a change does not say is as with a new node. */
  put(changes: ReadonlyMap<string, ComponentChange>): Promise<Component[]>;
  /** All or nothing: throws `not_found` when one is not there, unless those are to be left out. */
  change(changes: ReadonlyMap<string, ComponentChange>, options?: { skipMissing: boolean }): Promise<Component[]>;
  /** Changes all that a session has now. */
  changeOfSession(session: string, change: ComponentChange): Promise<Component[]>;
  /** Forgets what was said about it, so that a node is as one that is new. False when there is none. */
  remove(id: string): Promise<boolean>;
}

export function openBootComponents(database: Database): BootComponentStore {
  const db = database.withTables<Tables>();
  const find = async (id: string) => (await read(db, { ids: [id], limit: 1 }))[0];
  /** Writes the changed components and reads them again, as their status follows from what was written. */
  const write = async (
    trx: Kysely<Tables>,
    before: readonly Component[],
    changeOf: (id: string) => ComponentChange,
  ) => {
    const context = await contextOf(
      trx,
      before.map(({ xname }) => changeOf(xname)),
    );
    await writeComponents(
      trx,
      before.map((component) => changed(component, changeOf(component.xname), context)),
    );
    return readAll(
      trx,
      before.map(({ xname }) => xname),
    );
  };
  return {
    find,
    list: (query) => read(db, query),
    put: (changes) =>
      db.transaction().execute(async (trx) => {
        const options = sessionOptionsOf(await readOptions(trx));
        const fresh = [...changes.keys()].map((id) => freshComponent(id, options));
        return write(trx, fresh, (id) => changes.get(id) ?? {});
      }),
    change: (changes, { skipMissing } = { skipMissing: false }) =>
      db.transaction().execute(async (trx) => {
        const ids = [...changes.keys()];
        const known = await readAll(trx, ids);
        if (known.length < ids.length && !skipMissing) {
          const there = new Set(known.map(({ xname }) => xname));
          throw noSuchComponent(ids.find((id) => !there.has(id)) ?? "");
        }
        return write(trx, known, (id) => changes.get(id) ?? {});
      }),
    changeOfSession: (session, change) =>
      db.transaction().execute(async (trx) => {
        const rows = await trx.selectFrom("component").select("xname").where("session", "=", session).execute();
        const known = await readAll(
          trx,
          rows.map(({ xname }) => xname),
        );
        return write(trx, known, () => change);
      }),
    remove: async (id) => {
      const isThere = (await find(id)) !== undefined;
      await db.deleteFrom("component").where("xname", "=", id).execute();
      return isThere;
    },
  };
}

export function noSuchComponent(id: string): NetkilnError {
  return new NetkilnError("not_found", `Component '${id}' could not be found`);
}

/**
 * Refuses a report of what a component runs while its power is about to be switched: the report may be of what ran
 * before, and would be taken for what the session wants.
 */
export function requireReportable({ active, status, told }: Component): void {
  if (!active || status === "stable" || told.action === "powering_on") return;
  throw new NetkilnError(
    "refused",
    "what the component runs is being changed, and cannot be told for certain at this moment",
  );
}

async function readAll(db: Kysely<Tables>, ids: readonly string[]): Promise<Component[]> {
  const found: Component[] = [];
  for (let start = 0; start < ids.length; start += chunk) {
    found.push(...(await read(db, { ids: ids.slice(start, start + chunk), limit: chunk })));
  }
  return found;
}

type ListQuery = Parameters<BootComponentStore["list"]>[0];

async function read(db: Kysely<Tables>, query: ListQuery): Promise<Component[]> {
  const known = await readKnown(db, query);
  if (!fitsFresh(query)) return known;
  const before = known.length === query.limit ? known.at(-1)?.xname : undefined;
  const names = await untoldNodes(db, { ...query, before });
  if (names.length === 0) return known;
  const options: SessionOptions = sessionOptionsOf(await readOptions(db));
  return [...known, ...names.map((name) => freshComponent(name, options))]
    .sort((one, other) => (one.xname < other.xname ? -1 : 1))
    .slice(0, query.limit);
}

async function readKnown(db: Kysely<Tables>, query: ListQuery): Promise<Component[]> {
  const { ids, session, stagedSession, active, phase, status, after = "", limit } = query;
  let rows = db.selectFrom("component").selectAll().where("xname", ">", after).orderBy(sql.ref("xname")).limit(limit);
  if (ids !== undefined) rows = rows.where(isAmong(ids));
  if (session !== undefined) rows = rows.where("session", "=", session);
  // The index holds no empty names, and SQLite has to be told that none is meant.
  if (stagedSession !== undefined) {
    rows = rows.where("staged_session", "=", stagedSession).where("staged_session", "<>", "");
  }
  if (active !== undefined) rows = rows.where("active", "=", Number(active));
  if (phase !== undefined) rows = rows.where("phase", "=", phase);
  if (status?.length === 1) rows = rows.where("status", "=", status[0] ?? "");
  else if (status !== undefined) rows = rows.where("status", "in", status);
  return (await rows.execute()).map(toComponent);
}

/** Whether a node could be meant about which nothing was said. */
function fitsFresh({ session, stagedSession, active, phase = "", status }: ListQuery): boolean {
  if (session !== undefined || stagedSession !== undefined || active === true) return false;
  return phase === "" && (status === undefined || status.includes("stable"));
}

async function untoldNodes(
  db: Kysely<Tables>,
  { ids, after = "", before, limit }: ListQuery & { before: string | undefined },
): Promise<string[]> {
  let names = db
    .selectFrom(nodeXnames.as("node"))
    .select("xname")
    .where("xname", ">", after)
    .where(sql<boolean>`not exists (select 1 from component where component.xname = node.xname)`)
    .orderBy(sql.ref("xname"))
    .limit(limit);
  if (before !== undefined) names = names.where("xname", "<", before);
  if (ids !== undefined) names = names.where(isAmong(ids));
  return (await names.execute()).map(({ xname }) => xname);
}

async function contextOf(db: Kysely<Tables>, changes: readonly ComponentChange[]): Promise<ChangeContext> {
  const named = new Set(changes.flatMap(({ actual }) => actual?.bssToken ?? []));
  const rows = await db
    .selectFrom("boot_token")
    .selectAll()
    .where(sql<boolean>`token in (select value from json_each(${JSON.stringify([...named])}))`)
    .execute();
  const tokens = new Map<string, BootArtifacts>(
    rows.map(({ token, kernel, initrd, kernel_parameters }) => [
      token,
      { kernel, initrd, kernelParameters: kernel_parameters },
    ]),
  );
  const options = sessionOptionsOf(await readOptions(db));
  return { now: clock.now(), timestamp: timestamp(), options, tokens };
}
