/** SAT bootprep files: reading them, and planning what they ask for. */
export { readBootprep, type BootprepInput } from "./read.ts";
export { planBootprep } from "./plan.ts";
export {
  collectVariables,
  listVariables,
  type ListedVariable,
  type Variables,
  type VariableSources,
} from "./variables.ts";
export { currentSchemaVersion } from "./schema-version.ts";
export { bootprepJsonSchema } from "./json-schema.ts";
export { bootprepSchemaPage } from "./schema-page.ts";
export { bootprepExample } from "./example.ts";
export { configurationContent } from "./configurations.ts";
export { newestRepository } from "./products.ts";
export { findRecipeVariables, recipeProduct } from "./recipe.ts";
export { payloadsOf, type ImageLink, type MadeTemplate, type Payload } from "./payloads.ts";
export type * from "./file.ts";
export type * from "./ports.ts";
export { advance, type BuildOutcome, type Run, type RunItem, type RunPorts, type StartedImage } from "./run.ts";
export { migrations, openRunStore, type RunStore } from "./store.ts";
