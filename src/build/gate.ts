import { fileURLToPath } from "node:url";
import {
  evaluateGate,
  parseAllChecks,
  type ChecksFile,
  type CommandOutcome,
  type Verdict,
} from "../compliance/index.ts";
import type { Talk } from "../lib/exec.ts";
import { talkInSandbox, treeMountPoint, type Sandbox } from "./sandbox/sandbox.ts";
import { readerOf } from "./tree/reader.ts";
import type { LazyView } from "./view-tree.ts";

const program = fileURLToPath(new URL("./inside/run-commands.py", import.meta.url));

/**
 * Holds the checks against a tree that is not started. What they say of its files is looked up in the view of it;
 * commands run in the sandbox, without a network, on a throw-away copy. Throws `invalid_input` with every mistake in
 * the checks before anything is looked at.
 */
export async function runGate(
  checks: readonly ChecksFile[],
  view: LazyView,
  sandbox: Sandbox,
  signal: AbortSignal,
): Promise<Verdict> {
  const parsed = parseAllChecks(checks);
  const hasCommands = parsed.some(({ resources }) => resources.some(({ kind }) => kind === "command"));
  // Started now: it is there when everything else has been looked at.
  const argv = ["/usr/bin/python3", "-I", program, treeMountPoint] as const;
  const runner = hasCommands ? talkInSandbox(sandbox, { at: "host", argv }, { name: "the gate", signal }) : undefined;
  let broken: { readonly error: unknown } | undefined;
  try {
    const verdict = await evaluateGate({
      checks: parsed,
      tree: readerOf((await view()).root),
      runCommand: async (command, { timeoutMs }) => {
        if (broken !== undefined) throw broken.error;
        signal.throwIfAborted();
        if (runner === undefined) throw new Error("the checks have no commands");
        const outcome = await askFor({ command, timeoutMs }, runner).catch((error: unknown) => {
          broken = { error };
          throw error;
        });
        if ("error" in outcome) throw new Error(outcome.error);
        return outcome;
      },
      signal,
    });
    // Commands that were stopped, and a sandbox that broke, are no verdict.
    signal.throwIfAborted();
    if (broken !== undefined) throw broken.error;
    return verdict;
  } finally {
    await runner?.end();
  }
}

async function askFor(
  command: { readonly command: string; readonly timeoutMs: number },
  runner: Talk,
): Promise<CommandOutcome | { readonly error: string }> {
  const answer = await runner.ask(JSON.stringify(command));
  return JSON.parse(answer) as CommandOutcome | { readonly error: string };
}
