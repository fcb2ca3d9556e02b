import { readerOf } from "../../src/build/tree/reader.ts";
import { viewFolders } from "../../src/build/tree/view.ts";
import type { TreeReader } from "../../src/compliance/index.ts";

/** A folder of this machine as the gate reads an image: by its listing, which is made here. */
export async function openTree(root: string): Promise<TreeReader> {
  return readerOf(await viewFolders(root));
}
