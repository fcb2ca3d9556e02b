import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import type { BlobStore } from "../../src/artifact/index.ts";
import type { BaseWorld } from "../../src/build/base/types.ts";

interface Given {
  readonly aptSources?: BaseWorld["aptSources"];
  /** Without it, no file of a recipe is asked for. */
  readonly recipeFile?: BaseWorld["recipeFile"];
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** What a base is made in: a folder of its own, which is made here. */
export async function openBaseWorld(blobs: BlobStore, folder: string, given: Given = {}): Promise<BaseWorld> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const { aptSources, recipeFile = (path) => assert.fail(`nobody asks for ${path}`) } = given;
  const { onLine = () => {}, signal = new AbortController().signal } = given;
  return { blobs, aptSources, folder, recipeFile, run: { onLine, signal } };
}
