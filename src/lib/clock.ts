import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";

/** Time and chance, in one place, so that tests can hold both still. */
export interface Clock {
  now(): Date;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  uuid(): string;
  randomHex(bytes: number): string;
}

const system: Clock = {
  now: () => new Date(),
  sleep: async (milliseconds, signal) => {
    await wait(milliseconds, undefined, signal === undefined ? {} : { signal });
  },
  uuid: () => randomUUID(),
  randomHex: (bytes) => randomBytes(bytes).toString("hex"),
};

let current: Clock = system;

export const clock: Clock = {
  now: () => current.now(),
  sleep: (milliseconds, signal) => current.sleep(milliseconds, signal),
  uuid: () => current.uuid(),
  randomHex: (bytes) => current.randomHex(bytes),
};

/** For tests: replaces parts of the clock until the returned function is called. */
export function useClock(part: Partial<Clock>): () => void {
  current = { ...system, ...part };
  return () => {
    current = system;
  };
}

/** UTC with whole seconds, the form in which times are stored and printed. */
export function timestamp(date: Date = clock.now()): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
