/** A thread of compress-jobs.ts. */
import { parentPort, workerData } from "node:worker_threads";
import type { Answer, Job, WorkerData } from "./compress-jobs.ts";
import { makeBlocks } from "./make-blocks.ts";

const { level } = workerData as WorkerData;

parentPort?.on("message", ({ number, blocks }: Job) => {
  try {
    const made = makeBlocks(blocks, level);
    answer({ number, ...made }, made.bytes.buffer as ArrayBuffer);
  } catch (error) {
    answer({ problem: (error as Error).message });
  }
});

function answer(made: Answer, ...moved: ArrayBuffer[]): void {
  parentPort?.postMessage(made, moved);
}
