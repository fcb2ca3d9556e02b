import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { openSweepableBlobs, type StoredKind, type Sweepable, type SweepableBlobs } from "../../artifact/index.ts";
import { buildFolder } from "../../build/index.ts";
import { run } from "../../lib/exec.ts";
import type { House } from "../open.ts";

export type Contents = { readonly [K in StoredKind]: Sweepable } & { readonly blob: SweepableBlobs };

/** Everything in the data folder that can become garbage. */
export function openContents(house: Pick<House, "data" | "layers" | "steps">): Contents {
  return {
    blob: openSweepableBlobs(join(house.data, "blobs")),
    layer: layersOf(house),
    "build log": buildLogsOf(house.data),
  };
}

function layersOf({ layers, steps }: Pick<House, "layers" | "steps">): Sweepable {
  return {
    list: () => foldersOf(layers.root, [layers.empty]),
    remove: async (name, before) => {
      const path = join(layers.root, name);
      const found = await stat(path).catch(() => undefined);
      if (found === undefined || found.ctimeMs >= before) return false;
      await steps.forgetLayer(name);
      // A layer is there wholly or not at all; what a crash leaves of it here is swept with the work folder.
      await layers.withWorkFolder((folder) => rename(path, join(folder, name)));
      return true;
    },
  };
}

function buildLogsOf(data: string): Sweepable {
  return {
    list: () => foldersOf(join(data, "builds"), []),
    remove: async (name, before) => {
      const folder = buildFolder(data, name);
      const found = await stat(folder).catch(() => undefined);
      if (found === undefined || found.ctimeMs >= before) return false;
      await rm(folder, { recursive: true });
      return true;
    },
  };
}

/** Folders with their sizes on the disk; a link between two of them counts once. */
async function* foldersOf(root: string, except: readonly string[]) {
  const names = (await readdir(root).catch(() => [])).filter((name) => !except.includes(name));
  if (names.length === 0) return;
  const sizes = await sizesIn(root);
  for (const name of names) {
    const found = await stat(join(root, name)).catch(() => undefined);
    if (found?.isDirectory() === true) yield { name, size: sizes.get(name) ?? 0, modified: found.ctimeMs };
  }
}

/** Bytes by name. A server that is not root cannot look into every folder of a layer: what it cannot see is left out. */
async function sizesIn(root: string): Promise<Map<string, number>> {
  const { stdout } = await run(["du", "--block-size=1", "--max-depth=1", root], { okExitCodes: "any" });
  const sizes = new Map<string, number>();
  for (const line of stdout.split("\n")) {
    const [size, path = ""] = line.split("\t");
    sizes.set(path.slice(root.length + 1), Number(size));
  }
  return sizes;
}
