import { chmod, copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BlobStore } from "../../artifact/index.ts";
import type { Recipe, RecipeEntry } from "../../image/index.ts";

/** The files of a recipe that are laid over the tree, with paths as in the tree. */
export function overlayFiles(recipe: Recipe): RecipeEntry[] {
  const prefix = `${recipe.spec.files}/`;
  return recipe.files
    .filter((file) => recipe.spec.files !== undefined && file.path.startsWith(prefix))
    .map((file) => ({ ...file, path: file.path.slice(prefix.length) }));
}

/** Puts a recipe's files into a staging folder; they belong to root, with mode 0644, or 0755 when they can be run. */
export async function stageFiles(recipe: Recipe, blobs: BlobStore, staging: string): Promise<void> {
  for (const file of overlayFiles(recipe)) {
    const target = join(staging, file.path);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await copyFile(blobs.path(file.sha256), target);
    await chmod(target, file.executable ? 0o755 : 0o644);
  }
}
