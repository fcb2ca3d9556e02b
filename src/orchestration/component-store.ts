/** Components as the reconciler works on them. */
import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Kysely } from "../lib/db.ts";
import { toComponent, writeAlike } from "./component-rows.ts";
import type { ComponentRow, SessionRow, Tables } from "./tables.ts";
import type {
  ActualState,
  BootArtifacts,
  BootTargetState,
  Component,
  ComponentPhase,
  LastAction,
  Page,
  ToldAction,
} from "./types.ts";

export interface RecordedAction {
  readonly lastAction: LastAction;
  /** With a try: the boot that it began, and its number. */
  readonly bootId?: string;
  readonly attempts?: number;
}

export interface ComponentWork {
  getComponent(xname: string): Promise<Component | undefined>;
  /** Those about which something was said; see `BootComponentStore` for all nodes. */
  listComponents(query?: Page & { session?: string | undefined; active?: boolean | undefined }): Promise<Component[]>;
  /** Ends the hold of components that were enabled by hand: the reconciler is about to look at them. */
  endHolds(): Promise<void>;
  /** Writes down which image the artifacts are of that somebody gave by hand. */
  identify(component: Component, image: { imageId: string; buildId: string }): Promise<void>;
  /** Writes down under which token the boot parameters of the component stand, and what they are. */
  noteToken(component: Component, token: string, artifacts: BootArtifacts): Promise<void>;
  /**
   * Ends what was noted of tokens before, or only counts it; returns how many. Those in `kept` stay, and those of
   * components.
   */
  endTokens(before: Date, options: { readonly kept: readonly string[]; readonly carryOut: boolean }): Promise<number>;
  /** Whether the node still has the work that was read with the component. */
  hasWork(component: Component): Promise<boolean>;
  /** Writes what was done; false, and nothing happens, when the node has other work by now. */
  recordAction(component: Component, action: RecordedAction): Promise<boolean>;
  /** Ends the work on the node, with what it runs now or with why it failed; false when it has other work by now. */
  finish(component: Component, result: { actual: ActualState | undefined } | { error: string }): Promise<boolean>;
}

/** How an action is told in BOS's words. `counted` is the column that counts it. */
const tellings: Readonly<
  Record<
    LastAction,
    {
      readonly phase: ComponentPhase;
      readonly action?: ToldAction;
      /** As it was when not given. */
      readonly failed?: boolean;
      readonly counted?: "graceful_attempts" | "forceful_attempts";
    }
  >
> = {
  // A try has come to nothing; the next one begins with the power off.
  "": { phase: "powering_off", failed: true },
  power_on_pending: { phase: "powering_on" },
  power_on: { phase: "powering_on", action: "powering_on", failed: false },
  power_off_graceful: {
    phase: "powering_off",
    action: "powering_off_gracefully",
    failed: false,
    counted: "graceful_attempts",
  },
  power_off_forceful: {
    phase: "powering_off",
    action: "powering_off_forcefully",
    failed: false,
    counted: "forceful_attempts",
  },
};

export function componentWork(db: Kysely<Tables>): ComponentWork {
  return { ...componentReads(db), ...componentNotes(db), ...componentActs(db) };
}

type Reads = Pick<ComponentWork, "getComponent" | "listComponents" | "hasWork">;
type Acts = Pick<ComponentWork, "recordAction" | "finish">;

function componentReads(db: Kysely<Tables>): Reads {
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
    hasWork: async (component) => {
      const row = db.selectFrom("component").select("xname").where(isOwned(component));
      return (await row.executeTakeFirst()) !== undefined;
    },
  };
}

/** The row of a component, unless another session has taken it or it was told to run something else. */
function owned(db: Kysely<Tables>, component: Component) {
  return db.updateTable("component").where(isOwned(component));
}

function isOwned({ xname, session, desired }: Component) {
  // Image, build and token are the reconciler's own notes; what it was told is the rest.
  const same = (["kernel", "initrd", "kernelParameters", "configuration"] as const).map(
    (member) => sql<boolean>`desired ->> ${sql.lit(`$.${member}`)} is ${desired?.[member] ?? null}`,
  );
  return sql<boolean>`(xname = ${xname} and session = ${session} and active = 1 and ${sql.join(same, sql` and `)})`;
}

