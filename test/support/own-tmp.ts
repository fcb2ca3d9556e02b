import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, rm } from "node:fs/promises";
import { makeFolder } from "./server.ts";

/** A mount namespace in which an empty folder stands for /tmp: what is found in it, whoever runs there has left. */
export interface OwnTmp {
  readonly folder: string;
  /** A process that holds the namespace. */
  readonly holder: number;
  close(): Promise<void>;
}

/** Needs root. The tools that netkiln starts have an environment of their own, and no TMPDIR would reach them. */
export async function openOwnTmp(): Promise<OwnTmp> {
  const folder = await makeFolder();
  // Tools that are no root any more write there, too.
  await chmod(folder, 0o1777);
  const script = 'mount --bind "$1" /tmp && echo held && exec sleep infinity';
  const argv = ["--pdeathsig", "KILL", "--", "unshare", "--mount", "--", "sh", "-c", script, "own-tmp", folder];
  const held = spawn("setpriv", argv, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(held, "exit");
  await Promise.race([once(held.stdout, "data"), ended]);
  if (held.pid === undefined || held.exitCode !== null) throw new Error("no mount namespace could be made");
  return {
    folder,
    holder: held.pid,
    close: async () => {
      held.kill("SIGKILL");
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
