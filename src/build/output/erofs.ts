import { join } from "node:path";
import { run, type RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";
import { derivedUuid } from "./derive.ts";

/**
 * What this host's mkfs.erofs can do, as its options: zstd (1.8 and later) where it is there, else lz4hc. It belongs
 * to the inputs of the step beside the tool's version, as one version can be compiled with either.
 */
export async function erofsCompression(): Promise<readonly string[]> {
  const { stdout, stderr } = await run(["mkfs.erofs", "--help"], { okExitCodes: "any" });
  return compressionFor(stdout + stderr);
}

/**
 * Level 4 of lz4hc takes a third of the time of its default, 9, and makes 1 % more; clusters of 64 KiB make a tenth
 * less than those of 4 KiB.
 */
export function compressionFor(help: string): readonly string[] {
  return [/\bzstd\b/.test(help) ? "-zzstd" : "-zlz4hc,4", "-C65536"];
}

export interface ErofsOptions {
  /** From `erofsCompression`. */
  readonly compression: readonly string[];
  /** Says the content of the tree: equal for equal trees. The file system's UUID is made from it. */
  readonly content: string;
  /** SOURCE_DATE_EPOCH, seconds. */
  readonly epoch: number;
}

/**
 * Packs the bare tree of the sandbox into an EROFS file and returns its path. Owners, hard links, times, extended
 * attributes and with them file capabilities are kept. The epoch goes by the environment: that brings later times
 * back to it, where the option -T would give it to every file, and Python would compile all of its modules again.
 */
export async function packErofs(
  sandbox: Sandbox,
  { compression, content, epoch }: ErofsOptions,
  options: RunOptions,
): Promise<string> {
  const file = join(sandbox.work, "rootfs.erofs");
  const uuid = derivedUuid("erofs", `${content} ${epoch}`);
  const argv = ["mkfs.erofs", "--quiet", ...compression, "-U", uuid, file, treeMountPoint] as const;
  await runInSandbox(sandbox, { at: "host", argv }, { ...options, env: { SOURCE_DATE_EPOCH: String(epoch) } });
  return file;
}
