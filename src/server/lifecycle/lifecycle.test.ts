/** Deletion, retention and garbage collection over the real stores in a data folder; only the work of builds is missing. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { GcRun } from "../../artifact/index.ts";
import { layerPartKeys, type ImageRequest } from "../../build/index.ts";
import type { Image, Recipe } from "../../image/index.ts";
import { clock, timestamp, useClock } from "../../lib/clock.ts";
import { sql } from "../../lib/db.ts";
import type { NetkilnError } from "../../lib/errors.ts";
import { sha256, type Digests } from "../../lib/files.ts";
import { parseNode } from "../../node/index.ts";
import { parseTemplate } from "../../orchestration/index.ts";
import type { BootPhase } from "../../telemetry/index.ts";
import { readConfig } from "../config.ts";
import { openHouse, type House } from "../open.ts";
import { gcHandler, startGc } from "./collect.ts";
import { deleteImage, deleteReplaced, destroyImage, undeleteImage } from "./images.ts";
import { lifecycleParts } from "./index.ts";
import { why } from "./why.ts";

const day = 86_400_000;
let house: House;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-lifecycle-"));
  house = await openHouse(readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
});
afterEach(async () => {
  await house.db.destroy();
  await rm(folder, { recursive: true });
});

/** Runs what a worker would, so much later that nothing is young any more. */
async function collect(later = 2 * 3_600_000): Promise<GcRun> {
  const restore = useClock({ now: () => new Date(Date.now() + later) });
  try {
    const { id } = await startGc(house);
    await gcHandler(house).run({ id: "job", kind: "gc", subject: id, attempt: 1 }, AbortSignal.timeout(20_000));
    return (await house.gcRuns.find(id)) as GcRun;
  } finally {
    restore();
  }
}

let counter = 0;
const layerName = () => sha256(`layer ${(counter += 1)}`);

async function makeLayer(name = layerName()): Promise<string> {
  await mkdir(join(house.layers.root, name, "etc"), { recursive: true });
  await writeFile(join(house.layers.root, name, "etc/hostname"), name);
  return name;
}

async function publish(name: string, more: Partial<Image> = {}): Promise<Image> {
  counter += 1;
  const rootfs = await house.blobs.putBytes(`rootfs ${counter}`);
  const id = clock.uuid();
  const image: Image = {
    ...{ id, name, created: timestamp(), arch: "x86_64", buildId: sha256(id).slice(0, 32), build: clock.uuid() },
    ...{ layers: [await makeLayer()], chain: sha256(id), locks: {}, tools: {}, documents: {}, outputs: ["squashfs"] },
    artifacts: { rootfs, manifest: await house.blobs.putBytes(`{"manifest": "${id}"}`) },
    packageSource: { suite: "bookworm", components: ["main"] },
    ...{ initrd: undefined, kernelParameters: "", epoch: 0, recipe: undefined, base: undefined },
    ...{ checks: [], commits: [], verdict: "passed" },
    ...more,
  };
  await house.images.publish(image);
  return image;
}

/** The squashfs that each image here has. */
const rootOf = ({ artifacts }: Image) => artifacts.rootfs as Digests;
const linkTo = ({ id }: Image, file = "manifest.json") => `s3://boot-images/${id}/${file}`;
const template = (name: string, image: Image) =>
  parseTemplate({ name, boot_sets: { all: { type: "s3", path: linkTo(image), node_list: ["x1c0s0b0n0"] } } });
const ago = (days: number) => timestamp(new Date(Date.now() - days * day));
const blobsStored = async () => {
  const found = await readdir(join(folder, "blobs/sha256"), { recursive: true, withFileTypes: true }).catch(() => []);
  return new Set(found.filter((entry) => entry.isFile()).map(({ name }) => name));
};
const layersStored = async () => new Set((await readdir(house.layers.root)).filter((name) => name !== "empty"));
const refused = (message: RegExp) => (error: NetkilnError) => error.code === "refused" && message.test(error.message);

