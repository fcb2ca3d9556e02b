/** Keeps what is stored of components' standing true when something that it follows from changes. */
import { timestamp } from "../lib/clock.ts";
import { sql, type Kysely } from "../lib/db.ts";
import { isSettled } from "./standing.ts";
import type { Tables } from "./migrations.ts";
import type { AppliedLayer, Configuration } from "./types.ts";

/** Rows that are read and written at once. */
export const chunk = 1000;

/** standingOf in standing.ts, said in SQL. */
const standing = (defaultRetryPolicy: number) => sql`case
  when settled is null then case when state = '[]' then 'unconfigured' else 'configured' end
  when settled = 1 then 'configured'
  when coalesce(retry_policy, ${defaultRetryPolicy}) <> -1
    and error_count >= coalesce(retry_policy, ${defaultRetryPolicy}) then 'failed'
  else 'pending' end`;

/** `pendingSince` in types.ts, said in SQL, for a component that comes to have this status. */
const pendingSince = (status: ReturnType<typeof standing>) =>
  sql`case when ${status} = 'pending' and enabled = 1 then coalesce(pending_since, ${timestamp()}) end`;

/** After a change of the default retry policy. */
export async function judgeAllComponents(db: Kysely<Tables>, defaultRetryPolicy: number): Promise<void> {
  const status = standing(defaultRetryPolicy);
  await sql`update configured_component set status = ${status}, pending_since = ${pendingSince(status)}
    where retry_policy is null and status <> ${status}`.execute(db);
}

/** After a change of a configuration. */
export async function judgeComponentsOf(
  db: Kysely<Tables>,
  { name, layers }: Configuration,
  defaultRetryPolicy: number,
): Promise<void> {
  let after = "";
  for (;;) {
    const rows = await db
      .selectFrom("configured_component")
      .select(["id", "state"])
      .where("desired_config", "=", name)
      .where("id", ">", after)
      .orderBy("id")
      .limit(chunk)
      .execute();
    const judged = rows.map(({ id, state }) => [
      id,
      isSettled(layers, JSON.parse(state) as AppliedLayer[]) === true ? 1 : 0,
    ]);
    await sql`update configured_component set settled = judged.settled
      from (select value ->> 0 as id, value ->> 1 as settled from json_each(${JSON.stringify(judged)})) as judged
      where configured_component.id = judged.id`.execute(db);
    if (rows.length < chunk) break;
    after = rows.at(-1)?.id ?? "";
  }
  const status = standing(defaultRetryPolicy);
  await sql`update configured_component set status = ${status}, pending_since = ${pendingSince(status)}
    where desired_config = ${name}`.execute(db);
}
