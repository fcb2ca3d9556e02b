import { Worker } from "node:worker_threads";
import { NetkilnError } from "../../../lib/errors.ts";
import { makeBlocks, type MadeBlocks } from "./make-blocks.ts";
import type { PlannedBlock } from "./plan-blocks.ts";

/** Blocks that are made together, one after the other. */
export interface Job {
  readonly number: number;
  readonly blocks: readonly PlannedBlock[];
}

/** What a worker answers to a job. */
export type Answer = ({ readonly number: number } & MadeBlocks) | { readonly problem: string };

export interface WorkerData {
  readonly level: number;
}

/** So that a worker has the next job at once. */
const jobsPerWorker = 2;
/** That are made or wait for one before them; of about 1 MiB each, they bound the memory. */
const mostAhead = 32;

/** Makes the blocks of jobs in threads; `take` gets them in the order of the jobs. */
export async function compressJobs(
  jobs: readonly (readonly PlannedBlock[])[],
  { level, threads }: WorkerData & { readonly threads: number },
  take: (made: MadeBlocks) => void,
): Promise<void> {
  if (jobs.length <= 1) {
    // Less work than starting a thread.
    for (const blocks of jobs) take(makeBlocks(blocks, level));
    return;
  }
  const workerData: WorkerData = { level };
  const workers = Array.from(
    { length: Math.min(threads, jobs.length) },
    () => new Worker(new URL("compress-worker.ts", import.meta.url), { workerData }),
  );
  try {
    await distribute(jobs, workers, take);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

async function distribute(
  jobs: readonly (readonly PlannedBlock[])[],
  workers: readonly Worker[],
  take: (made: MadeBlocks) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const waiting = new Map<number, MadeBlocks>();
  const busy = new Map(workers.map((worker) => [worker, 0]));
  let [given, taken] = [0, 0];
  const give = () => {
    for (let round = 0; round < jobsPerWorker; round += 1) {
      for (const [worker, count] of busy) {
        const blocks = jobs[given];
        if (count >= jobsPerWorker || blocks === undefined || given - taken >= mostAhead) continue;
        worker.postMessage({ number: given, blocks } satisfies Job, []);
        busy.set(worker, count + 1);
        given += 1;
      }
    }
  };
  const takeAll = () => {
    for (let made = waiting.get(taken); made !== undefined; made = waiting.get(taken)) {
      waiting.delete(taken);
      take(made);
      taken += 1;
    }
    if (taken === jobs.length) resolve();
  };
  for (const worker of workers) {
    worker.on("message", (answer: Answer) => {
      if ("problem" in answer) return reject(new NetkilnError("internal", answer.problem));
      busy.set(worker, (busy.get(worker) ?? 1) - 1);
      waiting.set(answer.number, answer);
      try {
        takeAll();
      } catch (error) {
        reject(error);
      }
      return give();
    });
    worker.on("error", reject);
  }
  give();
  return promise;
}
