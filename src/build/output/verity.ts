import { stat } from "node:fs/promises";
import { join } from "node:path";
import { NetkilnError } from "../../lib/errors.ts";
import { run, type RunOptions } from "../../lib/exec.ts";
import { derivedHex, derivedUuid } from "./derive.ts";

export interface VerityTree {
  /** Path of the hash tree, with its superblock. */
  readonly file: string;
  /** Hexadecimal; whoever knows it can tell every block of the data. */
  readonly rootHash: string;
}

/** Bytes of a block of data and of hashes. */
const blockSize = 4096;

/**
 * Makes the dm-verity hash tree of a file system image, as `veritysetup format` does (format 1, sha256), in `folder`.
 * Salt and UUID come from the sha256 of the data, so equal data have equal trees.
 */
export async function makeVerity(
  data: { readonly path: string; readonly sha256: string },
  folder: string,
  options: RunOptions,
): Promise<VerityTree> {
  const { size } = await stat(data.path);
  // veritysetup takes whole blocks only, and would leave the rest unprotected without a word.
  if (size === 0 || size % blockSize !== 0) {
    throw new NetkilnError("work_failed", `dm-verity needs whole blocks of ${blockSize} bytes, the image has ${size}`);
  }
  const file = join(folder, "verity");
  const block = String(blockSize);
  const { stdout } = await run(
    [
      ...(["veritysetup", "format", "--format=1", "--hash=sha256"] as const),
      ...[`--data-block-size=${block}`, `--hash-block-size=${block}`],
      `--salt=${derivedHex("verity salt", data.sha256)}`,
      `--uuid=${derivedUuid("verity", data.sha256)}`,
      ...[data.path, file],
    ],
    { ...(options.signal !== undefined && { signal: options.signal }) },
  );
  const rootHash = /^Root hash:\s+([0-9a-f]{64})$/m.exec(stdout)?.[1];
  if (rootHash !== undefined) return { file, rootHash };
  throw new NetkilnError("work_failed", "veritysetup named no root hash", { output: stdout.split("\n") });
}
