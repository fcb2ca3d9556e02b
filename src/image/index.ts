export { manifestText, s3Path } from "./manifest.ts";
export { maxRecipeBytes, readRecipeArchive, type RecipeArchive } from "./recipe-archive.ts";
export type { RecipeSpec } from "./schema.ts";
export { migrations, openImageStore, type ImageStore, type Page, type Recipe, type RecipeEntry } from "./store.ts";
export type { Arch, ArtifactName, Image, ImageArtifacts, ImageCommit } from "./types.ts";
