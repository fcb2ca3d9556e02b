import { bootMigrations } from "./boot-tables.ts";
import { bootTokenMigrations } from "./boot-tokens.ts";
import { migrations as eventMigrations } from "./store.ts";

export { bootPhases, type BootPhase, type BootTarget } from "./boot-tables.ts";
export { openBootRecords, phaseOf, type Boot, type BootRecords, type PhaseRecord } from "./boots.ts";
export { openBootTokens, type BootTokens } from "./boot-tokens.ts";
export { endBoots, endEvents } from "./retention.ts";
export type { ScriptFetch } from "./script-fetches.ts";
export { openEventStore, type Event, type EventStore } from "./store.ts";

export const migrations = { ...eventMigrations, ...bootMigrations, ...bootTokenMigrations };
