/** Jobs of IMS clients over the real stores in a data folder; the builds' own work is missing. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createImageJob } from "../build/index.ts";
import { readConfig } from "./config.ts";
import { advanceImageJobs } from "./image-jobs.ts";
import { imageShellJob } from "./image-shells.ts";
import { openHouse, type House } from "./open.ts";

let house: House;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-jobs-"));
  house = await openHouse(readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
});
afterEach(async () => {
  await house.db.destroy();
  await rm(folder, { recursive: true });
});

const digests = { sha256: "0".repeat(64), md5: "d".repeat(32), size: 1 };

async function makeRecipe() {
  const spec = {
    ...{ name: "tiny", arch: "x86_64" as const, from: { archive: `blob:${digests.sha256}` } },
    ...{ layers: [], outputs: ["squashfs" as const], checks: [], epoch: 0 },
  };
  const { recipe } = await house.images.putRecipe({ spec, digest: "d", files: [] });
  return recipe;
}

async function createJob(kind: "create" | "customize", artifact: string, name = "compute") {
  const key = await house.sshKeys.add({ name: "k", publicKey: "ssh-ed25519 AAAA" });
  return createImageJob({ kind, artifact, name, publicKey: key.id }, house);
}

const statusOf = async (id: string) => (await house.imageJobs.find(id))?.status;

test("a job builds its recipe, follows the build, and tells the image that comes of it", async () => {
  const recipe = await makeRecipe();
  const { id } = await createJob("create", recipe.id);
  await advanceImageJobs(house);
  assert.equal(await statusOf(id), "fetching_recipe");
  const build = (await house.imageJobs.find(id))?.build ?? "";
  await house.builds.start(build);
  await house.builds.setSteps(build, [{ kind: "base", title: "base", state: "running" }]);
  await advanceImageJobs(house);
  assert.equal(await statusOf(id), "building_image");
  await house.builds.finish(build, { imageId: "an-image" });
  await advanceImageJobs(house);
  assert.equal(await statusOf(id), "success");
  assert.equal((await house.imageJobs.find(id))?.resultantImage, "an-image");
  assert.deepEqual(await house.imageJobs.underWay(), []);
});

test("jobs for the same image each get their own, one after the other", async () => {
  const recipe = await makeRecipe();
  const first = await createJob("create", recipe.id);
  const second = await createJob("create", recipe.id);
  await advanceImageJobs(house);
  await advanceImageJobs(house);
  assert.equal(await statusOf(second.id), "creating", "it waits for the first");
  await house.builds.finish((await house.imageJobs.find(first.id))?.build ?? "", { imageId: "one" });
  await advanceImageJobs(house);
  const { build } = (await house.imageJobs.find(second.id)) ?? {};
  assert.notEqual(build, undefined);
  assert.notEqual(build, (await house.imageJobs.find(first.id))?.build);
});

test("a build that fails, and a recipe that is not here, end the job", async () => {
  const recipe = await makeRecipe();
  const failing = await createJob("create", recipe.id);
  await advanceImageJobs(house);
  const build = (await house.imageJobs.find(failing.id))?.build ?? "";
  await house.builds.finish(build, { error: { code: "work_failed", message: "no" } });
  const elsewhere = await house.recipeRecords.register({
    ...{ name: "far", arch: "aarch64", type: "kiwi-ng", linux: "sles15", template: {}, requireDkms: false },
    link: { path: "s3://elsewhere/recipe.tar.gz" },
  });
  const absent = await createJob("create", elsewhere.id, "far");
  assert.deepEqual([absent.requireDkms, absent.kernelFile], [true, "Image"], "as it always is for aarch64");
  await advanceImageJobs(house);
  assert.equal(await statusOf(failing.id), "error");
  assert.equal(await statusOf(absent.id), "error");
});

test("a job that changes an image asks a worker for its shell, once, and becomes a build of what was done there", async () => {
  await house.images.publish({
    ...{ id: "aaaa-1", name: "base", created: "2026-01-01T00:00:00Z", arch: "x86_64", buildId: "b", build: "b" },
    ...{ layers: [], chain: "", outputs: ["squashfs"], locks: {}, tools: {}, documents: {}, packageSource: undefined },
    ...{ artifacts: { manifest: digests }, initrd: undefined, kernelParameters: "", epoch: 0, recipe: undefined },
    ...{ base: undefined, checks: [], commits: [], verdict: "none" },
  });
  const { id, sshContainers } = await createJob("customize", "aaaa-1");
  assert.deepEqual(sshContainers, [{ name: "customize", jail: false, status: "pending", connections: {} }]);
  for (const shell of ["pending", "establishing", "establishing"]) {
    await advanceImageJobs(house);
    const job = await house.imageJobs.find(id);
    assert.deepEqual([job?.status, job?.sshContainers[0]?.status], ["fetching_image", shell]);
  }
  assert.equal(await house.jobs.countUnfinished(imageShellJob), 1);
});

test("a build that fails gets a shell when it is to be debugged", async () => {
  const recipe = await makeRecipe();
  const key = await house.sshKeys.add({ name: "k", publicKey: "ssh-ed25519 AAAA" });
  const wanted = {
    kind: "create",
    artifact: recipe.id,
    name: "compute",
    publicKey: key.id,
    enableDebug: true,
  } as const;
  const { id } = await createImageJob(wanted, house);
  await advanceImageJobs(house);
  await house.builds.finish((await house.imageJobs.find(id))?.build ?? "", {
    error: { code: "work_failed", message: "no" },
  });
  for (const _ of [1, 2]) await advanceImageJobs(house);
  const job = await house.imageJobs.find(id);
  assert.deepEqual([job?.status, job?.sshContainers[0]?.status], ["fetching_recipe", "establishing"]);
  assert.equal(await house.jobs.countUnfinished(imageShellJob), 1);
});
