import { timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type SelectQueryBuilder } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { chunk } from "./judge.ts";
import type { Tables } from "./migrations.ts";
import { defaultRetryPolicy } from "./options.ts";
import {
  changed,
  desiredLayers,
  freshComponent,
  isSettled,
  standingOf,
  type ChangedComponent,
  type DesiredLayer,
} from "./standing.ts";
import type { ComponentChange, ComponentStatus, Configuration, ConfiguredComponent } from "./types.ts";

/** All that are given have to be true of a component. */
export interface ComponentFilter {
  readonly ids?: readonly string[] | undefined;
  readonly status?: readonly ComponentStatus[] | undefined;
  readonly enabled?: boolean | undefined;
  readonly configuration?: string | undefined;
  readonly tags?: readonly (readonly [name: string, value: string])[] | undefined;
}

export interface ConfiguredComponentStore {
  find(id: string): Promise<ConfiguredComponent | undefined>;
  /** Sorted by id. */
  list(
    query: ComponentFilter & { readonly after?: string | undefined; readonly limit: number },
  ): Promise<ConfiguredComponent[]>;
  /** Sets all of the components, whether they were there or not. */
  put(changes: ReadonlyMap<string, ComponentChange>): Promise<ConfiguredComponent[]>;
  /** All or nothing; throws `not_found` when one is not there. */
  change(changes: ReadonlyMap<string, ComponentChange>): Promise<ConfiguredComponent[]>;
  /** As `change`, for those of the components that are there. */
  record(changes: ReadonlyMap<string, ComponentChange>): Promise<void>;
  /** Changes every component that the filter is true of now; all or nothing. The ids of those, sorted. */
  changeWhere(filter: ComponentFilter, change: ComponentChange): Promise<string[]>;
  /** Adds those that are not there, with nothing said about them. */
  add(ids: readonly string[]): Promise<void>;
  /** False when there is none. */
  remove(id: string): Promise<boolean>;
  /** The layers of what it desires, with how each stands. */
  desired(component: ConfiguredComponent): Promise<DesiredLayer[]>;
}

export function openConfiguredComponents(database: Database): ConfiguredComponentStore {
  const db = database.withTables<Tables>();
  const list = (
    from: Kysely<Tables>,
    { after = "", limit, ...filter }: Parameters<ConfiguredComponentStore["list"]>[0],
  ) =>
    matching(from.selectFrom("configured_component").selectAll(), filter)
      .where("id", ">", after)
      .orderBy("id")
      .limit(limit)
      .execute();
  const knownAmong = async (from: Kysely<Tables>, ids: readonly string[]) => {
    const known = new Map<string, ConfiguredComponent>();
    for (let start = 0; start < ids.length; start += chunk) {
      const some = await list(from, { ids: ids.slice(start, start + chunk), limit: chunk });
      for (const row of some) known.set(row.id, toComponent(row));
    }
    return known;
  };

  return {
    find: async (id) => (await list(db, { ids: [id], limit: 1 })).map(toComponent)[0],
    list: async (query) => (await list(db, query)).map(toComponent),
    put: (changes) =>
      db.transaction().execute(async (trx) => {
        const components = [...changes].map(([id, change]) => changed(freshComponent(id), change));
        return write(trx, components);
      }),
    change: (changes) =>
      db.transaction().execute(async (trx) => {
        const known = await knownAmong(trx, [...changes.keys()]);
        return write(
          trx,
          [...changes].map(([id, change]) => {
            const component = known.get(id);
            if (component === undefined) throw new NetkilnError("not_found", `Component ${id} could not be found`);
            return changed(component, change);
          }),
        );
      }),
    record: (changes) =>
      db.transaction().execute(async (trx) => {
        const known = await knownAmong(trx, [...changes.keys()]);
        await write(
          trx,
          [...known].map(([id, component]) => changed(component, changes.get(id) ?? {})),
        );
      }),
    changeWhere: (filter, change) =>
      db.transaction().execute(async (trx) => {
        // Read before the first is written: a change can make the filter true or false of others.
        const rows = await matching(trx.selectFrom("configured_component").select("id"), filter)
          .orderBy("id")
          .execute();
        const ids = rows.map(({ id }) => id);
        for (let start = 0; start < ids.length; start += chunk) {
          const some = await list(trx, { ids: ids.slice(start, start + chunk), limit: chunk });
          await write(
            trx,
            some.map((row) => changed(toComponent(row), change)),
          );
        }
        return ids;
      }),
    add: async (ids) => {
      const known = await db
        .selectFrom("configured_component")
        .select("id")
        .where(sql<boolean>`id in (select value from json_each(${JSON.stringify(ids)}))`)
        .execute();
      const there = new Set(known.map(({ id }) => id));
      const missing = ids.filter((id) => !there.has(id));
      if (missing.length > 0) await db.transaction().execute((trx) => write(trx, missing.map(freshComponent)));
    },
    remove: async (id) =>
      (await db.deleteFrom("configured_component").where("id", "=", id).executeTakeFirst()).numDeletedRows > 0n,
    desired: async (component) => {
      const { layers } = (await findConfiguration(db, component.desiredConfig)) ?? { layers: [] };
      return desiredLayers(layers, component, await defaultRetryPolicy(db));
    },
  };
}

