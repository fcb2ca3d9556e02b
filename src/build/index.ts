export { buildFolder } from "./journal.ts";
export { openLayerStore, type LayerStore } from "./layers.ts";
export { planBuild, stepsToRun, type BuildSettings, type PlanContext } from "./plan.ts";
export { buildHandler, buildJob, startBuild, type Started } from "./start.ts";
export { migrations, openBuildStore, openStepStore, type BuildStore, type StepStore } from "./store.ts";
export { readToolVersions } from "./tools.ts";
export type { Build, BuildPlan, ImageRequest, Planned, StepReport, StepResult } from "./types.ts";
