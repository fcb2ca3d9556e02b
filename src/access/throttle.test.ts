import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { openThrottle } from "./throttle.ts";

test("who fails too often has to wait, and nobody else", (t) => {
  let now = 0;
  t.after(useClock({ now: () => new Date(now) }));
  const throttle = openThrottle({ attempts: 2, seconds: 60 });
  assert.deepEqual([throttle.attempt("a"), throttle.attempt("a"), throttle.attempt("b")], [0, 0, 0]);
  now = 10_000;
  assert.equal(throttle.attempt("a"), 50);
  assert.equal(throttle.attempt("b"), 0);
  now = 60_000;
  assert.equal(throttle.attempt("a"), 0, "attempts that were not looked at do not count");
});

test("what was right is no failure", () => {
  const throttle = openThrottle({ attempts: 1, seconds: 60 });
  for (let count = 0; count < 5; count += 1) {
    assert.equal(throttle.attempt("a"), 0);
    throttle.succeeded("a");
  }
  assert.equal(throttle.attempt("a"), 0);
  assert.notEqual(throttle.attempt("a"), 0);
});

test("invented keys do not pile up", () => {
  const throttle = openThrottle({ attempts: 1, seconds: 60 });
  throttle.attempt("first");
  assert.notEqual(throttle.attempt("first"), 0);
  for (let count = 0; count < 10_000; count += 1) throttle.attempt(`${count}`);
  assert.equal(throttle.attempt("first"), 0, "the oldest is forgotten");
});
