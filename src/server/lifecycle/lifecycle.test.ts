/** Deletion and retention over the real stores in a data folder. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Image, Recipe } from "../../image/index.ts";
import { sha256 } from "../../lib/files.ts";
import { parseNode } from "../../node/index.ts";
import type { BootPhase } from "../../telemetry/index.ts";
import { deleteImage, deleteReplaced, destroyImage, undeleteImage } from "./images.ts";
import {
  ago,
  blobsStored,
  collect,
  day,
  holdStock,
  layersStored,
  linkTo,
  publish,
  refused,
  rootOf,
  template,
} from "./plant-stock.ts";
import { why } from "./why.ts";

const stock = holdStock();

test("an image is not deleted while something uses it, and what does is said", async () => {
  const image = await publish(stock, "compute");
  const boot = async () => stock.house.boots.begin("x1c0s0b0n0", { imageId: image.id, expectedBuildId: image.buildId });
  await stock.house.nodes.put(parseNode({ xname: "x1c0s0b0n0", nid: 1 }));

  await stock.house.channels.promote("compute:stable", image.id, { by: "ann" });
  await assert.rejects(
    deleteImage(stock.house, image, "ann"),
    refused(/in use: the channel compute:stable points at it$/),
  );
  await stock.house.channels.remove("compute:stable", { by: "ann" });

  await stock.house.sessions.putTemplate(template("nodes", image));
  await assert.rejects(deleteImage(stock.house, image, "ann"), refused(/in use: the session template nodes names it$/));
  await stock.house.sessions.removeTemplate("nodes");

  const names = { hosts: ["Default"], macs: [], nids: [] };
  const params = `quiet root=live:${linkTo(image, "rootfs")}`;
  await stock.house.entries.put(names, { params, kernel: "http://other/kernel", initrd: "", cloudInit: undefined });
  await assert.rejects(deleteImage(stock.house, image, "ann"), refused(/the boot parameters of Default name it$/));
  await stock.house.entries.remove(names);

  const { id } = await boot();
  await assert.rejects(deleteImage(stock.house, image, "ann"), refused(/x1c0s0b0n0 was given it at boot/));
  await stock.house.boots.record(id, "ready", "node");
  await assert.rejects(deleteImage(stock.house, image, "ann"), refused(/in use: x1c0s0b0n0 runs it$/));
  // Another boot that has not come up yet does not say that the node runs nothing of the first.
  await stock.house.boots.begin("x1c0s0b0n0", { imageId: undefined, expectedBuildId: undefined });
  await assert.rejects(deleteImage(stock.house, image, "ann"), refused(/in use: x1c0s0b0n0 runs it$/));
  await stock.house.nodes.setState("x1c0s0b0n0", "Off");

  await deleteImage(stock.house, image, "ann");
  const found = await stock.house.images.findDeletedImage(image.id);
  assert.ok(found);
  const { deleted: _deleted, ...before } = found;
  assert.deepEqual(await undeleteImage(stock.house, found, "bob"), before);
  const events = await stock.house.events.list({ subject: `image:${image.id}`, limit: 9 });
  assert.deepEqual(
    events.map(({ kind, data }) => [kind, data.by]),
    [
      ["deleted", "ann"],
      ["undeleted", "bob"],
    ],
  );
});

test("fetches in a node's name do not hide which image the node runs", async () => {
  const xname = "x1c0s0b0n0";
  const [running, fetched] = [await publish(stock, "compute"), await publish(stock, "compute")];
  const boot = async ({ id, buildId }: Image, phase: BootPhase) => {
    const begun = await stock.house.boots.begin(xname, { imageId: id, expectedBuildId: buildId });
    await stock.house.boots.record(begun.id, phase, "server");
    return begun.id;
  };
  await stock.house.nodes.put(parseNode({ xname, nid: 1 }));
  await stock.house.nodes.setState(xname, "On");
  await boot(running, "ready");
  const ids: string[] = [];
  for (let count = 0; count < 6; count += 1) ids.push(await boot(fetched, "kernel"));
  await assert.rejects(deleteImage(stock.house, running, "ann"), refused(/in use: x1c0s0b0n0 runs it$/));
  const ends = ids.slice(-3).toReversed();
  const given = ends.map((id) => `x1c0s0b0n0 was given it at boot ${id.slice(-8)}`).join("; ");
  await assert.rejects(deleteImage(stock.house, fetched, "ann"), refused(new RegExp(`in use: ${given}`)));
});

test("an image that was replaced is deleted, and stays while something uses it", async () => {
  const image = await publish(stock, "compute");
  await stock.house.sessions.putTemplate(template("nodes", image));
  await deleteReplaced(stock.house, image.id, "bootprep");
  assert.ok(await stock.house.images.findImage(image.id));
  const [event] = await stock.house.events.list({ subject: `image:${image.id}`, limit: 9 });
  assert.match(String(event?.data.because), /the session template nodes names it/);
  await stock.house.sessions.removeTemplate("nodes");
  await deleteReplaced(stock.house, image.id, "bootprep");
  assert.equal(await stock.house.images.findImage(image.id), undefined);
  await deleteReplaced(stock.house, image.id, "bootprep");
});

test("an old image is deleted, comes back, is ended after its time, and only then its files go", async () => {
  const image = await publish(stock, "compute", { created: ago(40) });
  for (let count = 0; count < 3; count += 1) await publish(stock, "compute");
  const [blob, layer] = [rootOf(image).sha256, image.layers[0] ?? ""];
  const first = await collect(stock);
  assert.deepEqual(first.report.images, [{ id: image.id, name: "compute", fate: "delete" }]);
  assert.equal(first.report.freed, 0);
  const deleted = await stock.house.images.findDeletedImage(image.id);
  assert.ok(deleted);
  assert.match((await why(stock.house, image.id)).kind, /deleted image/);
  await undeleteImage(stock.house, deleted, "ann");
  await collect(stock);
  assert.ok(await stock.house.images.findDeletedImage(image.id), "it is as old as before");
  assert.ok((await blobsStored(stock)).has(blob) && (await layersStored(stock)).has(layer));
  const last = await collect(stock, 15 * day);
  assert.deepEqual(last.report.images, [{ id: image.id, name: "compute", fate: "destroy" }]);
  assert.equal(await stock.house.images.findDeletedImage(image.id), undefined);
  assert.ok(!(await blobsStored(stock)).has(blob) && !(await layersStored(stock)).has(layer));
  assert.deepEqual([last.report.removed.blob.count, last.report.removed.layer.count], [2, 1]);
});

test("a deleted record of what was never here ends after its time", async () => {
  const { imageRecords, recipeRecords } = stock.house;
  const far = { name: "far", arch: "x86_64" as const, link: { path: "s3://elsewhere/far" } };
  const { id } = await imageRecords.register({ ...far, metadata: {} });
  const recipe = await recipeRecords.register({
    ...{ ...far, type: "kiwi-ng", linux: "sles15", template: {}, requireDkms: false },
  });
  await deleteImage(stock.house, { id, name: "far" }, "me");
  await stock.house.images.deleteRecipe(recipe.id);
  await collect(stock);
  assert.notEqual(await imageRecords.find(id, "deleted"), undefined);
  await collect(stock, 15 * day);
  assert.deepEqual([await imageRecords.list("deleted"), await recipeRecords.list("deleted")], [[], []]);
});

test("a recipe keeps the archive that was uploaded for it", async () => {
  const { sha256: archive } = await stock.house.blobs.putBytes("a root tree");
  const common = { name: "import-a", description: "", arch: "x86_64", layers: [], outputs: [], checks: [], epoch: 0 };
  const spec = { ...common, from: { archive: `blob:${archive}` } } as unknown as Recipe["spec"];
  await stock.house.images.putRecipe({ spec, digest: sha256("the recipe"), files: [] });
  await collect(stock);
  assert.ok((await blobsStored(stock)).has(archive));
});

test("only a deleted image is ended for good, and not while a node runs it", async () => {
  const image = await publish(stock, "compute");
  await stock.house.images.deleteImage(image.id);
  const deleted = await stock.house.images.findDeletedImage(image.id);
  assert.ok(deleted);
  await stock.house.sessions.putTemplate(template("nodes", image));
  await assert.rejects(destroyImage(stock.house, deleted, "ann"), refused(/the session template nodes names it/));
  await stock.house.sessions.removeTemplate("nodes");
  await destroyImage(stock.house, deleted, "ann");
  assert.equal(await stock.house.images.findDeletedImage(image.id), undefined);
});
