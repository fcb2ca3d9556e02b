import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openImageStore } from "./store.ts";
import type { Image } from "./types.ts";

const digests = { sha256: "0".repeat(64), md5: "0".repeat(32), size: 1 };
const image = (id: string, name: string): Image => ({
  id,
  name,
  created: "2026-01-01T00:00:00Z",
  arch: "x86_64",
  buildId: id,
  build: id,
  layers: [],
  artifacts: { rootfs: digests, manifest: digests },
  packageSource: { suite: "bookworm", components: ["main"] },
  initrd: undefined,
  kernelParameters: "",
  epoch: 0,
  recipe: undefined,
  base: undefined,
  checks: [],
  commits: [],
  verdict: "none",
});

async function openStore() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  return openImageStore(db);
}

test("a name means the image that was published last, until an older one is made the newest again", async () => {
  const images = await openStore();
  await images.publish(image("aaaa-1", "compute"));
  await images.publish(image("bbbb-2", "compute"));
  await images.publish(image("cccc-3", "login"));
  assert.equal((await images.findImage("compute"))?.id, "bbbb-2");
  await images.makeNewest("aaaa-1");
  assert.equal((await images.findImage("compute"))?.id, "aaaa-1");
  assert.equal((await images.findImage("bbbb"))?.id, "bbbb-2", "it can still be named by its id");
  assert.deepEqual(
    (await images.listImages({ limit: 9 })).map(({ id }) => id),
    ["aaaa-1", "cccc-3", "bbbb-2"],
  );
});

test("lists go on where the last page ended, and a beginning that two ids share is refused", async () => {
  const images = await openStore();
  for (const id of ["abcd-1", "abcd-2", "abcd-3"]) await images.publish(image(id, "compute"));
  const first = await images.listImages({ limit: 2 });
  const rest = await images.listImages({ limit: 2, after: first.at(-1)?.id });
  assert.deepEqual(
    [...first, ...rest].map(({ id }) => id),
    ["abcd-3", "abcd-2", "abcd-1"],
  );
  await assert.rejects(images.findImage("abcd"), /begins the id of more than one image/);
  assert.equal(await images.findImage("nowhere"), undefined);
});
