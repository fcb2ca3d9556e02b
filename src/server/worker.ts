import { buildHandler, buildJob } from "../build/index.ts";
import { workOn } from "../job/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import type { Config } from "./config.ts";
import { gcHandler, gcJob } from "./lifecycle/index.ts";
import { openHouse } from "./open.ts";

/** Runs builds and garbage collections until `signal`. Needs root: it mounts trees and makes files of any owner. */
export async function runWorker(config: Config, signal: AbortSignal): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new NetkilnError("refused", "the worker needs root, to mount trees and to make files of any owner");
  }
  // Modes of files in images are stated, not inherited from whoever started us.
  process.umask(0o022);
  const house = await openHouse(config);
  await house.layers.sweep();
  log.info({ data: config.data }, "worker ready");
  await Promise.all([
    workOn(house.jobs, buildJob, buildHandler(house), { limit: config.builds_at_once, signal }),
    workOn(house.jobs, gcJob, gcHandler(house), { limit: 1, signal }),
  ]);
  await house.db.destroy();
}
