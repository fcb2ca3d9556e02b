import { join } from "node:path";
import type { RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";

/**
 * Packs the bare tree of the sandbox into a squashfs file and returns its path. Owners, hard links, extended
 * attributes and with them file capabilities are kept. Times come from the tree; SOURCE_DATE_EPOCH sets that of the
 * file system itself, and mksquashfs (4.4 and later) orders everything the same way each time.
 */
export async function packSquashfs(
  sandbox: Sandbox,
  level: number,
  epoch: number,
  options: RunOptions,
): Promise<string> {
  const file = join(sandbox.work, "rootfs");
  const argv = [
    ...["mksquashfs", treeMountPoint, file],
    ...["-comp", "zstd", "-Xcompression-level", String(level)],
    ...["-noappend", "-xattrs", "-no-progress"],
  ] as const;
  await runInSandbox(sandbox, { at: "host", argv }, { ...options, env: { SOURCE_DATE_EPOCH: String(epoch) } });
  return file;
}
