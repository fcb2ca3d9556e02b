export type { FindImage } from "./plan.ts";
export { reconcile, startReconciler, type ReconcilerParts } from "./reconcile.ts";
export { parseSession, parseTemplate, type SessionRequest } from "./schema.ts";
export { migrations, openSessionStore, type SessionStore } from "./store.ts";
export {
  defaultOptions,
  operations,
  statusOf,
  type BootSet,
  type Component,
  type ComponentStatus,
  type Operation,
  type Session,
  type SessionOptions,
  type SessionTemplate,
} from "./types.ts";
