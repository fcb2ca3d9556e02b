import { clock } from "../../lib/clock.ts";
import type { CommandResource } from "../checks.ts";
import { value, type Fact } from "./fact.ts";

export interface CommandOutcome {
  readonly exitCode: number;
  /** As the command wrote it, the last newline included. */
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/**
 * Runs `/bin/sh -c EXEC` inside the tree, in a sandbox that ends what the command leaves running. What it changes must
 * not reach the image, but a later command may see it. Rejects when the command could not be started, as in a tree
 * without a shell: an exit code would be taken for the command's own.
 */
export type RunCommand = (exec: string, options: { readonly timeoutMs: number }) => Promise<CommandOutcome>;

export type CommandProperty = "exit-status" | "stdout" | "stderr";

/** One run; throws an Error when it did not come to an end, because then nothing is known. */
export async function runOnce(
  runCommand: RunCommand,
  { exec, timeoutMs }: CommandResource,
): Promise<Readonly<Record<CommandProperty, Fact>>> {
  const outcome = await runCommand(exec, { timeoutMs });
  if (outcome.timedOut) throw new Error(`the command did not end within ${timeoutMs} ms`);
  return {
    "exit-status": value(outcome.exitCode),
    stdout: value(outcome.stdout),
    stderr: value(outcome.stderr),
  };
}

/** Calls `attempt` until it returns true, at most once and `retryCount` times more. */
export async function withRetries(
  { retryCount, retryDelayMs }: CommandResource,
  attempt: () => Promise<boolean>,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let left = retryCount; !(await attempt()) && left > 0; left -= 1) await clock.sleep(retryDelayMs, signal);
}
