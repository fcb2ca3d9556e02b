import { chmod, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { run } from "../lib/exec.ts";
import { syncDirectory } from "../lib/files.ts";
import { isKnownDead, processName } from "../lib/process.ts";
import { explainFullDisk } from "./full-disk.ts";

/** Overlayfs takes these apart in its mount options. */
const unsafeInOptions = /[:,\\]/;

/** Layers of trees as folders named by key, and the work folders in which they are made, on one file system. */
export interface LayerStore {
  /** Where the layers are; names in a sandbox's `lower` are relative to it. */
  readonly root: string;
  has(key: string): Promise<boolean>;
  /** Runs `work` in a folder of its own, which is gone afterwards. */
  withWorkFolder<T>(work: (folder: string) => Promise<T>): Promise<T>;
  /** Takes a finished folder over as a layer; complete and on the disk when it returns, or not there at all. */
  commit(folder: string, key: string): Promise<void>;
  /** Removes what processes left behind that are gone; nothing is mounted there, so nothing else is touched. */
  sweep(): Promise<void>;
  /** An empty layer: overlayfs wants at least two. */
  readonly empty: string;
}

export async function openLayerStore(data: string): Promise<LayerStore> {
  if (unsafeInOptions.test(data)) {
    throw new NetkilnError("invalid_input", `the data folder ${data} may not have ":", "," or "\\" in its path`);
  }
  const root = join(data, "layers");
  const works = join(data, "work");
  const own = join(works, encodeURIComponent(processName()));
  await mkdir(join(root, "empty"), { recursive: true, mode: 0o755 });

  return {
    root,
    empty: "empty",
    has: async (key) => (await stat(join(root, key)).catch(() => undefined)) !== undefined,
    withWorkFolder: async (work) => {
      const folder = join(own, clock.randomHex(6));
      await mkdir(folder, { recursive: true, mode: 0o755 });
      try {
        return await work(folder);
      } catch (error) {
        throw await explainFullDisk(error, data);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    commit: async (folder, key) => {
      await run(["sync", "-f", folder]);
      const target = join(root, key);
      const there = await stat(target).catch(() => undefined);
      if (there !== undefined) {
        // The same mode: it gets the time of a change, so that a garbage collection sees that it is wanted now.
        await chmod(target, there.mode & 0o7777);
        return;
      }
      await rename(folder, target);
      await syncDirectory(root);
    },
    sweep: async () => {
      for (const name of await readdir(works).catch(() => [])) {
        if (isKnownDead(decodeURIComponent(name))) await rm(join(works, name), { recursive: true, force: true });
      }
    },
  };
}
