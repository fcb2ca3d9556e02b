/** The batcher over the real stores, on a clock that is held; what workers do with its sessions is missing. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { ConfigurationSession } from "../configuration/index.ts";
import { timestamp, useClock } from "../lib/clock.ts";
import { runBatcher } from "./batcher.ts";
import { readConfig } from "./config.ts";
import { liveSessionJob, queueLiveSessions } from "./live-sessions.ts";
import { openHouse, type House } from "./open.ts";

let house: House;
let folder: string;
let now: number;
let restore: () => void;

const commit = "0".repeat(40);
const layers = [{ url: "/site", playbook: "site.yml", commit }];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-batcher-"));
  house = await openHouse(readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
  now = Date.parse("2026-01-01T00:00:00Z");
  restore = useClock({ now: () => new Date(now) });
  await house.configurations.put("site", { layers });
  await house.configuredComponents.put(new Map(["x1", "x2"].map((id) => [id, { desiredConfig: "site" }])));
});
afterEach(async () => {
  restore();
  await house.db.destroy();
  await rm(folder, { recursive: true });
});

async function after(seconds: number): Promise<ConfigurationSession[]> {
  now += seconds * 1000;
  await runBatcher(house);
  await queueLiveSessions(house);
  return house.configurationSessions.list({});
}

/** What a worker reports of a session. */
async function end(session: ConfigurationSession | undefined, status: "applied" | "failed"): Promise<void> {
  const { name = "", ansible } = session ?? {};
  const attempt = { configuration: "site", succeeded: status === "applied" };
  const stateAppend = { ...layers[0]!, status, lastUpdated: timestamp(), sessionName: name };
  const ids = (ansible?.limit ?? "").split(",");
  await house.configuredComponents.record(new Map(ids.map((id) => [id, { stateAppend, attempt }])));
  const succeeded = status === "applied" ? "true" : "false";
  await house.configurationSessions.report(name, { status: "complete", succeeded, completionTime: timestamp() });
}

test("pending components come into a session when the window is over, and not into a second one", async () => {
  assert.deepEqual(await after(59), []);
  const [session, ...others] = await after(1);
  assert.deepEqual(others, []);
  assert.match(session?.name ?? "", /^batcher-[0-9a-f-]{36}$/);
  assert.deepEqual([session?.ansible.limit, session?.configuration], ["x1,x2", "site"]);
  assert.equal(await house.jobs.countUnfinished(liveSessionJob), 1);
  assert.equal((await after(5)).length, 1);
  await end(session, "applied");
  assert.equal((await after(3600)).length, 1, "they are configured");
});

test("what fails is tried again, later each time, as often as the policy says", async () => {
  const starts: number[] = [];
  const begin = now;
  const known = new Set<string>();
  for (let second = 0; second < 400; second += 1) {
    for (const session of await after(1)) {
      if (known.has(session.name)) continue;
      known.add(session.name);
      starts.push((now - begin) / 1000);
      await end(session, "failed");
    }
  }
  assert.deepEqual(starts, [60, 70, 90]);
  assert.equal((await house.configuredComponents.find("x1"))?.status, "failed");
  await house.configuredComponents.change(new Map([["x1", { errorCount: 0 }]]));
  assert.equal((await after(60)).length, 4);
});

test("a session that nobody takes is replaced by another", async () => {
  const [first] = await after(60);
  const again = await after(301);
  assert.deepEqual(again, [], "removed");
  const [other] = await after(1);
  assert.notEqual(other?.name, first?.name);
  assert.equal(other?.ansible.limit, "x1,x2");
});

test("a component is looked at however many others there are that nobody can configure", async () => {
  const ids = Array.from({ length: 10_001 }, (_, index) => `w${index}`);
  await house.configuredComponents.put(new Map(ids.map((id) => [id, { desiredConfig: "gone" }])));
  const [session] = await after(60);
  assert.equal(session?.ansible.limit, "x1,x2");
});

test("a session that somebody began at the last moment is not removed", async () => {
  const [session] = await after(60);
  const { name = "" } = session ?? {};
  assert.equal(await house.configurationSessions.removePending("other"), false);
  await house.configurationSessions.report(name, { status: "running" });
  assert.equal(await house.configurationSessions.removePending(name), false);
  assert.equal((await house.configurationSessions.list({})).length, 1);
});

test("nothing is started when it is switched off, for disabled components, and for what nobody knows", async () => {
  await house.configurationOptions.set({ batcherDisable: true });
  assert.deepEqual(await after(600), []);
  await house.configurationOptions.set({ batcherDisable: false });
  await house.configuredComponents.change(
    new Map([
      ["x1", { enabled: false }],
      ["x2", { desiredConfig: "gone" }],
    ]),
  );
  assert.deepEqual(await after(600), []);
  await house.configuredComponents.change(new Map([["x1", { enabled: true }]]));
  assert.deepEqual(await after(59), [], "the window begins when it is enabled");
  assert.equal((await after(1)).length, 1);
});

test("a configuration that changes makes its components wait anew", async () => {
  const [session] = await after(60);
  await end(session, "applied");
  now += 1000;
  await house.configurations.put("site", { layers: [{ ...layers[0]!, commit: "1".repeat(40) }] });
  assert.equal((await after(59)).length, 1);
  assert.equal((await after(1)).length, 2);
});