test("an image is not deleted while something uses it, and what does is said", async () => {
  const image = await publish("compute");
  const boot = async () => house.boots.begin("x1c0s0b0n0", { imageId: image.id, expectedBuildId: image.buildId });
  await house.nodes.put(parseNode({ xname: "x1c0s0b0n0", nid: 1 }));

  await house.channels.promote("compute:stable", image.id, { by: "ann" });
  await assert.rejects(deleteImage(house, image, "ann"), refused(/in use: the channel compute:stable points at it$/));
  await house.channels.remove("compute:stable", { by: "ann" });

  await house.sessions.putTemplate(template("nodes", image));
  await assert.rejects(deleteImage(house, image, "ann"), refused(/in use: the session template nodes names it$/));
  await house.sessions.removeTemplate("nodes");

  const names = { hosts: ["Default"], macs: [], nids: [] };
  const params = `quiet root=live:${linkTo(image, "rootfs")}`;
  await house.entries.put(names, { params, kernel: "http://other/kernel", initrd: "", cloudInit: undefined });
  await assert.rejects(deleteImage(house, image, "ann"), refused(/the boot parameters of Default name it$/));
  await house.entries.remove(names);

  const { id } = await boot();
  await assert.rejects(deleteImage(house, image, "ann"), refused(/x1c0s0b0n0 was given it at boot/));
  await house.boots.record(id, "ready", "node");
  await assert.rejects(deleteImage(house, image, "ann"), refused(/in use: x1c0s0b0n0 runs it$/));
  // Another boot that has not come up yet does not say that the node runs nothing of the first.
  await house.boots.begin("x1c0s0b0n0", { imageId: undefined, expectedBuildId: undefined });
  await assert.rejects(deleteImage(house, image, "ann"), refused(/in use: x1c0s0b0n0 runs it$/));
  await house.nodes.setState("x1c0s0b0n0", "Off");

  await deleteImage(house, image, "ann");
  const found = await house.images.findDeletedImage(image.id);
  assert.ok(found);
  const { deleted: _deleted, ...before } = found;
  assert.deepEqual(await undeleteImage(house, found, "bob"), before);
  const events = await house.events.list({ subject: `image:${image.id}`, limit: 9 });
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
  const [running, fetched] = [await publish("compute"), await publish("compute")];
  const boot = async ({ id, buildId }: Image, phase: BootPhase) => {
    const begun = await house.boots.begin(xname, { imageId: id, expectedBuildId: buildId });
    await house.boots.record(begun.id, phase, "server");
    return begun.id;
  };
  await house.nodes.put(parseNode({ xname, nid: 1 }));
  await house.nodes.setState(xname, "On");
  await boot(running, "ready");
  const ids: string[] = [];
  for (let count = 0; count < 6; count += 1) ids.push(await boot(fetched, "kernel"));
  await assert.rejects(deleteImage(house, running, "ann"), refused(/in use: x1c0s0b0n0 runs it$/));
  const ends = ids.slice(-3).toReversed();
  const given = ends.map((id) => `x1c0s0b0n0 was given it at boot ${id.slice(-8)}`).join("; ");
  await assert.rejects(deleteImage(house, fetched, "ann"), refused(new RegExp(`in use: ${given}`)));
});

test("an image that was replaced is deleted, and stays while something uses it", async () => {
  const image = await publish("compute");
  await house.sessions.putTemplate(template("nodes", image));
  await deleteReplaced(house, image.id, "bootprep");
  assert.ok(await house.images.findImage(image.id));
  const [event] = await house.events.list({ subject: `image:${image.id}`, limit: 9 });
  assert.match(String(event?.data.because), /the session template nodes names it/);
  await house.sessions.removeTemplate("nodes");
  await deleteReplaced(house, image.id, "bootprep");
  assert.equal(await house.images.findImage(image.id), undefined);
  await deleteReplaced(house, image.id, "bootprep");
});

