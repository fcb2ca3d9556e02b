import type { GcReport, GcRun, StoreStatus, Why } from "../../artifact/index.ts";
import type { Image, Recipe } from "../../image/index.ts";

/** An image or a recipe, also one of which only the record is there. */
type Named = Pick<Image | Recipe, "id" | "name">;

/** What becomes of images after they are published; `by` is who asked. */
export interface LifecycleParts {
  deleteImage(image: Named, by: string): Promise<void>;
  undeleteImage(image: Named, by: string): Promise<Image>;
  destroyImage(image: Named, by: string): Promise<void>;
  deleteRecipe(recipe: Named, by: string): Promise<void>;
  undeleteRecipe(recipe: Named, by: string): Promise<Recipe>;
  /** As undeleteImage, of a mere record too. */
  restoreImage(image: Named, by: string): Promise<void>;
  restoreRecipe(recipe: Named, by: string): Promise<void>;
  destroyRecipe(recipe: Named, by: string): Promise<void>;
  /** What a garbage collection would do now. */
  planGc(): Promise<GcReport>;
  startGc(): Promise<GcRun>;
  storeStatus(): Promise<StoreStatus>;
  /** Throws `not_found`. */
  why(name: string): Promise<Why>;
}
