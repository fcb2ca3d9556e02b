import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { toBuffer, toBytePath } from "../tree/byte-paths.ts";
import { nodeAt, placeOf, type TreeNode } from "../tree/view.ts";
import { newestKernel, survey } from "./survey.ts";

/** Copies the newest kernel of a tree into a folder, wherever its distribution puts it, and returns the path of the copy. */
export async function takeKernel(root: TreeNode, folder: string): Promise<string> {
  const { image } = newestKernel(await survey(root, []));
  const file = join(folder, "kernel");
  await copyFile(toBuffer(placeOf(nodeAt(root, toBytePath(image)) ?? root)), file);
  return file;
}