test("an old image is deleted, comes back, is ended after its time, and only then its files go", async () => {
  const image = await publish("compute", { created: ago(40) });
  for (let count = 0; count < 3; count += 1) await publish("compute");
  const [blob, layer] = [rootOf(image).sha256, image.layers[0] ?? ""];
  const first = await collect();
  assert.deepEqual(first.report.images, [{ id: image.id, name: "compute", fate: "delete" }]);
  assert.equal(first.report.freed, 0);
  const deleted = await house.images.findDeletedImage(image.id);
  assert.ok(deleted);
  assert.match((await why(house, image.id)).kind, /deleted image/);
  await undeleteImage(house, deleted, "ann");
  await collect();
  assert.ok(await house.images.findDeletedImage(image.id), "it is as old as before");
  assert.ok((await blobsStored()).has(blob) && (await layersStored()).has(layer));
  const last = await collect(15 * day);
  assert.deepEqual(last.report.images, [{ id: image.id, name: "compute", fate: "destroy" }]);
  assert.equal(await house.images.findDeletedImage(image.id), undefined);
  assert.ok(!(await blobsStored()).has(blob) && !(await layersStored()).has(layer));
  assert.deepEqual([last.report.removed.blob.count, last.report.removed.layer.count], [2, 1]);
});

test("a dry run says what the real one does, and changes nothing", async () => {
  await publish("compute");
  const garbage = await house.blobs.putBytes("garbage");
  await makeLayer();
  const restore = useClock({ now: () => new Date(Date.now() + day) });
  const planned = await lifecycleParts(house).planGc();
  restore();
  assert.equal((await blobsStored()).has(garbage.sha256), true);
  const { report } = await collect(day);
  assert.deepEqual(report, planned);
  assert.deepEqual([report.removed.blob.count, report.removed.layer.count], [1, 1]);
});

test("what was stored lately is left alone", async () => {
  await house.blobs.putBytes("garbage");
  await makeLayer();
  const { report } = await collect(0);
  assert.deepEqual([report.freed, report.young.count], [0, 2]);
  assert.equal((await collect()).report.removed.layer.count, 1);
});

test("a row of a table that the collection does not know keeps what it names", async () => {
  const list = await house.blobs.putBytes("package 1.0\n");
  const lock = await house.blobs.putBytes(`{"lists": ["${list.sha256}"]}`);
  await sql`create table lock (name text, content text)`.execute(house.db);
  await sql`insert into lock values ('tiny', ${`sha256:${lock.sha256}`})`.execute(house.db);
  await collect();
  assert.ok((await blobsStored()).has(list.sha256));
  const answer = await why(house, `sha256:${list.sha256.slice(0, 12)}`);
  assert.deepEqual("keptBy" in answer && answer.keptBy.map(({ name }) => name), ["table lock"]);
  await sql`drop table lock`.execute(house.db);
  await collect();
  assert.deepEqual(await blobsStored(), new Set());
});

/** A record of what is kept of a layer. */
const part = (key: string, layer: string) =>
  ({ key, kind: "listing", chain: layer, seconds: 1, created: timestamp() }) as const;

const request = (name: string, image: Image): ImageRequest => ({ name, base: { kind: "image", image }, groups: [] });
const task = (name: string, image: Image) => ({ kind: "image", request: request(name, image) }) as const;

test("a build that is under way keeps its base, its steps and what it has put, though the image is gone", async () => {
  const base = await publish("base");
  const { build } = await house.builds.create(task("node", base), "print");
  await deleteImage(house, base, "ann");
  await house.images.destroyImage(base.id);
  const [layer = ""] = base.layers;
  const listing = await house.blobs.putBytes("what is in its layer");
  const [key = ""] = layerPartKeys(layer, 1);
  await house.steps.put("slot", {}, { ...part(key, layer), file: listing });
  const put = await house.blobs.putBytes("put by the build");
  await collect();
  assert.ok((await layersStored()).has(layer));
  assert.ok((await blobsStored()).has(listing.sha256));
  assert.ok((await blobsStored()).has(put.sha256));
  await house.builds.finish(build.id, { error: { code: "work_failed", message: "stopped" } });
  await collect();
  assert.deepEqual([(await layersStored()).size, (await blobsStored()).size], [0, 0]);
});

