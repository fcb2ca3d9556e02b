/** The thread of write-parts.ts. */
import { parentPort, workerData } from "node:worker_threads";
import { NetkilnError } from "../../../lib/errors.ts";
import { copyParts, type Answer, type FileParts } from "./write-parts.ts";

const answer: Answer = await copyParts(workerData as FileParts).then(
  (digests) => ({ digests }),
  (error: NodeJS.ErrnoException) => ({
    problem: error.message,
    ...(!(error instanceof NetkilnError) && error.code !== undefined && { code: error.code }),
  }),
);
parentPort?.postMessage(answer, []);