type Rows<O> = SelectQueryBuilder<Tables, "configured_component", O>;

function matching<O>(rows: Rows<O>, { ids, status, enabled, configuration, tags = [] }: ComponentFilter): Rows<O> {
  let query = rows;
  if (ids !== undefined) query = query.where(sql<boolean>`id in (select value from json_each(${JSON.stringify(ids)}))`);
  if (status !== undefined) query = query.where("status", "in", status);
  if (enabled !== undefined) query = query.where("enabled", "=", Number(enabled));
  if (configuration !== undefined) query = query.where("desired_config", "=", configuration);
  for (const [name, value] of tags) {
    query = query.where(sql<boolean>`id in (
      select component from configured_component_tag where name = ${name} and value = ${value})`);
  }
  return query;
}

async function findConfiguration(db: Kysely<Tables>, name: string): Promise<Configuration | undefined> {
  const row = await db.selectFrom("configuration").select("data").where("name", "=", name).executeTakeFirst();
  return row === undefined ? undefined : (JSON.parse(row.data) as Configuration);
}

/** Judges and writes components, a thousand with each statement. */
async function write(db: Kysely<Tables>, components: readonly ChangedComponent[]): Promise<ConfiguredComponent[]> {
  const policy = await defaultRetryPolicy(db);
  const configurations = new Map<string, Configuration | undefined>();
  for (const name of new Set(components.map(({ desiredConfig }) => desiredConfig))) {
    configurations.set(name, await findConfiguration(db, name));
  }
  const written = components.map((component) => {
    const settled = isSettled(configurations.get(component.desiredConfig)?.layers, component.state);
    const status = standingOf(settled, component, policy);
    const { pendingSince = timestamp(), ...rest } = component;
    const waits = status === "pending" && component.enabled;
    return { component: { ...rest, status, ...(waits && { pendingSince }) }, settled };
  });
  for (let start = 0; start < written.length; start += chunk) {
    const some = written.slice(start, start + chunk);
    await writeRows(db, some);
    await writeTags(
      db,
      some.map(({ component }) => component),
    );
  }
  return written.map(({ component }) => component);
}

async function writeRows(
  db: Kysely<Tables>,
  written: readonly { component: ConfiguredComponent; settled: boolean | undefined }[],
): Promise<void> {
  const rows = written.map(({ component, settled }) => [
    component.id,
    component.desiredConfig,
    Number(component.enabled),
    component.errorCount,
    component.retryPolicy ?? null,
    component.status,
    settled === undefined ? null : Number(settled),
    // Texts of JSON within JSON, so that SQLite hands them on as they are.
    JSON.stringify(component.tags),
    JSON.stringify(component.state),
    component.pendingSince ?? null,
  ]);
  await sql`insert into configured_component
      (id, desired_config, enabled, error_count, retry_policy, status, settled, tags, state,
        pending_since)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
      value ->> 8, value ->> 9 from json_each(${JSON.stringify(rows)}) where true
    on conflict (id) do update set desired_config = excluded.desired_config, enabled = excluded.enabled,
      error_count = excluded.error_count, retry_policy = excluded.retry_policy, status = excluded.status,
      settled = excluded.settled, tags = excluded.tags, state = excluded.state,
      pending_since = excluded.pending_since`.execute(db);
}

async function writeTags(db: Kysely<Tables>, components: readonly ConfiguredComponent[]): Promise<void> {
  const ids = JSON.stringify(components.map(({ id }) => id));
  await sql`delete from configured_component_tag where component in (select value from json_each(${ids}))`.execute(db);
  const tags = components.flatMap(({ id, tags }) => Object.entries(tags).map(([name, value]) => [name, value, id]));
  if (tags.length === 0) return;
  await sql`insert into configured_component_tag (name, value, component)
    select value ->> 0, value ->> 1, value ->> 2 from json_each(${JSON.stringify(tags)})`.execute(db);
}

function toComponent(row: Tables["configured_component"]): ConfiguredComponent {
  return {
    id: row.id,
    desiredConfig: row.desired_config,
    state: JSON.parse(row.state) as ConfiguredComponent["state"],
    enabled: row.enabled !== 0,
    errorCount: row.error_count,
    ...(row.retry_policy !== null && { retryPolicy: row.retry_policy }),
    tags: JSON.parse(row.tags) as ConfiguredComponent["tags"],
    status: row.status,
    ...(row.pending_since !== null && { pendingSince: row.pending_since }),
  };
}
