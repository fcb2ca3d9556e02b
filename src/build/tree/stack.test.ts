import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { toBytePath } from "./byte-paths.ts";
import { openStack } from "./stack.ts";

const root = await mkdtemp(join(tmpdir(), "netkiln-stack-"));
after(() => rm(root, { recursive: true }));

test("what is known of opaque folders hides what is below them, the layer's own included", async () => {
  const [upper, lower] = [join(root, "upper"), join(root, "lower")];
  for (const layer of [upper, lower]) await mkdir(join(layer, "etc"), { recursive: true });
  await writeFile(join(lower, "etc/below"), "");
  await writeFile(join(upper, "etc/above"), "");
  const seen = async (opaque: readonly string[]) => {
    const stack = openStack([upper, lower], (layer) =>
      layer === upper ? { opaque: new Set(opaque), xattrs: new Map() } : undefined,
    );
    const found = [await stack.topmost("etc/above"), await stack.topmost("etc/below")];
    return found.map((one) => one !== undefined);
  };
  assert.deepEqual(await seen([]), [true, true]);
  assert.deepEqual(await seen(["etc"]), [true, false]);
  assert.deepEqual(await seen([""]), [true, false]);
});

test("what is known of extended attributes is not read, whatever the path is made of", async () => {
  const layer = join(root, "größe");
  await mkdir(join(layer, "etc"), { recursive: true });
  await writeFile(join(layer, "etc/maß"), "");
  const own = new Map([["user.site", Buffer.from("own")]]);
  const known = { opaque: new Set<string>(), xattrs: new Map([[toBytePath("etc/maß"), own]]) };
  const stack = openStack([layer], () => known);
  const found = [await stack.topmost(toBytePath("etc/maß")), await stack.topmost("etc")].filter(
    (one) => one !== undefined,
  );
  assert.deepEqual(await stack.xattrsOf(found), new Map([[toBytePath(join(layer, "etc/maß")), own]]));
});
