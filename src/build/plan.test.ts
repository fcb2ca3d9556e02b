import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./plan.ts";
import type { StepStore } from "./store.ts";

const step = { kind: "base", title: "base (debian bookworm)", slot: "recipe tiny/base/base" } as const;

/** A house in which the step ran once, with these inputs. */
function ranWith(inputs: Readonly<Record<string, string>>) {
  const last = async () => ({ inputs, seconds: 20 });
  return { steps: { last, find: async () => undefined } as unknown as StepStore, isKept: async () => true };
}

test("a base whose lock is to be looked up again may well be the one of before", async () => {
  const before = ranWith({ packages: "python3", lock: "0123" });
  const { state, why } = await settle({ ...step, inputs: { packages: "python3" } }, undefined, before);
  assert.deepEqual([state, why], ["open", []]);
  const changed = await settle({ ...step, inputs: { packages: "perl" } }, undefined, before);
  assert.deepEqual([changed.state, changed.why], ["run", ["packages changed (python3 -> perl)"]]);
});

test("an input that is gone is a reason to run, whatever is below", async () => {
  const before = ranWith({ "first.yml": "0123", "templates/motd.j2": "4567" });
  const { state, why } = await settle({ ...step, inputs: { "first.yml": "0123" } }, undefined, before);
  assert.deepEqual([state, why], ["run", ["templates/motd.j2 is gone"]]);
});
