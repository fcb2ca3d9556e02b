import { clock, timestamp } from "../lib/clock.ts";
import { CompiledQuery, prepareRead, sql, type Database } from "../lib/db.ts";
import type { BootTarget } from "./boot-tables.ts";

export interface ScriptFetch {
  readonly xname: string;
  /** How often the node has asked in this boot before. */
  readonly retry: number;
  readonly target: BootTarget;
  /** Of the phase. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

interface Waiting {
  readonly fetch: ScriptFetch;
  readonly resolve: (bootId: string) => void;
  readonly reject: (reason: unknown) => void;
}

/** The newest boot of a node. */
interface Newest extends BootTarget {
  readonly id: string;
  /** Whether its script was fetched. */
  readonly scripted: boolean;
  /** Whether it came to an end. */
  readonly over: boolean;
}

interface NewestRow {
  readonly xname: string;
  readonly id: string;
  readonly image_id: string | null;
  readonly expected_build_id: string | null;
  readonly phases: string | null;
}

const select = `
  select boot.xname, boot.id, image_id, expected_build_id,
    (select group_concat(phase) from boot_phase where boot_phase.boot = boot.id) as phases`;
const newestOfOne = `${select} from boot where xname = ? order by number desc limit 1`;
const newestOfMany = `${select} from json_each(?) as given
  cross join boot on number = (select max(number) from boot where xname = given.value)`;

/**
 * Records fetches of boot scripts, each in the boot that it belongs to, and answers with that boot's id once this is
 * on the disk. When thousands of nodes ask at the same time, each would wait for a sync of its own; so those that come
 * while others are being written share the next one.
 */
export function openScriptFetches(database: Database): (fetch: ScriptFetch) => Promise<string> {
  let waiting: Waiting[] = [];
  let writing = false;
  const readNewest = prepareRead<NewestRow>(database, newestOfOne);

  const write = async () => {
    while (waiting.length > 0) {
      const now = waiting;
      waiting = [];
      try {
        const ids = await recordAll(
          database,
          now.map(({ fetch }) => fetch),
        );
        for (const [index, { resolve }] of now.entries()) resolve(ids[index] as string);
      } catch (error) {
        for (const { reject } of now) reject(error);
      }
    }
    writing = false;
  };

  return async (fetch) => {
    // A node that asks again and gets the same changes nothing, and thousands may do so every half minute.
    if (fetch.retry > 0) {
      const last = readNewest(fetch.xname).map(toNewest)[0];
      if (last !== undefined && isSame(fetch, last)) return last.id;
    }
    return new Promise((resolve, reject) => {
      waiting.push({ fetch, resolve, reject });
      if (writing) return;
      writing = true;
      // All that came in this turn go together.
      setImmediate(() => void write());
    });
  };
}

/** Whether the fetch belongs to the boot, and nothing about it is new. */
function isSame({ retry, target }: ScriptFetch, last: Newest): boolean {
  return (
    goesOnWith(last, retry) &&
    last.scripted &&
    last.imageId === target.imageId &&
    last.expectedBuildId === target.expectedBuildId
  );
}

function goesOnWith(last: Newest | undefined, retry: number): last is Newest {
  return last !== undefined && !last.over && !(retry === 0 && last.scripted);
}

function toNewest({ id, image_id, expected_build_id, phases }: NewestRow): Newest {
  const seen = new Set(phases?.split(","));
  const over = seen.has("ready") || seen.has("failed");
  const target = { imageId: image_id ?? undefined, expectedBuildId: expected_build_id ?? undefined };
  return { id, scripted: seen.has("script"), over, ...target };
}

interface Rows {
  readonly boots: { id: string; xname: string; imageId?: string | undefined; buildId?: string | undefined }[];
  /** Boots that go on, with what they are given now. */
  readonly changed: { id: string; imageId?: string | undefined; buildId?: string | undefined }[];
  readonly phases: { id: string; detail: string; subject: string; data: string }[];
}

/** The ids of the boots, in the order of the fetches. */
async function recordAll(database: Database, fetches: readonly ScriptFetch[]): Promise<string[]> {
  const time = clock.now().toISOString();
  return database.transaction().execute(async (db) => {
    const newest = await newestOf(
      db,
      fetches.map(({ xname }) => xname),
    );
    const rows: Rows = { boots: [], changed: [], phases: [] };
    const ids = fetches.map((fetch) => recordOne(fetch, newest, rows, time));
    await insertRows(db, rows, time);
    return ids;
  });
}

function recordOne(fetch: ScriptFetch, newest: Map<string, Newest>, rows: Rows, time: string): string {
  const { xname, retry, detail = {} } = fetch;
  const target = { imageId: fetch.target.imageId, buildId: fetch.target.expectedBuildId };
  const last = newest.get(xname);
  const goesOn = goesOnWith(last, retry);
  const id = goesOn ? last.id : clock.randomHex(16);
  if (goesOn) rows.changed.push({ id, ...target });
  else rows.boots.push({ id, xname, ...target });
  if (!goesOn || !last.scripted) {
    const data = JSON.stringify({ ...detail, boot: id, time, source: "server" });
    rows.phases.push({ id, detail: JSON.stringify(detail), subject: `node:${xname}`, data });
  }
  newest.set(xname, { id, scripted: true, over: false, ...fetch.target });
  return id;
}

async function newestOf(db: Database, xnames: readonly string[]): Promise<Map<string, Newest>> {
  const given = JSON.stringify([...new Set(xnames)]);
  const { rows } = await db.executeQuery<NewestRow>(CompiledQuery.raw(newestOfMany, [given]));
  return new Map(rows.map((row) => [row.xname, toNewest(row)]));
}

/** One statement for each table, however many rows there are. */
async function insertRows(db: Database, { boots, changed, phases }: Rows, time: string): Promise<void> {
  if (boots.length > 0) {
    await sql`
      insert into boot (id, xname, image_id, expected_build_id, started)
      select value ->> 'id', value ->> 'xname', value ->> 'imageId', value ->> 'buildId', ${time}
      from json_each(${JSON.stringify(boots)})`.execute(db);
  }
  if (changed.length > 0) {
    await sql`
      update boot set image_id = given.value ->> 'imageId', expected_build_id = given.value ->> 'buildId'
      from json_each(${JSON.stringify(changed)}) as given where boot.id = given.value ->> 'id'`.execute(db);
  }
  if (phases.length === 0) return;
  const given = JSON.stringify(phases);
  await sql`
    insert into boot_phase (boot, phase, time, source, detail)
    select value ->> 'id', 'script', ${time}, 'server', value ->> 'detail' from json_each(${given})`.execute(db);
  await sql`
    insert into event (time, subject, kind, data)
    select ${timestamp(new Date(time))}, value ->> 'subject', 'boot.script', value ->> 'data'
    from json_each(${given})`.execute(db);
}
