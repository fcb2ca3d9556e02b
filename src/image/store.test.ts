import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { openChannelStore } from "./channels.ts";
import { migrations } from "./migrations.ts";
import { plantImage } from "./plant-image.ts";
import { openImageStore, type Recipe } from "./store.ts";

async function openStore() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  return openImageStore(db);
}

test("a name means the image that was published last, until an older one is made the newest again", async () => {
  const images = await openStore();
  await images.publish(plantImage("aaaa-1", "compute"));
  await images.publish(plantImage("bbbb-2", "compute"));
  await images.publish(plantImage("cccc-3", "login"));
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
  for (const id of ["abcd-1", "abcd-2", "abcd-3"]) await images.publish(plantImage(id, "compute"));
  const first = await images.listImages({ limit: 2 });
  const rest = await images.listImages({ limit: 2, after: first.at(-1)?.id });
  assert.deepEqual(
    [...first, ...rest].map(({ id }) => id),
    ["abcd-3", "abcd-2", "abcd-1"],
  );
  await assert.rejects(images.findImage("abcd"), /begins the id of more than one image/);
  assert.equal(await images.findImage("nowhere"), undefined);
});

test("a deleted image is found under its id alone, and comes back as it was", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const images = openImageStore(db);
  await images.publish(plantImage("aaaa-1", "compute"));
  await images.publish(plantImage("bbbb-2", "compute"));
  const before = await images.listImages({ limit: 9 });
  assert.equal(await images.deleteImage("bbbb-2"), true);
  assert.equal(await images.deleteImage("bbbb-2"), false, "it was so already");
  assert.equal((await images.findImage("compute"))?.id, "aaaa-1");
  assert.equal(await images.findImage("bbbb-2"), undefined);
  assert.equal(await images.findSameImage("compute", "bbbb-2"), undefined);
  const [deleted, ...others] = await images.listDeletedImages({ limit: 9 });
  assert.deepEqual([deleted?.id, others.length], ["bbbb-2", 0]);
  assert.match(deleted?.deleted ?? "", /^\d{4}-.*Z$/);
  for (const name of ["bbbb-2", "bbbb", "compute"]) {
    assert.equal((await images.findDeletedImage(name))?.id, "bbbb-2", name);
  }
  assert.equal(await images.undeleteImage("bbbb-2"), true);
  assert.deepEqual(await images.listImages({ limit: 9 }), before);
  assert.equal(await images.undeleteImage("bbbb-2"), false);
});

test("only a deleted image can be ended for good, and none that a channel points at can be deleted", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const images = openImageStore(db);
  await images.publish(plantImage("aaaa-1", "compute", "passed"));
  await openChannelStore(db).promote("compute:stable", "aaaa-1", { by: "ann" });
  await assert.rejects(images.deleteImage("aaaa-1"), /the channel compute:stable points at image aaaa-1/);
  assert.equal(await images.destroyImage("aaaa-1"), false);
  await openChannelStore(db).remove("compute:stable", { by: "ann" });
  await images.deleteImage("aaaa-1");
  assert.equal(await images.destroyImage("aaaa-1"), true);
  assert.equal(await images.findDeletedImage("aaaa-1"), undefined);
  assert.equal(await images.undeleteImage("aaaa-1"), false);
});

test("deleted images of one name are told apart by their ids", async () => {
  const images = await openStore();
  for (const id of ["aaaa-1", "bbbb-2"]) {
    await images.publish(plantImage(id, "compute"));
    await images.deleteImage(id);
  }
  await assert.rejects(images.findDeletedImage("compute"), /"compute" means more than one deleted image/);
});

const recipe = (name: string, digest: string) => ({
  spec: { name } as Recipe["spec"],
  digest,
  files: [{ path: "recipe.yaml", executable: false, sha256: digest }],
});

test("a deleted recipe comes back with its files, unless another one bears its name", async () => {
  const images = await openStore();
  const { recipe: first } = await images.putRecipe(recipe("tiny", "1"));
  assert.equal(await images.deleteRecipe(first.id), true);
  assert.equal(await images.findRecipe("tiny"), undefined);
  assert.deepEqual(await images.listRecipes({ limit: 9 }), []);
  const { recipe: second, changed } = await images.putRecipe(recipe("tiny", "2"));
  assert.deepEqual([changed, second.id === first.id], [true, false], "it is a new one");
  assert.equal((await images.findDeletedRecipe("tiny"))?.id, first.id);
  await assert.rejects(images.undeleteRecipe(first.id), /there is another recipe tiny now/);
  await images.deleteRecipe(second.id);
  assert.equal((await images.listDeletedRecipes({ limit: 9 })).length, 2);
  assert.equal(await images.undeleteRecipe(first.id), true);
  assert.deepEqual(await images.findRecipe("tiny"), first);
  assert.equal(await images.destroyRecipe(first.id), false, "it is not deleted");
  assert.equal(await images.destroyRecipe(second.id), true);
});

test("recipes and images of a database from before deletion are still there", async () => {
  const db = openDatabase(":memory:");
  const { "0100-image": before } = migrations;
  assert.ok(before);
  await migrate(db, { "0100-image": before });
  const old = db.withTables<{ recipe: Record<string, string>; image: Record<string, string | number> }>();
  const row = { id: "aaaa-1", name: "tiny", digest: "1", created: "2026-01-01T00:00:00Z" };
  await old
    .insertInto("recipe")
    .values({ ...row, spec: '{"name":"tiny"}', files: "[]" })
    .execute();
  const data = JSON.stringify(plantImage("bbbb-2", "compute"));
  const built = { id: "bbbb-2", name: "compute", build_id: "b", created: row.created, sequence: 1, data };
  await old.insertInto("image").values(built).execute();
  await migrate(db, migrations);
  const images = openImageStore(db);
  assert.equal((await images.findRecipe("tiny"))?.digest, "1");
  assert.equal((await images.putRecipe(recipe("tiny", "2"))).recipe.id, "aaaa-1");
  assert.equal((await images.findImage("compute"))?.id, "bbbb-2");
});
