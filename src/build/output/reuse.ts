import { fileURLToPath } from "node:url";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";
import type { Observed } from "./observed.ts";
import type { Looks } from "./trace.ts";

const program = fileURLToPath(new URL("../inside/observe.ts", import.meta.url));

/** Observes the tree of the sandbox at the places that somebody looked at. */
export async function observeTree(looks: Looks, sandbox: Sandbox, signal: AbortSignal | undefined): Promise<Observed> {
  const command = { at: "host", argv: [process.execPath, program, "observe", treeMountPoint] } as const;
  const { stdout } = await runInSandbox(sandbox, command, { signal, input: JSON.stringify(looks) });
  return JSON.parse(stdout) as Observed;
}

/**
 * Says what makes the tree of the sandbox differ from the one that was observed, in an operator's words: the first
 * place in the order of paths and how it differs; undefined when it is the same wherever somebody had looked.
 */
export async function changedSince(
  observed: Observed,
  sandbox: Sandbox,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const command = { at: "host", argv: [process.execPath, program, "compare", treeMountPoint] } as const;
  const { stdout } = await runInSandbox(sandbox, command, { signal, input: JSON.stringify(observed) });
  return (JSON.parse(stdout) as { difference?: string }).difference;
}
