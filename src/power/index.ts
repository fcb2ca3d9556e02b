import { migrations as capMigrations } from "./caps.ts";
import { migrations as simulatedMigrations } from "./simulated.ts";
import { migrations as transitionMigrations } from "./transition-store.ts";

export { openPowerCapStore, type CapRequest, type CapTask, type PowerCapStore } from "./caps.ts";
export { openPower } from "./open.ts";
export { freeLeftReservations, reasons, reservedPower, whileReserved } from "./reserve.ts";
export { readPowerStatus, type PowerStatus, type StatusParts } from "./status.ts";
export { openTransitionStore, type TransitionStore } from "./transition-store.ts";
export {
  powerOperations,
  type PowerOperation,
  type TaskCounts,
  type Transition,
  type TransitionTask,
} from "./transition-types.ts";
export { startTransitions, type TransitionParts } from "./transitions.ts";
export type { Power, PowerDriver, Ready, PowerState } from "./types.ts";

export const migrations = { ...simulatedMigrations, ...transitionMigrations, ...capMigrations };
