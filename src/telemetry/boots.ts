import { clock } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type RawBuilder } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { newBootId } from "./boot-id.ts";
import type { BootPhase, BootTarget, Tables } from "./boot-tables.ts";
import { bootsOf, openBootFiling } from "./boots-of-node.ts";
import { openScriptFetches, type ScriptFetch } from "./script-fetches.ts";
import type { EventStore } from "./store.ts";

export interface PhaseRecord {
  readonly phase: BootPhase;
  /** UTC with milliseconds, by the server's clock: a diskless node's own is often wrong at that time. */
  readonly time: string;
  /** Who noticed: the server by what it did or served, or the node by its report. */
  readonly source: "server" | "node";
  readonly detail: Readonly<Record<string, unknown>>;
}

/** One attempt of one node to come up, from power or script to `ready` or `failed`. */
export interface Boot {
  /** Nobody can guess it: whoever knows it may report for this boot. */
  readonly id: string;
  readonly xname: string;
  readonly imageId: string | undefined;
  /** The build id of that image, which the node must report. */
  readonly expectedBuildId: string | undefined;
  /** UTC with milliseconds. */
  readonly started: string;
  readonly phases: readonly PhaseRecord[];
}

export interface BootRecords {
  /** Begins a boot: power is about to be switched on. */
  begin(xname: string, target: BootTarget): Promise<Boot>;
  /**
   * The id of the boot to which a script belongs that is fetched now, with `target` written into it and the phase
   * recorded: the running one when this is a retry or when the power was switched on and no script was fetched since;
   * else a new one.
   */
  forScript(xname: string, fetch: Omit<ScriptFetch, "xname">): Promise<string>;
  /** The same for several, in their order. They are written together, and with others that are fetched meanwhile. */
  forScripts(fetches: readonly ScriptFetch[]): Promise<readonly string[]>;
  /** Keeps the first of each phase; false when it was there already. */
  record(id: string, phase: BootPhase, source: PhaseRecord["source"], detail?: PhaseRecord["detail"]): Promise<boolean>;
  get(id: string): Promise<Boot | undefined>;
  /** The newest boot that was begun for the node, by whomever. */
  latest(xname: string): Promise<Boot | undefined>;
  /**
   * The boot that the node is in: the newest that went further than its script. One with no image of ours counts at
   * once, because no more is seen of it. Anybody may fetch in a node's name: a script does not count, but a kernel does.
   */
  current(xname: string): Promise<Boot | undefined>;
  /** The newest boot that came up; the node may still run it when nothing but fetches was seen since. */
  lastUp(xname: string): Promise<Boot | undefined>;
  /** Newest first; `after` is the id of the last boot of the page before. Throws `not_found` when that one was ended. */
  list(query: { xname?: string | undefined; after?: string | undefined; limit: number }): Promise<Boot[]>;
}

export function openBootRecords(database: Database, events: EventStore): BootRecords {
  const db = database.withTables<Tables>();
  const fileLater = openBootFiling(database);
  const forScripts = openScriptFetches(database, fileLater);
  const newest = async (xname: string, condition: RawBuilder<boolean>) => {
    const rows = db.selectFrom("boot").selectAll().where("number", "in", bootsOf(xname)).where(condition);
    return (await withPhases(db, await rows.orderBy(sql.ref("number"), "desc").limit(1).execute()))[0];
  };

  return {
    begin: async (xname, target) => {
      const boot = { id: newBootId(), xname, ...target, started: clock.now().toISOString() };
      await db
        .insertInto("boot")
        .values({
          id: boot.id,
          xname,
          image_id: target.imageId ?? null,
          expected_build_id: target.expectedBuildId ?? null,
          started: boot.started,
          script_time: null,
          script_detail: null,
        })
        .execute();
      await fileLater(1);
      return { ...boot, phases: [] };
    },
    forScript: async (xname, fetch) => (await forScripts([{ xname, ...fetch }]))[0] as string,
    forScripts,
    record: async (id, phase, source, detail = {}) => {
      const boot = await db.selectFrom("boot").select("xname").where("id", "=", id).executeTakeFirst();
      if (boot === undefined) return false;
      const time = clock.now().toISOString();
      if (!(await keepPhase(db, id, { phase, time, source, detail }))) return false;
      await events.record(`node:${boot.xname}`, `boot.${phase}`, { ...detail, boot: id, time, source });
      return true;
    },
    get: async (id) =>
      (await withPhases(db, await db.selectFrom("boot").selectAll().where("id", "=", id).execute()))[0],
    latest: (xname) => newest(xname, sql.lit(true)),
    current: (xname) => newest(xname, isOfNode()),
    lastUp: (xname) => newest(xname, hasComeUp()),
    list: async ({ xname, after, limit }) => {
      let query = db.selectFrom("boot").selectAll().orderBy(sql.ref("number"), "desc").limit(limit);
      if (xname !== undefined) query = query.where("number", "in", bootsOf(xname));
      if (after !== undefined) {
        const last = await db.selectFrom("boot").select("number").where("id", "=", after).executeTakeFirst();
        // An empty page would be taken for the end.
        if (last === undefined) throw new NetkilnError("not_found", `there is no boot "${after}" to list after`);
        query = query.where("number", "<", last.number);
      }
      return withPhases(db, await query.execute());
    },
  };
}

