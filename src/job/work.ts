import { toErrorRecord, type ErrorRecord } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import { processName } from "../lib/process.ts";
import type { Job, JobStore } from "./store.ts";

/** Nothing tells that a lease ran out. */
const idleMs = 1000;
const heartbeatMs = 3000;

export interface Handler {
  /** Does the work; must stop soon after the signal. A failure is recorded by `failed` before the job is closed. */
  run(job: Job, signal: AbortSignal): Promise<void>;
  failed(job: Job, error: ErrorRecord): Promise<void>;
}

/** Takes jobs of one kind, at most `limit` at a time, until `signal`; then gives back what is unfinished. */
export async function workOn(
  jobs: JobStore,
  kind: string,
  handler: Handler,
  { limit, signal }: { limit: number; signal: AbortSignal },
): Promise<void> {
  const owner = processName();
  const running = new Set<Promise<void>>();
  const changes = jobs.changes();
  while (!signal.aborted) {
    const job = running.size < limit ? await jobs.claim(kind, owner) : undefined;
    if (job === undefined) {
      await changes.next(idleMs, signal);
      continue;
    }
    const task = runJob(jobs, owner, job, handler, signal)
      // Its lease runs out, and it is taken again.
      .catch((error: unknown) => log.error({ error, job: job.id }, "the end of a job cannot be written down"))
      .finally(() => running.delete(task));
    running.add(task);
  }
  await Promise.all(running);
}

async function runJob(jobs: JobStore, owner: string, job: Job, handler: Handler, stop: AbortSignal): Promise<void> {
  const lost = new AbortController();
  const beat = setInterval(() => {
    jobs.heartbeat(job.id, owner).then(
      (mine) => {
        if (!mine) lost.abort(new Error("the job was taken over"));
      },
      (error: unknown) => log.warn({ error, job: job.id }, "heartbeat failed"),
    );
  }, heartbeatMs);
  try {
    await handler.run(job, AbortSignal.any([stop, lost.signal]));
    await jobs.finish(job.id, owner);
  } catch (error) {
    if (lost.signal.aborted) return;
    if (stop.aborted) {
      await jobs.release(job.id, owner);
      return;
    }
    const record = toErrorRecord(error);
    log.error({ job: job.id, subject: job.subject, error: record, cause: error }, "job failed");
    await handler.failed(job, record);
    await jobs.finish(job.id, owner, record);
  } finally {
    clearInterval(beat);
  }
}
