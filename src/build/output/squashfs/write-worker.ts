/** The thread of write-parts.ts. */
import { parentPort } from "node:worker_threads";
import { NetkilnError } from "../../../lib/errors.ts";
import { doTask, type Answer, type Task } from "./write-parts.ts";

parentPort?.on("message", async (task: Task) => {
  const answer: Answer = await doTask(task).catch((error: NodeJS.ErrnoException) => ({
    problem: error.message,
    ...(!(error instanceof NetkilnError) && error.code !== undefined && { code: error.code }),
  }));
  parentPort?.postMessage(answer, []);
});
