/** Sessions on live nodes as far as they come without Ansible; test/real/live.test.ts has the rest. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { ConfigurationSession } from "../configuration/index.ts";
import { readConfig } from "./config.ts";
import { liveSessionHandler, queueLiveSessions, runFolder, sweepRuns } from "./live-sessions.ts";
import { openHouse, type House } from "./open.ts";

let house: House;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-live-"));
  house = await openHouse(readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
  await house.configurations.put("site", { layers: [] });
});
afterEach(async () => {
  await house.db.destroy();
  await rm(folder, { recursive: true });
});

async function queued(name: string, config = "cfs-default-ansible-cfg"): Promise<ConfigurationSession> {
  await house.configurationSessions.create({
    ...{ name, configuration: "site", configurationLimit: "", tags: {}, debugOnFailure: false },
    ...{ ansible: { config, verbosity: 0 }, target: { definition: "dynamic" } },
  });
  await queueLiveSessions(house);
  return find(name);
}

const find = async (name: string) => (await house.configurationSessions.find(name)) ?? assert.fail();

async function work({ run = "" }: ConfigurationSession, attempt = 1, signal = AbortSignal.timeout(20_000)) {
  const handler = liveSessionHandler(house, readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
  await handler.run({ id: "job", kind: "configuration-session", subject: run, attempt }, signal);
}

test("a session is put into the queue once, under a run of its own", async () => {
  const { run, job } = await queued("one");
  assert.match(job ?? "", /^cfs-[0-9a-f-]{36}$/);
  await queueLiveSessions(house);
  assert.equal((await find("one")).run, run);
  assert.equal(await house.jobs.countUnfinished("configuration-session"), 1);
});

test("a session that its workers died on twice is given up, and says so", async () => {
  const session = await queued("one");
  await work(session, 3);
  const { status, succeeded, error } = await find("one");
  assert.deepEqual([status, succeeded], ["complete", "false"]);
  assert.equal(error, "given up: the worker died 2 times on it");
});

test("a session that was removed, or is complete, is left alone", async () => {
  const session = await queued("one");
  await house.configurationSessions.remove("one");
  await work(session);
  const other = await queued("two");
  await house.configurationSessions.report("two", { status: "complete", succeeded: "true" });
  await work(other);
  assert.equal((await find("two")).succeeded, "true");
  assert.deepEqual(await readdir(join(folder, "configuration-sessions")).catch(() => []), []);
});

test("an Ansible configuration is looked for in its folder alone", async () => {
  await mkdir(join(folder, "ansible"));
  const session = await queued("one", "../netkiln");
  await work(session);
  assert.equal((await find("one")).error, 'there is no Ansible configuration "../netkiln"');
  const log = await readFile(join(runFolder(folder, session.run ?? ""), "log"), "utf8");
  assert.match(log, /^==> failed: there is no Ansible configuration/);
});

test("a configuration without layers is applied at once", async () => {
  await work(await queued("one"));
  assert.equal((await find("one")).succeeded, "true");
});

test("what sessions leave goes with them", async () => {
  const session = await queued("one");
  await work(session);
  await mkdir(join(runFolder(folder, session.run ?? ""), "work"));
  await sweepRuns(house);
  assert.deepEqual(await readdir(runFolder(folder, session.run ?? "")), ["log"]);
  await house.configurationSessions.remove("one");
  await sweepRuns(house);
  assert.deepEqual(await readdir(join(folder, "configuration-sessions")), []);
});
