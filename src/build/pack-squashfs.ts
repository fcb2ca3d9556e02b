import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../lib/exec.ts";
import type { Digests } from "../lib/files.ts";
import { countOf } from "../lib/text.ts";
import { keepOfLayer } from "./keep-step.ts";
import { packContent } from "./output/squashfs/content-pack.ts";
import { contentsOf, imageEntries } from "./output/squashfs/from-view.ts";
import { writeSquashfs } from "./output/squashfs/image.ts";
import type { ContentFile } from "./output/squashfs/plan-blocks.ts";
import { readPack, type TreeView } from "./view-tree.ts";
import type { Work } from "./work.ts";

const program = fileURLToPath(new URL("./inside/pack-content.ts", import.meta.url));
/** Bytes; to store less is quicker than to start a process that does. */
const smallLayer = 1 << 20;

/**
 * Makes a squashfs image of a tree in a folder. The contents of each layer are compressed once and kept, whatever trees
 * the layer is in: an image is put together of what is there, so a small change costs a copy and new tables. `planned`
 * is called when what is left is done elsewhere than in this thread, or much of it.
 */
export async function packSquashfs(
  view: TreeView,
  folder: string,
  work: Work,
  planned: () => void,
): Promise<{ file: string } & Digests> {
  const { context, plan, journal, signal } = work;
  const { squashfsLevel: level } = context.settings;
  const packs = [];
  for (const layer of view.layers) packs.push(readPack(await keepContent(layer, level, work, planned), context));
  const file = join(folder, "rootfs");
  const digests = await writeSquashfs(imageEntries(view.root), packs, file, {
    epoch: plan.inherited.epoch,
    level,
    signal,
    planned,
  });
  const from = countOf(packs.length, "layer");
  journal.line(`squashfs of ${digests.size} bytes, put together of the contents of ${from}`);
  return { file, ...digests };
}

/** Returns the digest of the content pack of a layer. */
async function keepContent(layer: TreeView["layers"][number], level: number, work: Work, planned: () => void) {
  const { blobs } = work.context;
  const { sha256 } = await keepOfLayer("content", layer.diffId, work, async (folder) => {
    const pack = join(folder, "pack");
    await storeContents(contentsOf(layer), { pack, level, planned }, work);
    return blobs.putFile(pack);
  });
  return sha256;
}

async function storeContents(
  files: readonly ContentFile[],
  { pack, level, planned }: { readonly pack: string; readonly level: number; readonly planned: () => void },
  { signal }: Pick<Work, "signal">,
): Promise<void> {
  if (files.reduce((sum, { size }) => sum + size, 0) <= smallLayer) {
    await packContent(files, pack, { level });
    return;
  }
  planned();
  const input = JSON.stringify({ files, pack, level });
  await run([process.execPath, program], { name: "pack-content", input, signal });
}
