/** Sessions of images over the real stores in a data folder; only the work of builds is missing. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { ConfigurationSession } from "../configuration/index.ts";
import type { Image } from "../image/index.ts";
import { run } from "../lib/exec.ts";
import { parseNode } from "../node/index.ts";
import { readConfig } from "./config.ts";
import { addNodesAsComponents, advanceConfigurationSessions, removeOldSessions } from "./configuration-sessions.ts";
import { openHouse, type House } from "./open.ts";

let house: House;
let folder: string;
let site: { url: string; commit: string };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-sessions-"));
  house = await openHouse(readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
  site = await makeSite();
});
afterEach(async () => {
  await house.db.destroy();
  await rm(folder, { recursive: true });
});

async function makeSite() {
  const url = join(folder, "site");
  const env = { HOME: folder };
  await mkdir(url);
  for (const name of ["site.yml", "slurm.yml"]) await writeFile(join(url, name), "- hosts: all\n");
  await run(["git", "init", "-q", "-b", "main", url], { env });
  await run(["git", "-C", url, "add", "-A"], { env });
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
  await run(["git", "-C", url, ...identity, "commit", "-q", "-m", "first"], { env });
  return { url, commit: (await run(["git", "-C", url, "rev-parse", "HEAD"], { env })).stdout.trim() };
}

const base = "adb5abcb-45c8-4352-bc36-df47220d13e1";
const result = "295aa9a1-f56c-4307-acad-21b58d02321c";
const digests = { sha256: "0".repeat(64), md5: "0".repeat(32), size: 1 };
const image: Image = {
  id: base,
  name: "compute",
  created: "2026-01-01T00:00:00Z",
  arch: "x86_64",
  buildId: "b",
  build: "b",
  layers: [],
  chain: "",
  outputs: ["squashfs"],
  locks: {},
  tools: {},
  documents: {},
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
};

async function createSession(name: string, more: Partial<ConfigurationSession> = {}): Promise<void> {
  await house.configurationSessions.create({
    name,
    configuration: "site",
    configurationLimit: "",
    ansible: { config: "cfs-default-ansible-cfg", verbosity: 2, limit: "it's", passthrough: "--tags slurm" },
    target: {
      definition: "image",
      groups: [{ name: "Application", members: [base] }],
      imageMap: [{ sourceId: base, resultName: "ims-remote-image-x86_64" }],
    },
    tags: {},
    debugOnFailure: false,
    ...more,
  });
}

async function advanced(name: string): Promise<ConfigurationSession> {
  await advanceConfigurationSessions(house);
  return (await house.configurationSessions.find(name)) ?? assert.fail();
}

test("a session of an image starts our build of it, follows it, and tells the image that came of it", async () => {
  await house.images.publish(image);
  const layers = ["site.yml", "slurm.yml"].map((playbook) => ({ ...site, playbook }));
  await house.configurations.put("site", { layers });
  await createSession("one", { configurationLimit: "1" });
  const started = await advanced("one");
  assert.deepEqual([started.status, started.succeeded], ["running", "none"]);
  assert.match(started.job ?? "", /^cfs-[0-9a-f-]{36}$/);
  const build = started.imsJob ?? assert.fail();
  const task = await house.builds.task(build);
  assert.ok(task?.kind === "image");
  const { request } = task;
  assert.equal(request.name, "ims-remote-image-x86_64");
  assert.deepEqual(request.groups, ["Application"]);
  assert.deepEqual(
    request.configuration?.layers.map(({ playbook }) => playbook),
    ["slurm.yml"],
  );
  assert.equal(request.ansible?.passthrough, String.raw`--tags slurm --limit='it'\''s' -vv`);
  assert.equal((await advanced("one")).status, "running");
  await house.builds.finish(build, { imageId: result });
  const ended = await advanced("one");
  assert.deepEqual([ended.status, ended.succeeded], ["complete", "true"]);
  assert.deepEqual(ended.artifacts, [{ imageId: base, resultId: result, type: "ims_customized_image" }]);
});

test("a session of an image that is not there, or whose build fails, does not succeed", async () => {
  await house.configurations.put("site", { layers: [{ ...site, playbook: "site.yml" }] });
  await createSession("one");
  assert.equal((await advanced("one")).succeeded, "false");
  await house.images.publish(image);
  await createSession("two");
  const { imsJob = "" } = await advanced("two");
  await house.builds.finish(imsJob, { error: { code: "work_failed", message: "a play failed" } });
  const ended = await advanced("two");
  assert.deepEqual([ended.status, ended.succeeded, ended.artifacts], ["complete", "false", []]);
});

test("the inventory of the options goes with configurations that have none", async () => {
  await house.images.publish(image);
  await house.configurations.put("site", { layers: [{ ...site, playbook: "site.yml" }] });
  await house.configurationOptions.set({ additionalInventoryUrl: site.url });
  await createSession("one");
  const task = await house.builds.task((await advanced("one")).imsJob ?? "");
  assert.ok(task?.kind === "image");
  assert.deepEqual(task.request.configuration?.additionalInventory, site);
});

test("nodes of the inventory become components, and complete sessions go when they are old", async () => {
  await house.nodes.put(parseNode({ xname: "x1c0s0b0n0", nid: 1 }));
  await addNodesAsComponents(house);
  assert.equal((await house.configuredComponents.find("x1c0s0b0n0"))?.status, "unconfigured");
  await house.configurations.put("site", { layers: [] });
  await createSession("one", { target: { definition: "dynamic" } });
  await house.configurationSessions.report("one", { status: "complete", startTime: "2020-01-01T00:00:00Z" });
  await house.configurationOptions.set({ sessionTtl: "" });
  await removeOldSessions(house);
  assert.notEqual(await house.configurationSessions.find("one"), undefined);
  await house.configurationOptions.set({ sessionTtl: "7d" });
  await removeOldSessions(house);
  assert.equal(await house.configurationSessions.find("one"), undefined);
});
