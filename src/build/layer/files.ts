import { chmod, copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BlobStore } from "../../artifact/index.ts";
import type { Recipe, RecipeEntry } from "../../image/index.ts";

/** The files in a folder of a recipe, with paths as in the tree that they are laid over. */
export function overlayFiles(recipe: Recipe, folder: string): RecipeEntry[] {
  const prefix = `${folder.replace(/\/+$/, "")}/`;
  return recipe.files
    .filter((file) => file.path.startsWith(prefix))
    .map((file) => ({ ...file, path: file.path.slice(prefix.length) }));
}

/** What decides the content of a layer of files, for its key. */
export function filesInputs(recipe: Recipe, folder: string): Record<string, string> {
  return Object.fromEntries(overlayFiles(recipe, folder).map((file) => [file.path, contentInput(file)]));
}

export function contentInput(file: RecipeEntry): string {
  return `${file.sha256}${file.executable ? " x" : ""}`;
}

/** Puts files of a recipe into a folder; they belong to root, with mode 0644, or 0755 when they can be run. */
export async function stageRecipeFiles(files: readonly RecipeEntry[], blobs: BlobStore, folder: string): Promise<void> {
  for (const file of files) {
    const target = join(folder, file.path);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await copyFile(blobs.path(file.sha256), target);
    await chmod(target, file.executable ? 0o755 : 0o644);
  }
}
