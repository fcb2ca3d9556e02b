/** How components stand in the database. */
import { sql, type Kysely, type RawBuilder, type Selectable } from "../lib/db.ts";
import type { ComponentRow, Tables } from "./tables.ts";
import type { ActualState, BootTargetState, Component, SessionOptions } from "./types.ts";

/** Rows that are read and written at once. */
export const chunk = 1000;

type StoredComponent = Selectable<Tables["component"]>;

export function toComponent(row: StoredComponent): Component {
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
    staged:
      row.staged_session === "" && row.staged === null
        ? undefined
        : {
            session: row.staged_session,
            state: row.staged === null ? undefined : (JSON.parse(row.staged) as BootTargetState),
          },
    retryPolicy: row.retry_policy ?? undefined,
    phase: row.phase,
    status: row.status,
    statusOverride: row.status_override,
    told: {
      action: row.told_action,
      failed: row.told_failed !== 0,
      gracefulAttempts: row.graceful_attempts,
      forcefulAttempts: row.forceful_attempts,
      actionUpdated: row.told_updated ?? undefined,
      desiredUpdated: row.desired_updated ?? undefined,
      actualUpdated: row.actual_updated ?? undefined,
      stagedUpdated: row.staged_updated ?? undefined,
    },
  };
}

/** A node that nobody has said anything about. */
export function freshComponent(xname: string, options: SessionOptions): Component {
  return {
    xname,
    session: "",
    operation: "boot",
    active: false,
    desired: undefined,
    actual: undefined,
    lastAction: "",
    actionTime: "",
    attempts: 0,
    bootId: undefined,
    options,
    error: undefined,
    staged: undefined,
    retryPolicy: undefined,
    phase: "",
    status: "stable",
    statusOverride: "",
    told: {
      action: "newly_discovered",
      failed: false,
      gracefulAttempts: 0,
      forcefulAttempts: 0,
      actionUpdated: undefined,
      desiredUpdated: undefined,
      actualUpdated: undefined,
      stagedUpdated: undefined,
    },
  };
}

function toRow({ told, ...component }: Component): ComponentRow {
  return {
    xname: component.xname,
    session: component.session,
    operation: component.operation,
    active: Number(component.active),
    desired: jsonOf(component.desired),
    actual: jsonOf(component.actual),
    last_action: component.lastAction,
    action_time: component.actionTime,
    attempts: component.attempts,
    boot_id: component.bootId ?? null,
    options: JSON.stringify(component.options),
    error: component.error ?? null,
    staged: jsonOf(component.staged?.state),
    staged_session: component.staged?.session ?? "",
    retry_policy: component.retryPolicy ?? null,
    phase: component.phase,
    status_override: component.statusOverride,
    told_action: told.action,
    told_failed: Number(told.failed),
    told_updated: told.actionUpdated ?? null,
    graceful_attempts: told.gracefulAttempts,
    forceful_attempts: told.forcefulAttempts,
    desired_updated: told.desiredUpdated ?? null,
    actual_updated: told.actualUpdated ?? null,
    staged_updated: told.stagedUpdated ?? null,
  };
}

export function jsonOf(value: object | undefined): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** Writes whole components, as many as there are. */
export async function writeComponents(db: Kysely<Tables>, components: readonly Component[]): Promise<void> {
  for (let start = 0; start < components.length; start += chunk) {
    const rows = components.slice(start, start + chunk).map(toRow);
    const columns = Object.keys(rows[0] ?? {});
    const values = columns.map((_, index) => sql`value ->> ${sql.lit(index)}`);
    await sql`insert into component (${sql.join(columns.map((column) => sql.ref(column)))})
      select ${sql.join(values)} from json_each(${JSON.stringify(rows.map((row) => Object.values(row)))}) where true
      on conflict (xname) do update set ${overwriting(columns.slice(1))}`.execute(db);
  }
}

/**
 * Writes the same into many components; what is not named stays as it is.
 * @param added what a component needs besides when it is not there yet
 */
export async function writeAlike(
  db: Kysely<Tables>,
  xnames: readonly string[],
  values: Partial<ComponentRow>,
  added: Partial<ComponentRow> = {},
): Promise<void> {
  const all = Object.entries({ ...added, ...values });
  await sql`insert into component (xname, ${sql.join(all.map(([column]) => sql.ref(column)))})
    select value, ${sql.join(all.map(([, value]) => value))} from json_each(${JSON.stringify(xnames)}) where true
    on conflict (xname) do update set ${overwriting(Object.keys(values))}`.execute(db);
}

function overwriting(columns: readonly string[]) {
  return sql.join(columns.map((column) => sql`${sql.ref(column)} = ${sql.ref(`excluded.${column}`)}`));
}

/** Of a component: whether it is one of these. */
export function isAmong(xnames: readonly string[]): RawBuilder<boolean> {
  return sql<boolean>`xname in (select value from json_each(${JSON.stringify(xnames)}))`;
}
