import { fileURLToPath } from "node:url";
import type { ChecksFile, Verdict } from "../compliance/index.ts";
import { runInSandbox, type Sandbox } from "./sandbox/sandbox.ts";

const program = fileURLToPath(new URL("./inside/gate.ts", import.meta.url));

/** Holds the checks against a tree that is not started; commands run in it without a network, on a throw-away copy. */
export async function runGate(checks: readonly ChecksFile[], sandbox: Sandbox, signal: AbortSignal): Promise<Verdict> {
  const { stdout } = await runInSandbox(
    sandbox,
    { at: "host", argv: [process.execPath, program] },
    { input: JSON.stringify(checks), signal },
  );
  return JSON.parse(stdout) as Verdict;
}
