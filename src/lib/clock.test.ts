import assert from "node:assert/strict";
import { test } from "node:test";
import { clock, timestamp, useClock } from "./clock.ts";

test("a test can hold the clock still and let it go again", () => {
  const restore = useClock({ now: () => new Date("2026-01-02T03:04:05.678Z") });
  assert.equal(timestamp(), "2026-01-02T03:04:05Z");
  restore();
  assert.notEqual(timestamp(clock.now()), "2026-01-02T03:04:05Z");
});
