import assert from "node:assert/strict";
import { test } from "node:test";
import type { Plan } from "./ports.ts";
import { advance, itemsOf, type RunItem, type RunPorts } from "./run.ts";

const plan: Plan = {
  configurations: [],
  images: [
    {
      action: "build",
      name: "node",
      base: { kind: "recipe", id: "r", name: "tiny" },
      groups: [],
      replaces: ["old", "new"],
    },
  ],
  templates: [
    {
      action: "update",
      name: "template",
      image: { kind: "planned", name: "node" },
      configuration: "",
      bootSets: {},
    },
  ],
  warnings: [],
};

function openPorts(outcome: () => Awaited<ReturnType<RunPorts["outcomeOf"]>>) {
  const calls: string[] = [];
  const ports: RunPorts = {
    putConfiguration: async () => undefined,
    startImage: async () => ({ kind: "build", build: "b" }),
    outcomeOf: async () => outcome(),
    putTemplate: async (_template, image) => {
      calls.push(`template ${image}`);
      return { changed: true };
    },
    deleteImage: async (id) => void calls.push(`delete ${id}`),
  };
  return { calls, ports };
}

const statesOf = (items: readonly RunItem[]) => items.map(({ state }) => state);

test("images that were replaced go last, when the templates have moved to the new one", async () => {
  const { calls, ports } = openPorts(() => ({ kind: "image", image: "new" }));
  const begun = await advance(plan, itemsOf(plan), ports);
  assert.deepEqual([statesOf(begun), calls], [["running", "waiting"], []]);
  const ended = await advance(plan, begun, ports);
  assert.deepEqual(statesOf(ended), ["done", "done"]);
  assert.deepEqual(calls, ["template new", "delete old"]);
});

test("nothing is replaced by an image that was not built", async () => {
  const error = { code: "work_failed", message: "broken" } as const;
  const { calls, ports } = openPorts(() => ({ kind: "failed", error }));
  const ended = await advance(plan, await advance(plan, itemsOf(plan), ports), ports);
  assert.deepEqual([statesOf(ended), calls], [["failed", "failed"], []]);
});
