import { join } from "node:path";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";

/** The version of the newest kernel in the tree of the sandbox, as `uname -r` would say it. */
export async function findKernel(sandbox: Sandbox, signal: AbortSignal | undefined): Promise<string> {
  const argv = ["ls", "-1", "-v", join(treeMountPoint, "usr/lib/modules")] as const;
  const { stdout } = await runInSandbox(sandbox, { at: "host", argv }, { signal, okExitCodes: "any" });
  const version = stdout.trim().split("\n").at(-1) ?? "";
  if (version !== "") return version;
  throw new NetkilnError("work_failed", "the tree has no kernel: /usr/lib/modules is empty", {
    hint: "name a kernel package in recipe.yaml (kernel.package)",
  });
}

/** Copies the kernel out of the tree and returns the path of the copy. */
export async function takeKernel(sandbox: Sandbox, version: string, options: RunOptions): Promise<string> {
  const file = join(sandbox.work, "kernel");
  const argv = ["cp", "--", join(treeMountPoint, "boot", `vmlinuz-${version}`), file] as const;
  await runInSandbox(sandbox, { at: "host", argv }, options);
  return file;
}
