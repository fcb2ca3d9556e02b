/** What a garbage collection takes and leaves, over the real stores in a data folder; only the work of builds is missing. */
import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { layerPartKeys, type ImageRequest } from "../../build/index.ts";
import type { Image } from "../../image/index.ts";
import { clock, timestamp, useClock } from "../../lib/clock.ts";
import { sql } from "../../lib/db.ts";
import { sha256, type Digests } from "../../lib/files.ts";
import { startGc } from "./collect.ts";
import { deleteImage } from "./images.ts";
import { lifecycleParts } from "./index.ts";
import {
  ago,
  blobsStored,
  collect,
  day,
  holdStock,
  layerName,
  layersStored,
  makeLayer,
  publish,
  rootOf,
} from "./plant-stock.ts";
import { why } from "./why.ts";

const stock = holdStock();

/** A record of what is kept of a layer. */
const part = (key: string, layer: string) =>
  ({ key, kind: "listing", chain: layer, seconds: 1, created: timestamp() }) as const;

const request = (name: string, image: Image): ImageRequest => ({ name, base: { kind: "image", image }, groups: [] });
const task = (name: string, image: Image) => ({ kind: "image", request: request(name, image) }) as const;

test("a dry run says what the real one does, and changes nothing", async () => {
  await publish(stock, "compute");
  const garbage = await stock.house.blobs.putBytes("garbage");
  await makeLayer(stock);
  const restore = useClock({ now: () => new Date(Date.now() + day) });
  const planned = await lifecycleParts(stock.house).planGc();
  restore();
  assert.equal((await blobsStored(stock)).has(garbage.sha256), true);
  const { report } = await collect(stock, day);
  assert.deepEqual(report, planned);
  assert.deepEqual([report.removed.blob.count, report.removed.layer.count], [1, 1]);
});

test("what was stored lately is left alone", async () => {
  await stock.house.blobs.putBytes("garbage");
  await makeLayer(stock);
  const { report } = await collect(stock, 0);
  assert.deepEqual([report.freed, report.young.count], [0, 2]);
  assert.equal((await collect(stock)).report.removed.layer.count, 1);
});

test("a row of a table that the collection does not know keeps what it names", async () => {
  const list = await stock.house.blobs.putBytes("package 1.0\n");
  const lock = await stock.house.blobs.putBytes(`{"lists": ["${list.sha256}"]}`);
  await sql`create table lock (name text, content text)`.execute(stock.house.db);
  await sql`insert into lock values ('tiny', ${`sha256:${lock.sha256}`})`.execute(stock.house.db);
  await collect(stock);
  assert.ok((await blobsStored(stock)).has(list.sha256));
  const answer = await why(stock.house, `sha256:${list.sha256.slice(0, 12)}`);
  assert.deepEqual("keptBy" in answer && answer.keptBy.map(({ name }) => name), ["table lock"]);
  await sql`drop table lock`.execute(stock.house.db);
  await collect(stock);
  assert.deepEqual(await blobsStored(stock), new Set());
});

test("a build that is under way keeps its base, its steps and what it has put, though the image is gone", async () => {
  const base = await publish(stock, "base");
  const { build } = await stock.house.builds.create(task("node", base), "print");
  await deleteImage(stock.house, base, "ann");
  await stock.house.images.destroyImage(base.id);
  const [layer = ""] = base.layers;
  const listing = await stock.house.blobs.putBytes("what is in its layer");
  const [key = ""] = layerPartKeys(layer, 1);
  await stock.house.steps.put("slot", {}, { ...part(key, layer), file: listing });
  const put = await stock.house.blobs.putBytes("put by the build");
  await collect(stock);
  assert.ok((await layersStored(stock)).has(layer));
  assert.ok((await blobsStored(stock)).has(listing.sha256));
  assert.ok((await blobsStored(stock)).has(put.sha256));
  await stock.house.builds.finish(build.id, { error: { code: "work_failed", message: "stopped" } });
  await collect(stock);
  assert.deepEqual([(await layersStored(stock)).size, (await blobsStored(stock)).size], [0, 0]);
});

test("a job whose user is in a shell keeps the tree, what was done there, and the image against retention", async () => {
  const image = await publish(stock, "base", { created: ago(300) });
  for (let newer = 0; newer < 4; newer += 1) await publish(stock, "base");
  const [tree, done] = [await makeLayer(stock), await makeLayer(stock)];
  const { id } = await stock.house.imageJobs.create({
    ...{ kind: "customize", artifact: image.id, publicKey: "k", name: "patched", arch: "x86_64", enableDebug: false },
    ...{ requireDkms: false, buildEnvSize: 60, memSize: 8, kernelFile: "", initrdFile: "", parametersFile: "" },
    sshContainers: [],
  });
  const byHand = { layer: done, at: timestamp() };
  await stock.house.imageJobs.change(id, { status: "packaging_artifacts", tree: [tree], byHand });
  await collect(stock);
  assert.deepEqual([await stock.house.layers.has(tree), await stock.house.layers.has(done)], [true, true]);
  assert.notEqual(await stock.house.images.findImage(image.id), undefined);
  await stock.house.imageJobs.change(id, { status: "error" });
  await collect(stock);
  assert.deepEqual([await stock.house.layers.has(tree), await stock.house.layers.has(done)], [false, false]);
  assert.equal(await stock.house.images.findImage(image.id), undefined);
});

