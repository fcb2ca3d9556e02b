import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase, sql } from "../lib/db.ts";
import { openChannelStore } from "./channels.ts";
import { openImageRecords } from "./image-records.ts";
import { migrations } from "./migrations.ts";
import { openRecipeRecords } from "./recipe-records.ts";
import { openImageStore } from "./store.ts";
import type { Image } from "./types.ts";

const digests = { sha256: "0".repeat(64), md5: "d".repeat(32), size: 1 };
const image = (id: string): Image => ({
  ...{ id, name: "compute", created: "2026-01-01T00:00:00Z", arch: "aarch64", buildId: id, build: id, layers: [] },
  ...{ chain: "", outputs: ["squashfs"], locks: {}, tools: {}, documents: {}, packageSource: undefined },
  artifacts: { rootfs: digests, manifest: digests },
  ...{ initrd: undefined, kernelParameters: "", epoch: 0, recipe: undefined, base: undefined },
  ...{ checks: [], commits: [], verdict: "passed" },
});

async function openStores() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const opened = { images: openImageStore(db), channels: openChannelStore(db) };
  return { db, ...opened, imageRecords: openImageRecords(db), recipeRecords: openRecipeRecords(db) };
}

const plain = { arch: "x86_64", metadata: {}, link: undefined } as const;
const recipe = {
  ...{ name: "compute", arch: "x86_64" as const, type: "kiwi-ng" as const, linux: "sles15" as const },
  ...{ template: {}, requireDkms: true, link: undefined },
};

test("an image that was published has a record; one that was only registered is no image that can be used", async () => {
  const { images, imageRecords, channels } = await openStores();
  await images.publish(image("aaaa-1"));
  const { id } = await imageRecords.register({ ...plain, name: "compute" });
  const listed = await imageRecords.list("live");
  assert.deepEqual(
    listed.map((record) => [record.id, record.content, record.arch, record.link?.etag]),
    [
      ["aaaa-1", true, "aarch64", digests.md5],
      [id, false, "x86_64", undefined],
    ],
  );
  assert.equal((await images.findImage("compute"))?.id, "aaaa-1", "its name means what can be used");
  assert.equal(await images.findImage(id), undefined);
  assert.equal((await images.listImages({ limit: 9 })).length, 1);
  const mover = { by: "me", comment: undefined, expected: undefined };
  await assert.rejects(channels.promote("compute:stable", id, mover), /there is no image/);
  await images.deleteImage(id);
  assert.deepEqual(await images.listDeletedImages({ limit: 9 }), []);
  assert.deepEqual((await imageRecords.list("deleted")).length, 1);
});

test("images that were published before there were records have them", async () => {
  const db = openDatabase(":memory:");
  const { "0430-records": added, ...before } = migrations;
  await migrate(db, before);
  const { id, name, created, buildId } = image("aaaa-1");
  await sql`insert into image (id, name, build_id, created, sequence, data)
    values (${id}, ${name}, ${buildId}, ${created}, 1, ${JSON.stringify(image("aaaa-1"))})`.execute(db);
  await migrate(db, { ...before, ...(added && { "0430-records": added }) });
  const [record] = await openImageRecords(db).list("live");
  assert.deepEqual([record?.arch, record?.content, record?.metadata], ["aarch64", true, {}]);
  assert.deepEqual(record?.link, { path: "s3://boot-images/aaaa-1/manifest.json", etag: digests.md5 });
});

test("the architecture of a record is that of its image", async () => {
  const { images, imageRecords } = await openStores();
  await images.publish(image("aaaa-1"));
  const changed = await imageRecords.change("aaaa-1", { arch: "x86_64", metadata: { set: "a", to: "b" } });
  assert.deepEqual([changed?.arch, changed?.metadata], ["x86_64", { a: "b" }]);
  assert.equal((await images.findImage("aaaa-1"))?.arch, "x86_64");
});

