import { sql, type Kysely } from "../lib/db.ts";
import type { Tables } from "./tables.ts";
import type { ComponentPhase } from "./types.ts";

/** How the components of a session stand: counts of them. */
export interface SessionProgress {
  /** Those that it has, and those at which it is staged. */
  readonly managed: number;
  readonly staged: number;
  readonly successful: number;
  readonly failed: number;
  /** Of those that are worked on. */
  readonly phases: Readonly<Partial<Record<ComponentPhase, number>>>;
  readonly errors: readonly { readonly message: string; readonly count: number; readonly first: readonly string[] }[];
}

/** Components that are named for each error. */
const shownOfError = 10;

export async function progressOf(db: Kysely<Tables>, session: string): Promise<SessionProgress> {
  const standing = await db
    .selectFrom("component")
    .select(["status", "phase", "active"])
    .select(({ fn }) => fn.countAll<number>().as("count"))
    .where("session", "=", session)
    .groupBy(["status", "phase", "active"])
    .execute();
  const { staged } = await db
    .selectFrom("component")
    .select(({ fn }) => fn.countAll<number>().as("staged"))
    .where("staged_session", "=", session)
    .where("staged_session", "<>", "")
    .executeTakeFirstOrThrow();
  const { rows: errors } = await sql<{ message: string; count: number; first: string }>`
    select error as message, count(*) as count,
      json_group_array(xname) filter (where place <= ${shownOfError}) as first
    from (select error, xname, row_number() over (partition by error order by xname) as place
      from component where session = ${session} and error is not null order by error, xname)
    group by error`.execute(db);
  const sum = (rows: readonly { readonly count: number }[]) => rows.reduce((total, { count }) => total + count, 0);
  const worked = standing.filter(({ active, status }) => active !== 0 && status !== "on_hold");
  return {
    managed: sum(standing) + staged,
    staged,
    successful: sum(standing.filter(({ status }) => status === "stable")),
    failed: sum(standing.filter(({ status }) => status === "failed")),
    phases: Object.fromEntries(
      [...Map.groupBy(worked, ({ phase }) => phase)].map(([phase, rows]) => [phase, sum(rows)]),
    ),
    errors: errors.map(({ message, count, first }) => ({ message, count, first: JSON.parse(first) as string[] })),
  };
}
