import { timestamp } from "../lib/clock.ts";
import { sql, type Kysely } from "../lib/db.ts";
import { isAmong } from "./component-rows.ts";
import { takeOver } from "./component-store.ts";
import { readOptions } from "./options.ts";
import type { Tables } from "./tables.ts";
import { isEmpty, type BootTargetState } from "./types.ts";

export interface AppliedStages {
  readonly succeeded: readonly string[];
  readonly failed: readonly string[];
  /** Those for which nothing is staged. */
  readonly ignored: readonly string[];
}

/** Has nodes run what a session staged for them; that session takes them over, also where it cannot be done. */
export async function applyStaged(db: Kysely<Tables>, xnames: readonly string[]): Promise<AppliedStages> {
  const wanted = [...new Set(xnames)];
  return db.transaction().execute(async (trx) => {
    const staged = await trx
      .selectFrom("component")
      .select(["xname", "staged", "staged_session"])
      .where("staged_session", "!=", "")
      .where(isAmong(wanted))
      .orderBy(sql.ref("xname"))
      .execute();
    const { clear_stage } = await readOptions(trx);
    const succeeded: string[] = [];
    const failed: string[] = [];
    // Many nodes have the same staged for them.
    for (const group of Map.groupBy(staged, (row) => JSON.stringify([row.staged_session, row.staged])).values()) {
      const names = group.map(({ xname }) => xname);
      const { staged_session: session = "", staged: document = null } = group[0] ?? {};
      const state = document === null ? undefined : (JSON.parse(document) as BootTargetState);
      const problem = await apply(trx, session, names, state);
      (problem === undefined ? succeeded : failed).push(...names);
      if (problem !== undefined) await refuse(trx, session, names, problem);
      if (clear_stage) {
        const cleared = { staged: null, staged_session: "", staged_updated: timestamp() };
        await trx.updateTable("component").set(cleared).where(isAmong(names)).execute();
      }
    }
    const known = new Set(staged.map(({ xname }) => xname));
    return { succeeded, failed, ignored: wanted.filter((xname) => !known.has(xname)) };
  });
}

/** Returns why it cannot be done, if it cannot. */
async function apply(
  db: Kysely<Tables>,
  name: string,
  xnames: readonly string[],
  state: BootTargetState | undefined,
): Promise<string | undefined> {
  const session = await db.selectFrom("boot_session").selectAll().where("name", "=", name).executeTakeFirst();
  if (session === undefined) return `the staged session ${name} is no longer there`;
  const { operation } = session;
  if (operation === "shutdown" && state !== undefined && !isEmpty(state)) {
    return "a shutdown is staged, but so are boot artifacts";
  }
  if (operation !== "shutdown" && (state === undefined || state.kernel === "" || state.initrd === "")) {
    return `a ${operation} is staged, but not all of its boot artifacts`;
  }
  await takeOver(db, session, xnames, operation === "shutdown" ? undefined : state, "apply_staged");
  // What the same session did to them before does not count any more.
  await db.deleteFrom("boot_session_failure").where("session", "=", name).where(isAmong(xnames)).execute();
  return undefined;
}

async function refuse(db: Kysely<Tables>, session: string, xnames: readonly string[], error: string): Promise<void> {
  await db
    .updateTable("component")
    .set({ session, error, active: 0, phase: "", status_override: "failed" })
    .set({ told_action: "apply_staged", told_failed: 1, told_updated: timestamp() })
    .where(isAmong(xnames))
    .execute();
}
