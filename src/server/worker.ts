import { buildHandler, buildJob } from "../build/index.ts";
import { workOn } from "../job/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import type { Config } from "./config.ts";
import { gcHandler, gcJob } from "./lifecycle/index.ts";
import { imageShellHandler, imageShellJob, sweepShells } from "./image-shells.ts";
import { liveSessionHandler, liveSessionJob, sweepRuns } from "./live-sessions.ts";
import { openHouse, type House } from "./open.ts";

/** Runs builds, configuration sessions, shells of jobs and garbage collections until `signal`. Needs root: it mounts trees and makes files of any owner. */
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
    workOn(house.jobs, liveSessionJob, liveSessionHandler(house, config), {
      limit: config.configuration_sessions_at_once,
      signal,
    }),
    workOn(house.jobs, imageShellJob, imageShellHandler(house, config), {
      // They mostly wait, and each has a port.
      limit: config.image_ssh.last_port - config.image_ssh.first_port + 1,
      signal,
    }),
    keepSwept(house, signal),
    workOn(house.jobs, gcJob, gcHandler(house), { limit: 1, signal }),
  ]);
  await house.db.destroy();
}

const sweepPeriodMs = 60_000;

/** Takes away what sessions and jobs have left behind, now and from time to time. */
async function keepSwept(house: House, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await Promise.all([sweepRuns(house), sweepShells(house)]).catch((error: unknown) =>
      log.error({ error }, "cannot tidy up after sessions and jobs"),
    );
    await clock.sleep(sweepPeriodMs, signal).catch(() => undefined);
  }
}
