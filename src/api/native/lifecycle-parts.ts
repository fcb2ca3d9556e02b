import type { GcReport, GcRun, StoreStatus, Why } from "../../artifact/index.ts";
import type { Deleted, Image, Recipe } from "../../image/index.ts";

/** What becomes of images after they are published; `by` is who asked. */
export interface LifecycleParts {
  deleteImage(image: Image, by: string): Promise<void>;
  undeleteImage(image: Image, by: string): Promise<Image>;
  destroyImage(image: Deleted<Image>, by: string): Promise<void>;
  deleteRecipe(recipe: Recipe, by: string): Promise<void>;
  undeleteRecipe(recipe: Recipe, by: string): Promise<Recipe>;
  /** What a garbage collection would do now. */
  planGc(): Promise<GcReport>;
  startGc(): Promise<GcRun>;
  storeStatus(): Promise<StoreStatus>;
  /** Throws `not_found`. */
  why(name: string): Promise<Why>;
}
