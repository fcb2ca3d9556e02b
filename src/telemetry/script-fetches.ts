import { setImmediate } from "node:timers/promises";
import { clock, timestamp } from "../lib/clock.ts";
import { prepareInTransaction, prepareRead, writeTogether, type Database, type Prepared } from "../lib/db.ts";
import { newBootId } from "./boot-id.ts";
import type { BootTarget } from "./boot-tables.ts";

export interface ScriptFetch {
  readonly xname: string;
  /** How often the node has asked in this boot before. */
  readonly retry: number;
  readonly target: BootTarget;
  /** Of the phase. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** Fetches that came together, and wait for their boots together: a promise for each of thousands costs more. */
interface Together {
  readonly ids: string[];
  left: number;
  readonly resolve: (ids: string[]) => void;
  readonly reject: (reason: unknown) => void;
}

interface Waiting {
  readonly fetch: ScriptFetch;
  readonly together: Together;
  /** Its place among them. */
  readonly at: number;
}

function tell({ together, at }: Waiting, bootId: string): void {
  together.ids[at] = bootId;
  together.left -= 1;
  if (together.left === 0) together.resolve(together.ids);
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
  readonly scripted: number;
  readonly over: number;
}

/** By the table and the rows that are not in it yet (boots-of-node.ts), which are looked through once for all. */
const newestOfMany = `
  with given as materialized (select value as xname from json_each(?)),
    unfiled as materialized (
      select xname, max(number) as number from boot
      where number > (select upto from boot_filed) and xname in (select xname from given) group by xname)
  select boot.xname, boot.id, image_id, expected_build_id, script_time is not null as scripted,
    exists (select 1 from boot_phase where boot_phase.boot = boot.id and phase in ('ready', 'failed')) as over
  from given
  cross join boot on number = coalesce(
    (select number from unfiled where unfiled.xname = given.xname),
    (select max(number) from boot_of_node where boot_of_node.xname = given.xname))`;

/**
 * Records fetches of boot scripts, each in the boot that it belongs to, and answers with these boots' ids once all of them
 * are on the disk. When thousands of nodes ask at the same time, each would wait for a sync of its own; so those that come
 * while others are being written share the next one.
 */
export function openScriptFetches(
  database: Database,
  fileLater: (begun: number) => Promise<void>,
): (fetches: readonly ScriptFetch[]) => Promise<readonly string[]> {
  let waiting: Waiting[] = [];
  let writing = false;
  const readNewest = prepareRead<NewestRow>(database, newestOfMany);
  const recordAll = openRecorder(database);

  /** A node that asks again and gets the same changes nothing, and thousands may do so every half minute. */
  const answerSame = (all: readonly Waiting[]): Waiting[] => {
    const newest = newestOf(readNewest, all.filter(isRetry).map(xnameOf));
    if (newest.size === 0) return [...all];
    return all.filter((one) => {
      const last = newest.get(one.fetch.xname);
      if (last === undefined || !isSame(one.fetch, last)) return true;
      tell(one, last.id);
      return false;
    });
  };
  const write = async () => {
    while (waiting.length > 0) {
      await othersToo(() => waiting.length);
      const now = waiting;
      waiting = [];
      try {
        const changing = answerSame(now);
        if (changing.length === 0) continue;
        await recordAll(changing);
        await fileLater(changing.length);
      } catch (error) {
        // Those that have all their answers keep them.
        for (const { together } of now) together.reject(error);
      }
    }
    writing = false;
  };

  return (fetches) =>
    new Promise((resolve, reject) => {
      if (fetches.length === 0) return void resolve([]);
      const together = { ids: [], left: fetches.length, resolve, reject };
      for (const [at, fetch] of fetches.entries()) waiting.push({ fetch, together, at });
      if (writing) return;
      writing = true;
      void write();
    });
}

/** With so many nobody waits for more, nor after so long: the first of them waits for all. */
const mostTogether = 1000;
const longestMs = 20;
/** So many turns may bring none: who has his answer takes a moment to ask again, and a sync takes longer than a turn. */
const emptyTurns = 8;

/** Waits for turns of the event loop as long as they bring more: what is written for a few costs as much as for many. */
async function othersToo(count: () => number): Promise<void> {
  const deadline = performance.now() + longestMs;
  let seen = 0;
  for (let empty = 0; empty < emptyTurns && seen < mostTogether && performance.now() < deadline;) {
    empty = count() > seen ? 0 : empty + 1;
    seen = count();
    await setImmediate();
  }
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

function newestOf(read: Prepared<NewestRow>, xnames: Iterable<string>): Map<string, Newest> {
  const given = [...new Set(xnames)];
  if (given.length === 0) return new Map();
  return new Map(read(JSON.stringify(given)).map((row) => [row.xname, toNewest(row)]));
}

const xnameOf = ({ fetch }: Waiting) => fetch.xname;
const isRetry = ({ fetch }: Waiting) => fetch.retry > 0;

function toNewest({ id, image_id, expected_build_id, scripted, over }: NewestRow): Newest {
  const target = { imageId: image_id ?? undefined, expectedBuildId: expected_build_id ?? undefined };
  return { id, scripted: scripted !== 0, over: over !== 0, ...target };
}

/** Writes fetches in one transaction, and answers them when it is committed. */
function openRecorder(database: Database): (fetches: readonly Waiting[]) => Promise<void> {
  const readNewest = prepareInTransaction<NewestRow>(database, newestOfMany);
  const statement = (query: string) => prepareInTransaction(database, query);
  const unscripted = prepareInTransaction<{ readonly xname: string }>(
    database,
    "select xname from boot where script_time is null and xname in (select value from json_each(?))",
  );
  /** A first fetch goes on with a boot only when no script was fetched in it; to find that there is none costs less. */
  const mayGoOn = (fetches: readonly Waiting[]) => [
    ...fetches.filter(isRetry).map(xnameOf),
    ...unscripted(JSON.stringify(fetches.map(xnameOf))).map(({ xname }) => xname),
  ];
  const beginBoot = statement(
    `insert into boot (id, xname, image_id, expected_build_id, started, script_time, script_detail)
     values (?, ?, ?, ?, ?, ?, ?)`,
  );
  const changeTarget = statement("update boot set image_id = ?, expected_build_id = ? where id = ?");
  const keepScript = statement("update boot set script_time = ?, script_detail = ? where id = ?");
  const insertEvents = statement(
    `insert into event (time, subject, kind, data, boot)
     select ?, '', 'boot.script', '', number from json_each(?) as given cross join boot on boot.id = given.value`,
  );

  /** @param scripted takes the boot whose script was not fetched before */
  const recordOne = (
    { xname, retry, target, detail = {} }: ScriptFetch,
    { last, time, scripted }: { last: Newest | undefined; time: string; scripted: string[] },
  ) => {
    const goesOn = goesOnWith(last, retry);
    const id = goesOn ? last.id : newBootId();
    const [imageId, buildId] = [target.imageId ?? null, target.expectedBuildId ?? null];
    if (goesOn) changeTarget(imageId, buildId, id);
    if (goesOn && last.scripted) return id;
    if (goesOn) keepScript(time, JSON.stringify(detail), id);
    else beginBoot(id, xname, imageId, buildId, time, time, JSON.stringify(detail));
    scripted.push(id);
    return id;
  };
  return async (fetches) => {
    const at = clock.now();
    const time = at.toISOString();
    const ids = await writeTogether(database, () => {
      const newest = newestOf(readNewest, mayGoOn(fetches));
      const scripted: string[] = [];
      const all = fetches.map(({ fetch }) => {
        const id = recordOne(fetch, { last: newest.get(fetch.xname), time, scripted });
        newest.set(fetch.xname, { id, scripted: true, over: false, ...fetch.target });
        return id;
      });
      insertEvents(timestamp(at), JSON.stringify(scripted));
      return all;
    });
    for (const [index, one] of fetches.entries()) tell(one, ids[index] as string);
  };
}
