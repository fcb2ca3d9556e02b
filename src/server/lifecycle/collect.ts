import { addRemoved, type GcReport, type GcRun, type Stored, type StoredKind } from "../../artifact/index.ts";
import type { Image } from "../../image/index.ts";
import type { Handler } from "../../job/index.ts";
import { clock } from "../../lib/clock.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { House } from "../open.ts";
import { openContents } from "./contents.ts";
import { endHistory } from "./history.ts";
import { deletedRecipes, isOver } from "./roots.ts";
import { decideAll, kinds, reportOf, survey, type Survey } from "./survey.ts";
import { imageUses } from "./uses.ts";

export const gcJob = "gc";

/** Starts a garbage collection; a worker does it. Throws `conflict` while another one is under way. */
export async function startGc(house: House): Promise<GcRun> {
  const run = await house.gcRuns.create().catch(async (error: unknown) => {
    const other = await house.gcRuns.newest();
    // A server that died before it had queued its run has left one that nobody would ever take.
    if (other !== undefined && other.finished === undefined) await house.jobs.enqueue(gcJob, other.id);
    throw error;
  });
  await house.jobs.enqueue(gcJob, run.id);
  return run;
}

/** What a worker does with garbage collections; the job's subject is the run's id. */
export function gcHandler(house: House): Handler {
  return {
    run: async (job, signal) => {
      const run = await house.gcRuns.find(job.subject);
      if (run === undefined) throw new NetkilnError("not_found", `there is no garbage collection ${job.subject}`);
      if (run.finished !== undefined) return;
      const report = await collect(house, new Progress(house, run), signal);
      await house.gcRuns.finish(run.id);
      await house.events.record(`gc:${run.id}`, "succeeded", { freed: report.freed, removed: report.removed });
    },
    failed: async (job, error) => {
      await house.gcRuns.finish(job.subject, error);
      await house.events.record(`gc:${job.subject}`, "failed", { error });
    },
  };
}

const saveMs = 200;

/** How far a collection is, and what it has done; a crash loses the account of the last moments at most. */
class Progress {
  report: GcReport;
  readonly #house: House;
  readonly #id: string;
  #saved = 0;

  constructor(house: House, { id, report }: GcRun) {
    this.#house = house;
    this.#id = id;
    this.report = report;
  }

  async phase(text: string): Promise<void> {
    await this.#house.gcRuns.save(this.#id, text, this.report);
    await this.#house.events.record(`gc:${this.#id}`, "phase", { phase: text });
  }

