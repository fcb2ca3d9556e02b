import { afterEach, beforeEach } from "node:test";
import { useClock } from "./clock.ts";

/** A clock for the tests of a file: it stands still unless it is moved on. */
export function holdClock(): { now(): number; pass(seconds: number): void } {
  let time = Date.parse("2026-01-02T03:04:05Z");
  let restore = () => {};
  beforeEach(() => {
    restore = useClock({ now: () => new Date(time) });
  });
  afterEach(() => restore());
  return { now: () => time, pass: (seconds) => void (time += seconds * 1000) };
}
