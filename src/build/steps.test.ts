import assert from "node:assert/strict";
import { test } from "node:test";
import type { Image, ManualLayer, Recipe } from "../image/index.ts";
import { manualLayersOf } from "./steps.ts";
import type { Foundation } from "./types.ts";

const byHand = (layer: string): ManualLayer => ({ layer, by: "kim", at: "2026-01-01T00:00:00Z" });

test("layers made by hand are found through every kind of base, the lowest first", () => {
  const image = { kind: "image", image: { manual: [byHand("a")] } as unknown as Image } as const;
  const recipe: Foundation = { kind: "recipe", recipe: {} as Recipe, below: image };
  const request: Foundation = {
    kind: "request",
    request: { name: "below", base: recipe, groups: [], manual: byHand("b") },
  };
  const layers = manualLayersOf({ base: request, manual: byHand("c") }).map(({ layer }) => layer);
  assert.deepEqual(layers, ["a", "b", "c"]);
  assert.deepEqual(manualLayersOf({ base: { kind: "recipe", recipe: {} as Recipe } }), []);
});
