import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Inventory } from "../../image/index.ts";
import { runInSandbox, type Sandbox } from "../sandbox/sandbox.ts";
import type { FileDigests } from "./files.ts";
import type { TreeContent } from "./read.ts";

const program = fileURLToPath(new URL("../inside/inventory.ts", import.meta.url));

/** How many trees' digests are kept, each by the layer at its bottom: about 1 MB for ten thousand files. */
const rememberedTrees = 4;
const remembered = new Map<string, FileDigests>();

/** What the tree of a sandbox holds. The sandbox should change nothing, and have neither devices nor a network. */
export async function takeInventory(sandbox: Sandbox, signal: AbortSignal | undefined): Promise<Inventory> {
  const { layers, lower } = sandbox;
  // The last one is the empty layer, which is below every tree.
  const bottom = resolve(layers, lower.at(-2) ?? "");
  const input = JSON.stringify(remembered.get(bottom) ?? {});
  const argv = [process.execPath, program] as const;
  const { stdout } = await runInSandbox(sandbox, { at: "host", argv }, { name: "inventory", signal, input });
  const { inventory, digests } = JSON.parse(stdout) as TreeContent;
  remembered.delete(bottom);
  remembered.set(bottom, digests);
  if (remembered.size > rememberedTrees) remembered.delete(remembered.keys().next().value ?? "");
  return inventory;
}
