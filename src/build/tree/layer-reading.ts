import type { BytePath } from "./byte-paths.ts";
import type { Stack } from "./stack.ts";
import { readXattrs, type Xattrs } from "./xattrs.ts";

/** What all who look at a new layer need, and what takes a process to find out: it is read once for all of them. */
export interface LayerReading {
  /** The layers below it. */
  readonly below: Stack;
  /** Of all that is in it, by absolute path. */
  readonly xattrs: Map<BytePath, Xattrs>;
}

/** `upper` is an overlayfs upper directory that is not mounted. */
export async function readLayer(upper: string, below: Stack): Promise<LayerReading> {
  return { below, xattrs: await readXattrs(upper) };
}