test("what is deleted has its link elsewhere, keeps what is said of it, and comes back as it was", async () => {
  const { images, imageRecords } = await openStores();
  await images.publish(image("aaaa-1"));
  const before = await imageRecords.change("aaaa-1", { metadata: { set: "sbps-project", to: "true" } });
  await images.deleteImage("aaaa-1");
  const deleted = await imageRecords.find("aaaa-1", "deleted");
  assert.equal(deleted?.link?.path, "s3://boot-images/deleted/aaaa-1/deleted_manifest.json");
  assert.deepEqual(deleted?.metadata, { "sbps-project": "true" });
  await images.undeleteImage("aaaa-1");
  assert.deepEqual(await imageRecords.find("aaaa-1", "live"), before);
});

test("a link belongs to one record, also when a deleted one wants it back", async () => {
  const { images, imageRecords } = await openStores();
  const link = { path: "s3://elsewhere/x/manifest.json", etag: "e" };
  const first = await imageRecords.register({ ...plain, name: "x", link });
  await assert.rejects(imageRecords.register({ ...plain, name: "y", link }), /belongs to another record/);
  await images.deleteImage(first.id);
  const second = await imageRecords.register({ ...plain, name: "y", link });
  await assert.rejects(images.undeleteImage(first.id), { code: "conflict" });
  await images.deleteImage(second.id);
  await images.undeleteImage(first.id);
  assert.deepEqual((await imageRecords.find(first.id, "live"))?.link, link);
  for (const path of ["file:///x", "s3://boot-images/none/manifest.json", "s3://bucket/"]) {
    await assert.rejects(imageRecords.register({ ...plain, name: "z", link: { path } }), { code: "invalid_input" });
  }
});

test("records of recipes may share a name, and other values make another recipe of one that is kept here", async () => {
  const { images, recipeRecords } = await openStores();
  const spec = {
    ...{ name: "compute", distribution: "kiwi" as const, arch: "x86_64" as const, template: { A: "1" }, profiles: [] },
    ...{ layers: [], outputs: ["squashfs" as const], checks: [], epoch: 0 },
  };
  const { recipe: kept } = await images.putRecipe({ spec, digest: "old", files: [] });
  const registered = await recipeRecords.register(recipe);
  await recipeRecords.register(recipe);
  assert.deepEqual(
    (await recipeRecords.list("live")).map(({ content }) => content),
    [true, false, false],
  );
  assert.equal((await images.findRecipe("compute"))?.id, kept.id);
  assert.equal(await images.findRecipe(registered.id), undefined);
  const changed = await recipeRecords.change(kept.id, { template: { A: "2" }, requireDkms: false });
  assert.deepEqual([changed?.template, changed?.requireDkms], [{ A: "2" }, false]);
  const now = await images.findRecipe(kept.id);
  assert.deepEqual(now?.spec.distribution === "kiwi" && now.spec.template, { A: "2" });
  assert.notEqual(now?.digest, "old");
  const same = await recipeRecords.change(kept.id, { template: { A: "2" } });
  assert.equal(same?.link?.etag, now?.digest, "nothing changed");
  await images.deleteRecipe(registered.id);
  await images.undeleteRecipe(registered.id);
  assert.equal((await recipeRecords.find(registered.id, "live"))?.name, "compute");
});

test("only recipes of KIWI have values for templates", async () => {
  const { images, recipeRecords } = await openStores();
  const spec = {
    ...{ name: "small", distribution: "debian" as const, suite: "bookworm", arch: "x86_64" as const },
    ...{ variant: "minbase" as const, components: ["main"], packages: [], exclude: [] },
    ...{ layers: [], outputs: ["squashfs" as const], checks: [], epoch: 0 },
  };
  const { recipe: kept } = await images.putRecipe({ spec, digest: "old", files: [] });
  await assert.rejects(recipeRecords.change(kept.id, { template: { A: "2" } }), /only recipes of KIWI/);
  assert.equal((await images.findRecipe("small"))?.digest, "old");
});
