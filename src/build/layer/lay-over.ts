import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { run, type RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";

/**
 * Copies a staged folder over the tree of the sandbox, as root's. Folders that the tree has keep their owner and
 * mode, and links to folders (/lib -> usr/lib) are followed, not replaced.
 */
export async function layOver(
  stage: (staging: string) => Promise<void>,
  sandbox: Sandbox,
  options: RunOptions,
): Promise<void> {
  const staging = join(sandbox.work, "staging");
  const archive = join(sandbox.work, "staging.tar");
  await mkdir(staging);
  await stage(staging);
  await run(["tar", "-c", "--owner=0", "--group=0", "--numeric-owner", "-C", staging, "-f", archive, "."], options);
  const argv = [
    ...["tar", "-x", "--numeric-owner", "--same-permissions"],
    ...["--no-overwrite-dir", "--keep-directory-symlink"],
    ...["-C", treeMountPoint, "-f", archive],
  ] as const;
  await runInSandbox(sandbox, { at: "host", argv }, options);
}
