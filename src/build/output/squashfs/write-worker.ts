/** The thread of write-parts.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { NetkilnError } from "../../../lib/errors.ts";
import { doTask, type Answer, type Task } from "./write-parts.ts";

const answer: Answer = await doTask(workerData as Task).catch((error: NodeJS.ErrnoException) => ({
  problem: error.message,
  ...(!(error instanceof NetkilnError) && error.code !== undefined && { code: error.code }),
}));
parentPort?.postMessage(answer, []);
