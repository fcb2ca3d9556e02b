import { link, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory } from "../lib/files.ts";
import type { Stored, Sweepable } from "./gc.ts";

export interface SweepableBlobs extends Sweepable {
  /** Puts back what a process was removing when it died; to be called before anything is removed. */
  recover(): Promise<void>;
}

/**
 * The blobs below `root`, and temporary files that a crash left there, for removal. Whoever puts a blob that is there
 * already puts it anew, as another file or with another time (see fs.ts). So a blob is first moved aside and then looked
 * at: when it is not as it was, it is wanted again and is moved back. A node that is reading it reads on.
 */
export function openSweepableBlobs(root: string): SweepableBlobs {
  const aside = join(root, "removing");
  const pathOf = (name: string) =>
    name.endsWith(".tmp") ? join(root, name) : join(root, "sha256", name.slice(0, 2), name);

  const putBack = async (name: string): Promise<void> => {
    const folder = join(pathOf(name), "..");
    await mkdir(folder, { recursive: true });
    // When somebody has put it once more, that one is as good.
    await link(join(aside, name), pathOf(name)).catch(unless("EEXIST"));
    await syncDirectory(folder);
    await rm(join(aside, name), { force: true });
  };

  return {
    list: async function* () {
      for (const name of await namesIn(root)) {
        const stored = name.endsWith(".tmp") ? await look(join(root, name), name) : undefined;
        if (stored !== undefined) yield stored;
      }
      for (const folder of await namesIn(join(root, "sha256"))) {
        for (const name of await namesIn(join(root, "sha256", folder))) {
          const stored = await look(join(root, "sha256", folder, name), name);
          if (stored !== undefined) yield stored;
        }
      }
    },
    remove: async (name, before) => {
      const path = pathOf(name);
      const old = await stat(path).catch(unless("ENOENT"));
      if (old === undefined || old.ctimeMs >= before) return false;
      await mkdir(aside, { recursive: true });
      await rename(path, join(aside, name));
      const moved = await stat(join(aside, name));
      if (moved.ino !== old.ino || moved.birthtimeMs !== old.birthtimeMs || moved.mtimeMs !== old.mtimeMs) {
        await putBack(name);
        return false;
      }
      await rm(join(aside, name));
      return true;
    },
    recover: async () => {
      for (const name of await namesIn(aside)) await putBack(name);
    },
  };
}

/** The change time is what no tool can set: it says when the file came to be here, whatever date it bears. */
async function look(path: string, name: string): Promise<Stored | undefined> {
  const found = await stat(path).catch(unless("ENOENT"));
  return found?.isFile() === true ? { name, size: found.size, modified: found.ctimeMs } : undefined;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(unless("ENOENT", "ENOTDIR"))) ?? [];
}

/** Undefined for an error that was to be expected; any other is thrown. */
function unless(...codes: readonly string[]) {
  return (error: NodeJS.ErrnoException): undefined => {
    if (!codes.includes(error.code ?? "")) throw error;
  };
}