/** Of a row of `boot`: whether it is more than somebody's fetch of a script. */
export function isOfNode() {
  return sql<boolean>`(image_id is null or exists (select 1 from boot_phase where boot_phase.boot = boot.id
    and not (phase = 'failed' and source = 'server')))`;
}

/** Of a row of `boot`: whether the node's own system was running. */
export function hasComeUp() {
  return sql<boolean>`exists (select 1 from boot_phase where boot_phase.boot = boot.id
    and phase in ('userspace', 'ready'))`;
}

/** The moment a phase was reached, or undefined. */
export function phaseOf(boot: Boot, phase: BootPhase): PhaseRecord | undefined {
  return boot.phases.find((record) => record.phase === phase);
}

/** False when it was there already. */
async function keepPhase(db: Kysely<Tables>, id: string, record: PhaseRecord): Promise<boolean> {
  const { phase, time, source } = record;
  const detail = JSON.stringify(record.detail);
  if (phase === "script") {
    const boot = db.updateTable("boot").where("id", "=", id).where("script_time", "is", null);
    const { numUpdatedRows } = await boot.set({ script_time: time, script_detail: detail }).executeTakeFirst();
    return numUpdatedRows > 0n;
  }
  const { numInsertedOrUpdatedRows = 0n } = await db
    .insertInto("boot_phase")
    .values({ boot: id, phase, time, source, detail })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows > 0n;
}

type BootRow = Omit<Tables["boot"], "number"> & { number: number };
type PhaseRow = Tables["boot_phase"];

async function withPhases(db: Kysely<Tables>, boots: BootRow[]): Promise<Boot[]> {
  if (boots.length === 0) return [];
  const ids = boots.map(({ id }) => id);
  const rows = await db
    .selectFrom("boot_phase")
    .selectAll()
    .where("boot", "in", ids)
    .orderBy(sql.ref("time"))
    .orderBy(sql.ref("rowid"))
    .execute();
  const phasesOf = Map.groupBy(rows, ({ boot }) => boot);
  return boots.map((boot) => ({
    id: boot.id,
    xname: boot.xname,
    imageId: boot.image_id ?? undefined,
    expectedBuildId: boot.expected_build_id ?? undefined,
    started: boot.started,
    phases: phasesInTurn(boot, phasesOf.get(boot.id) ?? []),
  }));
}

/** @param others all but the script's, in their order */
function phasesInTurn({ script_time: time, script_detail }: BootRow, others: readonly PhaseRow[]): PhaseRecord[] {
  const records = others.map((row) => ({
    phase: row.phase,
    time: row.time,
    source: row.source,
    detail: JSON.parse(row.detail) as Record<string, unknown>,
  }));
  if (time === null) return records;
  const detail = JSON.parse(script_detail ?? "{}") as Record<string, unknown>;
  // At the same time comes only the power before it.
  const isBefore = (record: PhaseRecord) => record.time < time || (record.time === time && record.phase === "power");
  const place = records.filter(isBefore).length;
  return records.toSpliced(place, 0, { phase: "script", time, source: "server", detail });
}
