export type { AppliedStages } from "./apply-staged.ts";
export type { ComponentChange } from "./change-component.ts";
export {
  noSuchComponent,
  openBootComponents,
  requireReportable,
  type BootComponentStore,
  type ComponentFilter,
} from "./components.ts";
export { namesInLimit } from "./limit.ts";
export { ageInMs, openBootOptions, type BootOptions, type BootOptionStore } from "./options.ts";
export type { FindImage } from "./plan.ts";
export type { SessionProgress } from "./progress.ts";
export { reconcile, startReconciler, type ReconcilerParts } from "./reconcile.ts";
export { limitSchema, nameSchema, parseSession, parseTemplate, type SessionRequest } from "./schema.ts";
export { openSessionStore, type SessionFilter, type SessionStore } from "./store.ts";
export { migrations } from "./tables.ts";
export {
  componentPhases,
  operations,
  sessionStatuses,
  toldActions,
  type BootArtifacts,
  type BootSet,
  type BootTargetState,
  type Component,
  type Operation,
  type Session,
  type SessionOptions,
  type SessionTemplate,
} from "./types.ts";
export { looksLikeNid, requireKeepable, validateTemplate } from "./validate.ts";