test("a job whose user is in a shell keeps the tree, what was done there, and the image against retention", async () => {
  const image = await publish("base", { created: ago(300) });
  for (let newer = 0; newer < 4; newer += 1) await publish("base");
  const [tree, done] = [await makeLayer(), await makeLayer()];
  const { id } = await house.imageJobs.create({
    ...{ kind: "customize", artifact: image.id, publicKey: "k", name: "patched", arch: "x86_64", enableDebug: false },
    ...{ requireDkms: false, buildEnvSize: 60, memSize: 8, kernelFile: "", initrdFile: "", parametersFile: "" },
    sshContainers: [],
  });
  const byHand = { layer: done, at: timestamp() };
  await house.imageJobs.change(id, { status: "packaging_artifacts", tree: [tree], byHand });
  await collect();
  assert.deepEqual([await house.layers.has(tree), await house.layers.has(done)], [true, true]);
  assert.notEqual(await house.images.findImage(image.id), undefined);
  await house.imageJobs.change(id, { status: "error" });
  await collect();
  assert.deepEqual([await house.layers.has(tree), await house.layers.has(done)], [false, false]);
  assert.equal(await house.images.findImage(image.id), undefined);
});

test("nothing is removed while it cannot be told what a build needs", async () => {
  const configuration = {
    name: "c",
    layers: [{ name: "l", url: "/nowhere", playbook: "x.yml", commit: "0".repeat(40) }],
  };
  const base = await publish("base");
  await house.builds.create({ kind: "image", request: { ...request("node", base), configuration } }, "print");
  await makeLayer();
  await house.blobs.putBytes("garbage");
  assert.equal((await collect()).report.freed, 0);
});

test("a build that runs is waited for, and what it has published then stays", async () => {
  const reused = await house.blobs.putBytes("an initrd of an earlier tree");
  const base = await publish("base");
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const restore = useClock({ now: () => new Date(Date.now() + 2 * 3_600_000) });
  const { build } = await house.builds.create(task("node", base), "print");
  restore();
  await house.builds.start(build.id);
  const collecting = collect();
  const phase = async () => (await house.gcRuns.newest())?.phase;
  while (!/waiting for what is being built: node/.test((await phase()) ?? "")) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { manifest } = base.artifacts;
  await publish("node", { artifacts: { rootfs: rootOf(base), manifest, initrd: reused } });
  await house.builds.finish(build.id, { imageId: base.id });
  await collecting;
  assert.ok((await blobsStored()).has(reused.sha256));
});

test("a build that begins while files are removed is seen before the next one goes", async () => {
  const base = await publish("base");
  await deleteImage(house, base, "ann");
  await house.images.destroyImage(base.id);
  const { buildRecords } = house;
  let looks = 0;
  // Twice to look at everything, and twice for builds that run; the fifth look is before the first removal.
  const unfinished = async () => {
    looks += 1;
    if (looks === 5) await house.builds.create(task("node", base), "print");
    return buildRecords.unfinished();
  };
  house = { ...house, buildRecords: { ...buildRecords, unfinished } };
  await collect();
  assert.ok(looks > 5);
  assert.ok((await layersStored()).has(base.layers[0] ?? ""));
});

