import { clock } from "../lib/clock.ts";
import { log } from "../lib/log.ts";
import type { BootScripts } from "./scripts.ts";

type Preparing = Pick<BootScripts, "prepare" | "revision">;

/** So long nothing has to have changed: while an operator changes one thing after the other, it would be for nothing. */
const quietMs = 2000;
/** What is worked out at once, a few milliseconds, and how long others have their turn then. */
const atOnce = 100;
const restMs = 5;

/**
 * Has the scripts of nodes worked out before they ask, of as many as are kept, each time that something has changed of
 * which scripts are made: after a change the nodes are booted, and all at once. Until the signal.
 */
export async function prepareScripts(scripts: Preparing, signal: AbortSignal): Promise<void> {
  let [seen, prepared] = [-1, -1];
  while (!signal.aborted) {
    try {
      const now = scripts.revision();
      if (now === seen && now !== prepared) {
        await prepareAll(scripts, now, signal);
        prepared = now;
      }
      seen = now;
    } catch (error) {
      log.error({ error }, "boot scripts were not prepared");
    }
    await clock.sleep(quietMs, signal).catch(() => undefined);
  }
}

/** Ends early when something changes. */
async function prepareAll(scripts: Preparing, revision: number, signal: AbortSignal): Promise<void> {
  let last: string | undefined = "";
  while (last !== undefined && !signal.aborted && scripts.revision() === revision) {
    last = scripts.prepare(last, atOnce);
    await clock.sleep(restMs, signal).catch(() => undefined);
  }
}
