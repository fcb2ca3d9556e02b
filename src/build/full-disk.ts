import { statfs } from "node:fs/promises";
import { NetkilnError } from "../lib/errors.ts";

/** What tools print for ENOSPC, in the C locale that lib/exec gives them, and Node in programs of ours. */
const toolsWords = /no space left on device/i;
/** With less than this left, a failure probably has to do with it, even if the tool did not say so. */
const littleRoom = 32 * 1024 * 1024;

/** Work folders stand in each other, and what is done in the inner one fails in both. */
const explained = new WeakSet<object>();

/** Says in a failure that the disk of `folder` is full, when that is why; called while nothing is cleaned up yet. */
export async function explainFullDisk(error: unknown, folder: string): Promise<unknown> {
  if (error instanceof NetkilnError && explained.has(error)) return error;
  const found = await statfs(folder).catch(() => undefined);
  const left = found === undefined ? Infinity : found.bavail * found.bsize;
  const certain = isNoSpace(error);
  if (!certain && (left >= littleRoom || !(error instanceof NetkilnError))) return error;
  const room = left === Infinity ? "" : ` (${Math.floor(left / (1024 * 1024))} MiB were left)`;
  const full = certain ? "the disk is full" : "the disk is almost full";
  const known = error instanceof NetkilnError ? error : undefined;
  const told = new NetkilnError(
    known?.code ?? "work_failed",
    known === undefined ? full : `${known.message}: ${full}`,
    {
      output: known?.output ?? [(error as Error).message],
      hint: `make room on the file system of ${folder}${room}, then run the same again: finished steps are kept`,
      detail: error,
    },
  );
  explained.add(told);
  return told;
}

function isNoSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof NetkilnError)
    return error.output.some((line) => toolsWords.test(line)) || isNoSpace(error.detail);
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: number };
  // The database of builds stands on the same disk; 13 is SQLITE_FULL (https://sqlite.org/rescode.html#full).
  return code === "ENOSPC" || (code === "ERR_SQLITE_ERROR" && errcode === 13);
}
