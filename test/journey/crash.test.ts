/**
 * Nothing is lost and nothing lies: while images are built, the server or its worker is killed with SIGKILL at random
 * moments, 20 times. After each, what was finished is still there and whole, and nothing half-made can be seen.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, test } from "node:test";
import { digestLayer } from "../../src/build/tree/archive.ts";
import type { Image } from "../../src/image/index.ts";
import type { Event } from "../../src/telemetry/index.ts";
import { openOwnTmp } from "../support/own-tmp.ts";
import {
  assertNoWorkLeft,
  mountsBelow,
  processesOf,
  startServer,
  waitUntil,
  type CliResult,
} from "../support/server.ts";
import { makeSite, tool } from "../support/site.ts";

const kills = 20;
/** So many while packages are looked up and the base is made, which takes some 30 s; the others among the steps behind it, which take seconds. */
const killsInBase = 4;
const longestWaitInBase = 15;
const longestWait = 4;
/** Exit code of a command that began while the server was down; the operator gives it again. */
const neverReached = 5;

const playbook = (marker: number) => `- hosts: Compute
  gather_facts: false
  tasks:
    - copy: {content: "${marker}\\n", dest: /etc/marker}
    - copy: {content: "more\\n", dest: /etc/more}
`;
const bootprep = `schema_version: 1.0.9
configurations:
  - name: config
    layers:
      - {name: first, playbook: first.yml, git: {url: ansible, branch: main}}
      - {name: second, playbook: second.yml, git: {url: ansible, branch: main}}
images:
  - name: base
    ref_name: base
    base: {ims: {type: recipe, name: tiny}}
  - name: node
    base: {image_ref: base}
    configuration: config
    configuration_group_names: [Compute]
`;

const own = await openOwnTmp();
const site = await makeSite();
await site.write("bootprep.yaml", bootprep);
await site.commit({ "second.yml": playbook(0) });
let server = await startServer({ cwd: site.folder, within: own.holder });
const { data } = server;
after(async () => {
  await server.stop();
  await own.close();
  await site.clear();
});

/** Finished layers as they were when they were first seen; they may never change again. */
const seen = new Map<string, string>();

async function assertWhole(): Promise<void> {
  assert.deepEqual(await mountsBelow(data, own.holder), [], "nothing is mounted in the server's namespace");
  const blobs = await readdir(join(data, "blobs"), { recursive: true, withFileTypes: true }).catch(() => []);
  for (const blob of blobs.filter((entry) => entry.isFile() && !entry.name.endsWith(".tmp"))) {
    const content = await readFile(join(blob.parentPath, blob.name));
    assert.equal(createHash("sha256").update(content).digest("hex"), blob.name, "a blob is what its name says");
  }
  for (const layer of await readdir(join(data, "layers"))) {
    const entries = await tool("find", join(data, "layers", layer), "-printf", "%P %y %m %U %G %s %T@ %l\n");
    const now = createHash("sha256").update(entries.split("\n").sort().join("\n")).digest("hex");
    assert.equal(now, seen.get(layer) ?? now, `layer ${layer} has not changed`);
    seen.set(layer, now);
  }
}

async function assertImagesWhole(): Promise<void> {
  for (const { name, artifacts, documents, layers } of await server.json<Image[]>("images", "list")) {
    for (const { sha256 } of [...Object.values(artifacts), ...Object.values(documents)]) {
      assert.ok(existsSync(join(data, "blobs/sha256", sha256.slice(0, 2), sha256)), `${name} has all its files`);
    }
    for (const layer of layers) assert.ok(existsSync(join(data, "layers", layer)), `${name} has all its layers`);
  }
}

/** Layers are named by their content, which is told from the layers below them. */
async function assertLayersAreWhatTheyAreCalled(): Promise<void> {
  const { layers } = await server.json<Image>("images", "describe", "node");
  const folders = [...layers, "empty"].map((layer) => join(data, "layers", layer));
  for (const [index, layer] of layers.entries()) {
    const { diffId } = await digestLayer(folders[index] ?? "", folders.slice(index + 1));
    assert.equal(diffId, layer);
  }
}

/** There is a layer beside the empty one; looking packages up makes none. */
async function baseIsMade(): Promise<boolean> {
  return (await readdir(join(data, "layers"))).length > 1;
}

async function killWorker(): Promise<void> {
  const worker = (await processesOf(data)).find((line) => line.includes("main.ts worker"));
  if (worker !== undefined) process.kill(Number(worker.split(" ")[0]), "SIGKILL");
}

/** Tools that a worker has started, with their pids. */
async function toolsRunning(): Promise<string[]> {
  const all = await processesOf(data);
  return all.filter((line) => !/main\.ts|bin\/netkiln/.test(line));
}

test(`${kills} kills at random moments lose nothing`, { timeout: 20 * 60_000 }, async (t) => {
  assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
  let marker = 0;
  let run: Promise<CliResult> | undefined;
  let running = false;
  const begin = () => {
    running = true;
    run = server.cli("bootprep", "run", "bootprep.yaml").finally(() => (running = false));
  };
  begin();
  for (let kill = 1; kill <= kills; kill += 1) {
    if (kill === killsInBase + 1) await waitUntil(300, baseIsMade);
    const wait = 0.1 + Math.random() * (kill <= killsInBase ? longestWaitInBase : longestWait);
    await sleep(wait * 1000);
    const victim = Math.random() < 0.5 ? "server" : "worker";
    t.diagnostic(`kill ${kill}: the ${victim}, after ${wait.toFixed(1)} s${running ? "" : " (idle)"}`);
    const tools = await toolsRunning();
    if (victim === "server") await server.kill9();
    else await killWorker();
    await waitUntil(30, async () => {
      const left = new Set(await processesOf(data));
      return tools.every((line) => !left.has(line));
    });
    await assertWhole();
    if (victim === "server") server = await startServer({ data, cwd: site.folder, within: own.holder });
    await assertImagesWhole();
    if (!running && (await run)?.exitCode === neverReached) {
      begin();
    } else if (!running && kill < kills) {
      assert.deepEqual({ ...(await run), stdout: "" }, { exitCode: 0, stdout: "", stderr: "" });
      marker += 1;
      await site.commit({ "second.yml": playbook(marker) });
      begin();
    }
  }

  if ((await run)?.exitCode === neverReached) begin();
  const last = await run;
  assert.equal(last?.exitCode, 0, `the command itself goes on through restarts: ${last?.stderr}`);
  await assertWhole();
  await assertImagesWhole();
  await assertLayersAreWhatTheyAreCalled();
  await assertNoWorkLeft(data);
  assert.deepEqual(await readdir(own.folder), [], "no tool has left a temporary file");
  const done = new Map<string, number>();
  for (const { subject, kind, data: details } of await everyEvent()) {
    if (kind !== "step" || details["state"] !== "done") continue;
    const step = `${subject} ${String(details["title"])}`;
    done.set(step, (done.get(step) ?? 0) + 1);
  }
  assert.deepEqual(
    [...done].filter(([, count]) => count > 1),
    [],
    "no finished step of a build was done again",
  );
  assert.ok(done.size > 0);
});

async function everyEvent(): Promise<Event[]> {
  const events: Event[] = [];
  for (;;) {
    const after = events.at(-1)?.id ?? 0;
    const { body } = await server.http("GET", `/apis/netkiln/v1/events?limit=1000&after=${after}`);
    const { items } = JSON.parse(body) as { items: Event[] };
    if (items.length === 0) return events;
    events.push(...items);
  }
}