test("a record of a step goes with its result, before it; one that leads to a kept image stays with what it names", async () => {
  const image = await publish("compute");
  const step = (key: string, chain: string, left: { file?: Digests; layer?: string; downloads?: string }) =>
    house.steps.put("slot", {}, { key, kind: "gate", chain, seconds: 1, created: timestamp(), ...left });
  const verdict = await house.blobs.putBytes('{"status": "passed"}');
  await step(sha256("kept"), image.chain, { file: verdict });
  const [layer = ""] = image.layers;
  const listing = await house.blobs.putBytes("what is in its layer");
  const [current = ""] = layerPartKeys(layer, 1);
  await house.steps.put("slot", {}, { ...part(current, layer), file: listing });
  const old = await house.blobs.putBytes("the same for another form");
  await house.steps.put("slot", {}, { ...part(sha256("old"), layer), file: old });
  await step(sha256("lost"), "other", { file: await house.blobs.putBytes("other verdict") });
  await step(sha256("of a layer"), "other", { layer: await makeLayer() });
  await step(sha256("gone long ago"), "other", { layer: layerName() });
  const { sha256: downloads } = await house.blobs.putBytes(
    "what was downloaded for a layer that another step made too",
  );
  await step(sha256("of downloads"), "other", { layer: image.layers[0] ?? "", downloads });
  const initrd = await house.blobs.putBytes("an initrd that no image has");
  await house.steps.putTrace("family", { observed: { folders: {}, places: {} }, file: initrd });
  const { report } = await collect();
  assert.equal(report.records, 6);
  assert.ok(await house.steps.find(sha256("kept")));
  assert.ok((await blobsStored()).has(verdict.sha256));
  assert.ok(await house.steps.find(current));
  assert.ok((await blobsStored()).has(listing.sha256));
  assert.equal(await house.steps.find(sha256("old")), undefined);
  for (const key of ["lost", "of a layer", "gone long ago", "of downloads"])
    assert.equal(await house.steps.find(sha256(key)), undefined);
  assert.deepEqual(await house.steps.traces("family"), [], "its initrd went");
});

test("a deleted record of what was never here ends after its time", async () => {
  const { imageRecords, recipeRecords } = house;
  const far = { name: "far", arch: "x86_64" as const, link: { path: "s3://elsewhere/far" } };
  const { id } = await imageRecords.register({ ...far, metadata: {} });
  const recipe = await recipeRecords.register({
    ...{ ...far, type: "kiwi-ng", linux: "sles15", template: {}, requireDkms: false },
  });
  await deleteImage(house, { id, name: "far" }, "me");
  await house.images.deleteRecipe(recipe.id);
  await collect();
  assert.notEqual(await imageRecords.find(id, "deleted"), undefined);
  await collect(15 * day);
  assert.deepEqual([await imageRecords.list("deleted"), await recipeRecords.list("deleted")], [[], []]);
});

test("a recipe keeps the archive that was uploaded for it", async () => {
  const { sha256: archive } = await house.blobs.putBytes("a root tree");
  const common = { name: "import-a", description: "", arch: "x86_64", layers: [], outputs: [], checks: [], epoch: 0 };
  const spec = { ...common, from: { archive: `blob:${archive}` } } as unknown as Recipe["spec"];
  await house.images.putRecipe({ spec, digest: sha256("the recipe"), files: [] });
  await collect();
  assert.ok((await blobsStored()).has(archive));
});

test("a garbage collection whose server died before it was queued is taken up by the next request", async () => {
  const { id } = await house.gcRuns.create();
  await assert.rejects(startGc(house), /a garbage collection is under way already/);
  assert.equal((await house.jobs.claim("gc", "host:1:1"))?.subject, id);
});

test("logs of builds go when they are old and their image is gone", async () => {
  const image = await publish("compute");
  for (const id of [image.build, clock.uuid()]) {
    await mkdir(join(folder, "builds", id), { recursive: true });
    await writeFile(join(folder, "builds", id, "log"), "==> done\n");
  }
  assert.equal((await collect(29 * day)).report.removed["build log"].count, 0);
  assert.equal((await collect(31 * day)).report.removed["build log"].count, 1);
  assert.deepEqual(await readdir(join(folder, "builds")), [image.build]);
});

test("only a deleted image is ended for good, and not while a node runs it", async () => {
  const image = await publish("compute");
  await house.images.deleteImage(image.id);
  const deleted = await house.images.findDeletedImage(image.id);
  assert.ok(deleted);
  await house.sessions.putTemplate(template("nodes", image));
  await assert.rejects(destroyImage(house, deleted, "ann"), refused(/the session template nodes names it/));
  await house.sessions.removeTemplate("nodes");
  await destroyImage(house, deleted, "ann");
  assert.equal(await house.images.findDeletedImage(image.id), undefined);
});