  async removed(kind: StoredKind, { name, size }: Stored): Promise<void> {
    this.report = addRemoved(this.report, kind, name, size);
    const now = clock.now().getTime();
    if (now - this.#saved < saveMs) return;
    this.#saved = now;
    await this.#house.gcRuns.save(this.#id, `removing ${kind}s`, this.report);
  }
}

/**
 * Images first, then records, then files. A build that was running when the records went may have read one just before,
 * so files go only after such builds have ended, and only if still nothing leads to them. A build that begins later
 * finds no record, and is seen before the next file goes.
 */
async function collect(house: House, progress: Progress, signal: AbortSignal): Promise<GcReport> {
  await progress.phase("applying the retention rules");
  await applyFates(house, progress);
  await progress.phase("ending old boots, boot tokens, accesses and events");
  progress.report = { ...progress.report, history: await endHistory(house, { carryOut: true, signal }) };
  await progress.phase("looking at what is stored");
  await openContents(house).blob.recover();
  let seen = await survey(house);
  for (const id of seen.staleRecords) await house.buildRecords.forget(id);
  progress.report = { ...progress.report, records: progress.report.records + seen.staleRecords.length };
  // Of what is condemned later, a build may have read the records.
  const doomed = new Set(kinds.flatMap((kind) => seen.sorted[kind].condemned.map(({ name }) => name)));
  if (doomed.size > 0) {
    await untilReadersEnded(house, progress, signal);
    do seen = await survey(house);
    while (!(await sweep(house, seen, doomed, progress, signal)));
  }
  const { young, kept, keptMost } = reportOf(seen);
  const items = progress.report.items.toSorted((a, b) => b.bytes - a.bytes);
  progress.report = { ...progress.report, young, kept, keptMost, items };
  await progress.phase("done");
  return progress.report;
}

async function applyFates(house: House, progress: Progress): Promise<void> {
  const { images, events } = house;
  const done = async (id: string, name: string, fate: "delete" | "destroy", kind: string) => {
    const what = `${kind}:${id}`;
    await events.record(what, fate === "delete" ? "deleted" : "destroyed", { name, by: "retention" });
    const { report } = progress;
    progress.report =
      kind === "recipe"
        ? { ...report, recipes: [...report.recipes, { id, name }] }
        : { ...report, images: [...report.images, { id, name, fate }] };
  };
  const deleted: Image[] = [];
  for (const { image, fate } of await decideAll(house)) {
    const { id, name } = image;
    if (fate === "destroy" && (await images.destroyImage(id))) await done(id, name, fate, "image");
    // Refused: a channel was just moved to it.
    if (fate === "delete" && (await images.deleteImage(id).catch(unlessRefused))) deleted.push(image);
  }
  const uses = deleted.length > 0 ? await imageUses(house) : [];
  for (const { id, name } of deleted) {
    // Something else may have begun to use it in between; from now on nothing can.
    if (uses.some(({ image, blocks }) => blocks && image === id)) await images.undeleteImage(id);
    else await done(id, name, "delete", "image");
  }
  for (const { id, name, deleted: since } of await deletedRecipes(house)) {
    if (isOver(since, house.retention) && (await images.destroyRecipe(id))) await done(id, name, "destroy", "recipe");
  }
  await endRecords(house);
}

/** Deleted records of what was never here, as IMS clients make them. Nothing is freed, so nothing is told. */
async function endRecords({ images, imageRecords, recipeRecords, retention }: House): Promise<void> {
  const isEnded = ({ content, deleted = "" }: { content: boolean; deleted: string | undefined }) =>
    !content && isOver(deleted, retention);
  for (const { id } of (await imageRecords.list("deleted")).filter(isEnded)) await images.destroyImage(id);
  for (const { id } of (await recipeRecords.list("deleted")).filter(isEnded)) await images.destroyRecipe(id);
}

function unlessRefused(error: unknown): false {
  if (error instanceof NetkilnError && error.code === "refused") return false;
  throw error;
}

const pollMs = 500;

async function untilReadersEnded(house: House, progress: Progress, signal: AbortSignal): Promise<void> {
  const running = async () => (await house.buildRecords.unfinished()).filter((build) => build.running);
  const readers = new Set((await running()).map(({ id }) => id));
  let told = "";
  for (;;) {
    const left = (await running()).filter(({ id }) => readers.has(id));
    if (left.length === 0) return;
    const text = `waiting for what is being built: ${left.map(({ image }) => image).join(", ")}`;
    if (text !== told) await progress.phase(text);
    told = text;
    await clock.sleep(pollMs, signal);
  }
}

/** Removes what was condemned; false when a build has begun meanwhile, so that one has to look again. */
async function sweep(
  house: House,
  seen: Survey,
  doomed: ReadonlySet<string>,
  progress: Progress,
  signal: AbortSignal,
): Promise<boolean> {
  const known = new Set(seen.builds.map(({ id }) => id));
  for (const kind of kinds) {
    for (const stored of seen.sorted[kind].condemned.filter(({ name }) => doomed.has(name))) {
      signal.throwIfAborted();
      if (!(await house.buildRecords.unfinished()).every(({ id }) => known.has(id))) return false;
      if (await seen.contents[kind].remove(stored.name, seen.before[kind])) await progress.removed(kind, stored);
    }
  }
  return true;
}
