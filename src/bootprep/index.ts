/** SAT bootprep files: reading them, and planning what they ask for. */
export { readBootprep, type BootprepInput } from "./read.ts";
export { planBootprep } from "./plan.ts";
export { collectVariables, type Variables, type VariableSources } from "./variables.ts";
export { currentSchemaVersion } from "./schema.ts";
export type * from "./file.ts";
export type * from "./ports.ts";
export { advance, type BuildOutcome, type Run, type RunItem, type RunPorts, type StartedImage } from "./run.ts";
export { migrations, openRunStore, type RunStore } from "./store.ts";