function componentNotes(db: Kysely<Tables>): Omit<ComponentWork, keyof Reads | keyof Acts> {
  return {
    endHolds: async () => {
      const held = db.selectFrom("component").select("xname").where("active", "=", 1).where("status", "=", "on_hold");
      if ((await held.limit(1).executeTakeFirst()) === undefined) return;
      const off = sql`(desired is null or desired ->> '$.kernel' || (desired ->> '$.initrd') = '')`;
      await sql`update component set status_override = '', phase = case
          when last_action <> '' then phase when ${off} then 'powering_off' else 'powering_on' end
        where active = 1 and status = 'on_hold'`.execute(db);
    },
    identify: async (component, image) => {
      const { desired } = component;
      if (desired === undefined) return;
      await owned(db, component)
        .set({ desired: JSON.stringify({ ...desired, ...image }) })
        .execute();
    },
    noteToken: (component, token, { kernel, initrd, kernelParameters }) =>
      db.transaction().execute(async (trx) => {
        const noted = { kernel, initrd, kernel_parameters: kernelParameters, noted: timestamp() };
        await trx
          .insertInto("boot_token")
          .values({ token, ...noted })
          .onConflict((conflict) => conflict.doUpdateSet(noted))
          .execute();
        await owned(trx, component)
          .set({ desired: sql<string>`json_set(desired, '$.bssToken', ${token})` })
          .execute();
      }),
    endTokens: async (before, { kept, carryOut }) => {
      const isOld = sql<boolean>`noted < ${timestamp(before)}
        and token not in (select value from json_each(${JSON.stringify(kept)}))
        and token not in (select token from (
          select desired ->> '$.bssToken' as token from component
          union all select actual ->> '$.bssToken' from component
          union all select staged ->> '$.bssToken' from component) where token is not null)`;
      if (carryOut) return Number((await db.deleteFrom("boot_token").where(isOld).executeTakeFirst()).numDeletedRows);
      const old = db.selectFrom("boot_token").where(isOld);
      return (await old.select(({ fn }) => fn.countAll<number>().as("count")).executeTakeFirstOrThrow()).count;
    },
  };
}

function componentActs(db: Kysely<Tables>): Acts {
  return {
    recordAction: async (component, { lastAction, attempts, bootId }) => {
      const { phase, action, failed, counted } = tellings[lastAction];
      const recorded = await owned(db, component)
        .set({
          last_action: lastAction,
          action_time: clock.now().toISOString(),
          phase,
          ...(failed !== undefined && { told_failed: Number(failed) }),
          ...(action !== undefined && { told_action: action, told_updated: timestamp() }),
          ...(counted !== undefined && { [counted]: sql<number>`${sql.ref(counted)} + 1` }),
          ...(attempts !== undefined && { attempts }),
          // A try begins with the power off: what ran is gone, even if the new boot is never seen.
          ...(bootId !== undefined && { boot_id: bootId, actual: null, actual_updated: timestamp() }),
        })
        .executeTakeFirst();
      return recorded.numUpdatedRows > 0n;
    },
    finish: (component, result) =>
      db.transaction().execute(async (trx) => {
        const error = "error" in result ? result.error : null;
        const actual = "actual" in result && result.actual !== undefined ? JSON.stringify(result.actual) : null;
        const changed = await owned(trx, component)
          .set({
            active: 0,
            error,
            actual,
            actual_updated: timestamp(),
            phase: "",
            status_override: error === null ? "" : "failed",
            told_failed: Number(error !== null),
          })
          .executeTakeFirst();
        const { session, xname } = component;
        if (changed.numUpdatedRows === 0n) return false;
        if (error === null || session === "") return true;
        // A component keeps the name of its session when that is gone.
        const known = trx.selectFrom("boot_session").select("name").where("name", "=", session);
        if ((await known.executeTakeFirst()) === undefined) return true;
        await trx
          .insertInto("boot_session_failure")
          .values({ session, xname, message: error })
          .onConflict((conflict) => conflict.doUpdateSet({ message: error }))
          .execute();
        return true;
      }),
  };
}

type Taking = Pick<SessionRow, "name" | "operation" | "options">;

/** Gives the nodes to a session, taking them from others. */
export async function takeOver(
  db: Kysely<Tables>,
  { name, operation, options }: Taking,
  xnames: readonly string[],
  desired: BootTargetState | undefined,
  action: ToldAction,
): Promise<void> {
  await writeAlike(db, xnames, {
    session: name,
    operation,
    active: 1,
    desired: desired === undefined ? null : JSON.stringify(desired),
    desired_updated: timestamp(),
    last_action: "",
    action_time: clock.now().toISOString(),
    attempts: 0,
    graceful_attempts: 0,
    forceful_attempts: 0,
    boot_id: null,
    options,
    error: null,
    phase: desired === undefined ? "powering_off" : "powering_on",
    status_override: "",
    told_action: action,
    told_failed: 0,
    told_updated: timestamp(),
    // What is to be rebooted does not count as running anything already.
    ...(operation === "reboot" && { actual: null, actual_updated: timestamp() }),
  });
}

/** What a row needs that nothing was said about yet. */
export function blankRow(options: string): Partial<ComponentRow> {
  return { session: "", operation: "boot", active: 0, last_action: "", action_time: "", attempts: 0, options };
}

/** Writes down at the nodes what a session would have them run. */
export async function stageAt(
  db: Kysely<Tables>,
  { name, options }: Taking,
  xnames: readonly string[],
  desired: BootTargetState | undefined,
): Promise<void> {
  const staged = desired === undefined ? null : JSON.stringify(desired);
  const values = { staged, staged_session: name, staged_updated: timestamp() };
  await writeAlike(db, xnames, values, blankRow(options));
}
