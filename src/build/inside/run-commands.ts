/**
 * Runs in a sandbox, beside the tree at its mount point: for each line of JSON `{"command", "timeoutMs"}` on standard
 * input it runs the command in the tree, and answers with a line of JSON: what came of it, or `{"error"}` when it could
 * not be run. A process of its own, because only there the tree is mounted.
 */
import { createInterface } from "node:readline";
import { run } from "../../lib/exec.ts";
import { treeMountPoint } from "../sandbox/sandbox.ts";

/** Characters of each output; the answer is read at once and held against patterns. */
const maxOutput = 1 << 20;

const shell = await run(["chroot", treeMountPoint, "/bin/sh", "-c", ":"], { okExitCodes: "any" });

/** In a PID namespace of its own, so that what a command starts ends with it or with its time limit. */
const wrapped = ["unshare", "--pid", "--fork", "--kill-child=KILL", "chroot", treeMountPoint] as const;

for await (const line of createInterface({ input: process.stdin })) {
  const { command, timeoutMs } = JSON.parse(line) as { command: string; timeoutMs: number };
  const outcome =
    shell.exitCode === 0
      ? await run([...wrapped, "/bin/sh", "-c", command], {
          ...{ name: "the command", timeoutMs, maxOutput, okExitCodes: "any" },
        }).catch((error: unknown) => ({
          error: error instanceof Error ? error.message : String(error),
        }))
      : { error: "the tree has no shell that runs (/bin/sh)" };
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
