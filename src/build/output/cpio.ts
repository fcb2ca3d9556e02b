import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NetkilnError } from "../../lib/errors.ts";
import { run, type RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox } from "../sandbox/sandbox.ts";
import type { PackedTree } from "./newc-writer.ts";

export type CpioCompression = "gz" | "zst";

/**
 * gzip and not pigz, whose bytes differ; level 4 takes half the time of 6 and makes 3 % more. zstd with threads: their
 * number changes nothing, but that there are any does (`--single-thread` gives other bytes), and -T0 always has some.
 */
const compressors = {
  gz: ["gzip", "-n", "-4"],
  zst: ["zstd", "-q", "-3", "-T0", "--rm"],
} as const;

const program = fileURLToPath(new URL("../inside/cpio.ts", import.meta.url));

/**
 * Packs the bare tree of the sandbox into an initramfs that is the whole root, and returns its path. The kernel starts
 * /init of it: where the tree has none, the archive gets a link of that name to the tree's init. Such an archive holds
 * no extended attributes; files that lose capabilities by that are told through `onLine`.
 */
export async function packCpio(
  sandbox: Sandbox,
  compression: CpioCompression,
  epoch: number,
  options: RunOptions,
): Promise<string> {
  const archive = join(sandbox.work, "rootfs.cpio");
  const command = { at: "host", argv: [process.execPath, program, treeMountPoint, archive, String(epoch)] } as const;
  const { signal } = options;
  const { stdout } = await runInSandbox(sandbox, command, { signal, name: "the cpio writer" });
  const packed = JSON.parse(stdout) as PackedTree;
  if ("problem" in packed) throw new NetkilnError("work_failed", packed.problem, { hint: packed.hint });
  if (packed.init !== undefined) options.onLine?.(`the archive has /init -> ${packed.init}`, "stdout");
  for (const path of await filesWithCapabilities(sandbox, signal)) {
    options.onLine?.(`${path} loses its capabilities: an initramfs holds no extended attributes`, "stdout");
  }
  const file = `${archive}.${compression}`;
  await rm(file, { force: true });
  await run([...compressors[compression], archive], options);
  return file;
}

async function filesWithCapabilities(sandbox: Sandbox, signal: AbortSignal | undefined): Promise<string[]> {
  const argv = ["getcap", "-r", treeMountPoint] as const;
  const { stdout } = await runInSandbox(sandbox, { at: "host", argv }, { signal });
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines.map((line) => line.slice(treeMountPoint.length).replace(/ (= )?\S+$/, "")).sort();
}
