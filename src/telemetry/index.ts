import { bootMigrations } from "./boots.ts";
import { migrations as eventMigrations } from "./store.ts";

export {
  bootPhases,
  openBootRecords,
  phaseOf,
  type Boot,
  type BootPhase,
  type BootRecords,
  type BootTarget,
  type PhaseRecord,
} from "./boots.ts";
export { openEventStore, type Event, type EventStore } from "./store.ts";

export const migrations = { ...eventMigrations, ...bootMigrations };