/** Numbers that look random and are the same for the same seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

for (let seed = 1; seed <= 5; seed += 1) {
  test(`random graph ${seed}: what is reachable stays, and everything else goes`, async () => {
    const random = randomOf(seed);
    const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
    const layers = await Promise.all(Array.from({ length: 12 }, () => makeLayer()));
    // Documents that name blobs and documents before them, some of them at once from several images.
    const documents: { digest: string; reaches: Set<string> }[] = [];
    for (let count = 0; count < 15; count += 1) {
      const leaf = await house.blobs.putBytes(`leaf ${seed} ${count}`);
      const inner = documents.length === 0 || random(3) === 0 ? [] : [pick(documents), pick(documents)];
      const names = [leaf.sha256, ...inner.map(({ digest }) => digest)];
      const { sha256: digest } = await house.blobs.putBytes(JSON.stringify({ count, names }));
      documents.push({ digest, reaches: new Set([digest, leaf.sha256, ...inner.flatMap((one) => [...one.reaches])]) });
    }
    const images: { image: Image; reaches: Set<string>; age: number; deletedFor?: number }[] = [];
    for (let count = 0; count < 14; count += 1) {
      const [document, age] = [pick(documents), random(60)];
      const chain = layers.slice(random(8), 8 + random(4));
      const checks = [{ file: "sbom", sha256: document.digest }];
      const image = await publish(pick(["compute", "login", "gpu"]), { created: ago(age), layers: chain, checks });
      const { manifest } = image.artifacts;
      const reaches = new Set([...document.reaches, ...chain, rootOf(image).sha256, manifest.sha256]);
      images.push({ image, reaches, age });
    }
    const kept = new Set<Image>();
    const use = (image: Image) => kept.add(image) && image;
    for (const name of ["compute:stable", "login:stable"]) {
      const moves = Array.from({ length: 1 + random(8) }, () => pick(images).image);
      for (const { id } of moves) await house.channels.promote(name, id, { by: "test" });
      // Moves to where it was already are none.
      const real = moves.filter((image, index) => image !== moves[index - 1]);
      for (const image of real.slice(-house.retention.channelHistory - 1)) use(image);
    }
    for (const name of ["a", "b"]) await house.sessions.putTemplate(template(name, use(pick(images).image)));
    const kernel = linkTo(use(pick(images).image), "kernel");
    const names = { hosts: ["Compute"], macs: [], nids: [] };
    await house.entries.put(names, { params: "", kernel, initrd: "", cloudInit: undefined });
    for (const nid of [1, 2]) {
      const { xname } = await house.nodes.put(parseNode({ xname: `x1c0s${nid}b0n0`, nid }));
      const { id } = await house.boots.begin(xname, { imageId: use(pick(images).image).id, expectedBuildId: "" });
      await house.boots.record(id, "ready", "node");
    }
    for (const entry of images) {
      if (random(3) !== 0) continue;
      const deletedFor = random(28);
      const restore = useClock({ now: () => new Date(Date.now() - deletedFor * day) });
      const wasDeleted = await house.images.deleteImage(entry.image.id).catch(() => false);
      restore();
      if (wasDeleted) entry.deletedFor = deletedFor;
    }

    await collect();

    const staying = images.filter(({ image, deletedFor }) => kept.has(image) || !(deletedFor && deletedFor >= 14));
    const reachable = new Set(staying.flatMap(({ reaches }) => [...reaches]));
    const all = new Set([...(await blobsStored()), ...(await layersStored())]);
    assert.deepEqual(
      [...reachable].filter((name) => !all.has(name)),
      [],
      "nothing reachable was removed",
    );
    assert.deepEqual(
      [...all].filter((name) => !reachable.has(name)),
      [],
      "nothing else was left",
    );
    const live = new Set((await house.images.listImages({ limit: 99 })).map(({ id }) => id));
    for (const { image, age, deletedFor } of images) {
      const namesakes = images.filter((other) => other.image.name === image.name && other.deletedFor === undefined);
      const newest = namesakes.slice(-house.retention.keepLast).some((other) => other.image === image);
      const expected = deletedFor === undefined && (kept.has(image) || newest || age < 30);
      assert.equal(live.has(image.id), expected, `${image.name}, ${age} days`);
    }
  });
}
