import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openStack } from "./stack.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-stack-"));
after(() => rm(root, { recursive: true }));

test("what is known of opaque folders hides what is below them, the layer's own included", async () => {
  const [upper, lower] = [join(root, "upper"), join(root, "lower")];
  for (const layer of [upper, lower]) await mkdir(join(layer, "etc"), { recursive: true });
  await writeFile(join(lower, "etc/below"), "");
  await writeFile(join(upper, "etc/above"), "");
  const seen = async (opaque: readonly string[]) => {
    const stack = openStack([upper, lower], (layer) => (layer === upper ? new Set(opaque) : undefined));
    const found = [await stack.topmost("etc/above"), await stack.topmost("etc/below")];
    return found.map((one) => one !== undefined);
  };
  assert.deepEqual(await seen([]), [true, true]);
  assert.deepEqual(await seen(["etc"]), [true, false]);
  assert.deepEqual(await seen([""]), [true, false]);
});
