import { statfs } from "node:fs/promises";
import { NetkilnError } from "../lib/errors.ts";

/** What tools print for ENOSPC, in the C locale that lib/exec gives them. */
const toolsWords = /No space left on device/;
/** With less than this left, a failure probably has to do with it, even if the tool did not say so. */
const littleRoom = 32 * 1024 * 1024;

/** Says in a failure that the disk of `folder` is full, when that is why; called while nothing is cleaned up yet. */
export async function explainFullDisk(error: unknown, folder: string): Promise<unknown> {
  const found = await statfs(folder).catch(() => undefined);
  const left = found === undefined ? Infinity : found.bavail * found.bsize;
  const certain = isNoSpace(error);
  if (!certain && (left >= littleRoom || !(error instanceof NetkilnError))) return error;
  const room = left === Infinity ? "" : ` (${Math.floor(left / (1024 * 1024))} MiB were left)`;
  const full = certain ? "the disk is full" : "the disk is almost full";
  const known = error instanceof NetkilnError ? error : undefined;
  return new NetkilnError(known?.code ?? "work_failed", known === undefined ? full : `${known.message}: ${full}`, {
    output: known?.output,
    hint: `make room on the file system of ${folder}${room}, then run the same again: finished steps are kept`,
    detail: error,
  });
}

function isNoSpace(error: unknown): boolean {
  if (error instanceof NetkilnError)
    return error.output.some((line) => toolsWords.test(line)) || isNoSpace(error.detail);
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "ENOSPC";
}
