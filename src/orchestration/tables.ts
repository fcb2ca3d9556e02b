import { timestamp } from "../lib/clock.ts";
import { sql, type Generated, type Kysely, type Migration } from "../lib/db.ts";
import type { ComponentPhase, LastAction, Operation, SessionStatus, ToldAction } from "./types.ts";

export type SessionRow = {
  name: string;
  operation: Operation;
  template_name: string;
  limit_text: string;
  stage: number;
  include_disabled: number;
  options: string;
  status: SessionStatus;
  components: string;
  error: string | null;
  start_time: string;
  end_time: string | null;
  /** How its components stood when it was complete, in JSON. */
  progress: string | null;
};

export type ComponentRow = {
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
  phase: ComponentPhase;
  status_override: string;
  told_action: ToldAction;
  told_failed: number;
  told_updated: string | null;
  graceful_attempts: number;
  forceful_attempts: number;
  retry_policy: number | null;
  staged: string | null;
  staged_session: string;
  desired_updated: string | null;
  actual_updated: string | null;
  staged_updated: string | null;
};

export type Tables = {
  session_template: { name: string; document: string };
  boot_session: SessionRow;
  boot_session_failure: { session: string; xname: string; message: string };
  /** SQLite works `status` out of the other columns. */
  component: ComponentRow & { status: Generated<string> };
  boot_option: { name: string; value: string };
  /** What the boot parameters were that were written under a token, and when they were given to a node last. */
  boot_token: { token: string; kernel: string; initrd: string; kernel_parameters: string; noted: string };
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
  "0520-bos": {
    up: async (db) => {
      await addBosColumns(db);
      await db.schema
        .createTable("boot_option")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("value", "text", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("boot_token")
        .addColumn("token", "text", (column) => column.primaryKey())
        .addColumn("kernel", "text", (column) => column.notNull())
        .addColumn("initrd", "text", (column) => column.notNull())
        .addColumn("kernel_parameters", "text", (column) => column.notNull())
        .execute();
      await leaveEmptyMembersOut(db);
    },
  },
  "0600-boot-token-noted": {
    up: async (db) => {
      await sql`alter table boot_token add column noted text not null default ''`.execute(db);
      await sql`update boot_token set noted = ${timestamp()}`.execute(db);
    },
  },
};

// oxlint-disable-next-line typescript/no-explicit-any -- as migrations get it
type Schema = Kysely<any>;

/** How BOS says what a component is about. */
const status = sql`case
  when status_override <> '' then status_override
  when phase = 'powering_on' then
    case when told_action = 'powering_on' and told_failed = 0 then 'power_on_called' else 'power_on_pending' end
  when phase = 'powering_off' then
    case told_action
      when 'powering_off_gracefully' then 'power_off_gracefully_called'
      when 'powering_off_forcefully' then 'power_off_forcefully_called'
      else 'power_off_pending' end
  when phase = 'configuring' then 'configuring'
  else 'stable' end`;

async function addBosColumns(db: Schema): Promise<void> {
  const text = sql`text not null default ''`;
  const count = sql`integer not null default 0`;
  const columns = {
    phase: text,
    status_override: text,
    told_action: sql`text not null default 'newly_discovered'`,
    told_failed: count,
    told_updated: sql`text`,
    graceful_attempts: count,
    forceful_attempts: count,
    retry_policy: sql`integer`,
    staged: sql`text`,
    staged_session: text,
    desired_updated: sql`text`,
    actual_updated: sql`text`,
    staged_updated: sql`text`,
    status: sql`text generated always as (${status}) virtual`,
  };
  for (const [name, type] of Object.entries(columns)) {
    await sql`alter table component add column ${sql.ref(name)} ${type}`.execute(db);
  }
  await sql`alter table boot_session add column stage ${count}`.execute(db);
  await sql`alter table boot_session add column progress text`.execute(db);
  await sql`update component set
    status_override = case when active = 0 and error is not null then 'failed' else '' end,
    phase = case when active = 0 then ''
      when last_action in ('power_on', 'power_on_pending') then 'powering_on'
      when last_action <> '' or desired is null or attempts > 0 then 'powering_off'
      else 'powering_on' end,
    told_action = case last_action
      when 'power_on' then 'powering_on'
      when 'power_off_graceful' then 'powering_off_gracefully'
      when 'power_off_forceful' then 'powering_off_forcefully'
      else 'session_setup' end`.execute(db);
  for (const column of ["status", "phase", "active"]) {
    await db.schema.createIndex(`component_${column}`).on("component").columns([column, "xname"]).execute();
  }
  await db.schema
    .createIndex("component_staged_session")
    .on("component")
    .columns(["staged_session", "xname"])
    .where(sql.ref("staged_session"), "<>", sql.lit(""))
    .execute();
}

/** Templates were kept with every member that they could have; they are shown as they were put, so those go. */
async function leaveEmptyMembersOut(db: Schema): Promise<void> {
  const rows = await db.selectFrom("session_template").selectAll().execute();
  for (const { name, document } of rows) {
    const shown = JSON.stringify(withoutEmpty(JSON.parse(document)));
    await db.updateTable("session_template").set({ document: shown }).where("name", "=", name).execute();
  }
}

/** A document without empty texts, lists and objects. */
export function withoutEmpty(value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  const members = Object.entries(value)
    .map(([key, inner]) => [key, withoutEmpty(inner)] as const)
    .filter(([, inner]) => inner !== undefined && inner !== "" && !isEmptyObject(inner));
  return Object.fromEntries(members);
}

function isEmptyObject(value: unknown): boolean {
  return value !== null && typeof value === "object" && Object.keys(value).length === 0;
}