test("nothing is removed while it cannot be told what a build needs", async () => {
  const configuration = {
    name: "c",
    layers: [{ name: "l", url: "/nowhere", playbook: "x.yml", commit: "0".repeat(40) }],
  };
  const base = await publish(stock, "base");
  await stock.house.builds.create({ kind: "image", request: { ...request("node", base), configuration } }, "print");
  await makeLayer(stock);
  await stock.house.blobs.putBytes("garbage");
  assert.equal((await collect(stock)).report.freed, 0);
});

test("a build that runs is waited for, and what it has published then stays", async () => {
  const reused = await stock.house.blobs.putBytes("an initrd of an earlier tree");
  const base = await publish(stock, "base");
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const restore = useClock({ now: () => new Date(Date.now() + 2 * 3_600_000) });
  const { build } = await stock.house.builds.create(task("node", base), "print");
  restore();
  await stock.house.builds.start(build.id);
  const collecting = collect(stock);
  const phase = async () => (await stock.house.gcRuns.newest())?.phase;
  while (!/waiting for what is being built: node/.test((await phase()) ?? "")) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { manifest } = base.artifacts;
  await publish(stock, "node", { artifacts: { rootfs: rootOf(base), manifest, initrd: reused } });
  await stock.house.builds.finish(build.id, { imageId: base.id });
  await collecting;
  assert.ok((await blobsStored(stock)).has(reused.sha256));
});

test("a build that begins while files are removed is seen before the next one goes", async () => {
  const base = await publish(stock, "base");
  await deleteImage(stock.house, base, "ann");
  await stock.house.images.destroyImage(base.id);
  const { buildRecords } = stock.house;
  let looks = 0;
  // Twice to look at everything, and twice for builds that run; the fifth look is before the first removal.
  const unfinished = async () => {
    looks += 1;
    if (looks === 5) await stock.house.builds.create(task("node", base), "print");
    return buildRecords.unfinished();
  };
  await collect({ house: { ...stock.house, buildRecords: { ...buildRecords, unfinished } } });
  assert.ok(looks > 5);
  assert.ok((await layersStored(stock)).has(base.layers[0] ?? ""));
});

test("a record of a step goes with its result, before it; one that leads to a kept image stays with what it names", async () => {
  const image = await publish(stock, "compute");
  const step = (key: string, chain: string, left: { file?: Digests; layer?: string; downloads?: string }) =>
    stock.house.steps.put("slot", {}, { key, kind: "gate", chain, seconds: 1, created: timestamp(), ...left });
  const verdict = await stock.house.blobs.putBytes('{"status": "passed"}');
  await step(sha256("kept"), image.chain, { file: verdict });
  const [layer = ""] = image.layers;
  const listing = await stock.house.blobs.putBytes("what is in its layer");
  const [current = ""] = layerPartKeys(layer, 1);
  await stock.house.steps.put("slot", {}, { ...part(current, layer), file: listing });
  const old = await stock.house.blobs.putBytes("the same for another form");
  await stock.house.steps.put("slot", {}, { ...part(sha256("old"), layer), file: old });
  await step(sha256("lost"), "other", { file: await stock.house.blobs.putBytes("other verdict") });
  await step(sha256("of a layer"), "other", { layer: await makeLayer(stock) });
  await step(sha256("gone long ago"), "other", { layer: layerName() });
  const { sha256: downloads } = await stock.house.blobs.putBytes(
    "what was downloaded for a layer that another step made too",
  );
  await step(sha256("of downloads"), "other", { layer: image.layers[0] ?? "", downloads });
  const initrd = await stock.house.blobs.putBytes("an initrd that no image has");
  await stock.house.steps.putTrace("family", { observed: { folders: {}, places: {} }, file: initrd });
  const { report } = await collect(stock);
  assert.equal(report.records, 6);
  assert.ok(await stock.house.steps.find(sha256("kept")));
  assert.ok((await blobsStored(stock)).has(verdict.sha256));
  assert.ok(await stock.house.steps.find(current));
  assert.ok((await blobsStored(stock)).has(listing.sha256));
  assert.equal(await stock.house.steps.find(sha256("old")), undefined);
  for (const key of ["lost", "of a layer", "gone long ago", "of downloads"])
    assert.equal(await stock.house.steps.find(sha256(key)), undefined);
  assert.deepEqual(await stock.house.steps.traces("family"), [], "its initrd went");
});

test("a garbage collection whose server died before it was queued is taken up by the next request", async () => {
  const { id } = await stock.house.gcRuns.create();
  await assert.rejects(startGc(stock.house), /a garbage collection is under way already/);
  assert.equal((await stock.house.jobs.claim("gc", "host:1:1"))?.subject, id);
});

test("logs of builds go when they are old and their image is gone", async () => {
  const image = await publish(stock, "compute");
  for (const id of [image.build, clock.uuid()]) {
    await mkdir(join(stock.folder, "builds", id), { recursive: true });
    await writeFile(join(stock.folder, "builds", id, "log"), "==> done\n");
  }
  assert.equal((await collect(stock, 29 * day)).report.removed["build log"].count, 0);
  assert.equal((await collect(stock, 31 * day)).report.removed["build log"].count, 1);
  assert.deepEqual(await readdir(join(stock.folder, "builds")), [image.build]);
});
