import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import {
  migrations,
  openConfigurationSessions,
  openConfigurationStore,
  openConfiguredComponents,
  runLiveSession,
  type ConfigurationSessionRequest,
  type LiveSessionPorts,
} from "./index.ts";

const commit = "0".repeat(40);
const layers = ["one.yml", "two.yml"].map((playbook) => ({ url: "/site", playbook, commit }));

async function openWorld(more: Partial<ConfigurationSessionRequest> = {}) {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  await openConfigurationStore(db).put("site", { layers });
  const sessions = openConfigurationSessions(db);
  const components = openConfiguredComponents(db);
  await components.put(new Map(["x1", "x2", "x3"].map((id) => [id, { desiredConfig: "site" }])));
  await sessions.create({
    ...{ name: "one", configuration: "site", configurationLimit: "", tags: {}, debugOnFailure: false },
    ...{ ansible: { config: "", verbosity: 0 }, target: { definition: "dynamic" } },
    ...more,
  });
  const played: string[] = [];
  const said: string[] = [];
  const run = async (
    outcomes: Record<string, Record<string, string>> | NetkilnError,
    hosts = ["x1", "x2", "x3", "elsewhere"],
    now = layers,
  ) => {
    const ports: LiveSessionPorts = {
      ...{ sessions, components, say: (line) => void said.push(line) },
      prepare: async () => {
        if (outcomes instanceof NetkilnError) throw outcomes;
        return {
          hosts,
          play: async ({ playbook }, index, some) => {
            played.push(`${index} ${playbook} ${some.join(" ")}`);
            const all = some.map((host) => [host, outcomes[playbook]?.[host] ?? "applied"] as const);
            return { outcomes: new Map(all as [string, "applied"][]) };
          },
        };
      },
    };
    await runLiveSession((await sessions.find("one")) ?? assert.fail(), async () => ({ layers: now }), ports);
    return (await sessions.find("one")) ?? assert.fail();
  };
  const standing = async (id: string) => {
    const { status, errorCount, state } = (await components.find(id)) ?? assert.fail();
    return [status, errorCount, ...state.map(({ playbook, status: one }) => `${playbook} ${one}`)];
  };
  return { run, standing, played, said, components };
}

test("a host that fails is left out of the layers after it, and the others go on", async () => {
  const { run, standing, played } = await openWorld();
  const session = await run({ "one.yml": { x2: "failed", x3: "incomplete" } });
  assert.deepEqual([session.status, session.succeeded, session.error], ["complete", "false", undefined]);
  assert.deepEqual(played, ["0 one.yml x1 x2 x3 elsewhere", "1 two.yml x1 elsewhere"]);
  assert.deepEqual(await standing("x1"), ["configured", 0, "one.yml applied", "two.yml applied"]);
  assert.deepEqual(await standing("x2"), ["pending", 1, "one.yml failed"]);
  assert.deepEqual(await standing("x3"), ["pending", 0, "one.yml incomplete"]);
});

test("a component that got through has no failures any more", async () => {
  const { run, standing, components } = await openWorld();
  await components.change(new Map([["x1", { errorCount: 2 }]]));
  assert.equal((await run({ "two.yml": { x1: "skipped" } })).succeeded, "true");
  assert.deepEqual(await standing("x1"), ["configured", 0, "one.yml applied", "two.yml skipped"]);
});

test("a session of another configuration leaves the count of failures alone", async () => {
  const { run, standing, components } = await openWorld();
  await components.change(new Map([["x1", { desiredConfig: "other" }]]));
  await components.change(new Map([["x1", { errorCount: 2 }]]));
  await run({ "one.yml": { x1: "failed" } });
  assert.equal((await standing("x1"))[1], 2);
});

test("nothing is recorded of a session that passes options on to Ansible", async () => {
  const { run, standing } = await openWorld({ ansible: { config: "", verbosity: 0, passthrough: "--tags a" } });
  assert.equal((await run({ "one.yml": { x2: "failed" } })).succeeded, "false");
  assert.deepEqual(await standing("x2"), ["pending", 0]);
});

test("a session that cannot begin says why, and counts for no component", async () => {
  const { run, standing, said } = await openWorld();
  const session = await run(new NetkilnError("work_failed", "cannot read the git repository", { output: ["denied"] }));
  assert.deepEqual([session.succeeded, session.error], ["false", "cannot read the git repository"]);
  assert.deepEqual(said, ["==> failed: cannot read the git repository", "    denied"]);
  assert.deepEqual(await standing("x1"), ["pending", 0]);
});

const batch = { batch: true, ansible: { config: "", verbosity: 0, limit: "x1,x2,x3,ghost" } } as const;

test("what a batch names and is no host has failed as often as it was tried", async () => {
  const { run, standing, said, components } = await openWorld(batch);
  await components.put(new Map([["ghost", { desiredConfig: "site", errorCount: 1 }]]));
  const session = await run({});
  assert.deepEqual([session.succeeded, session.error], ["false", undefined]);
  assert.deepEqual(await standing("x1"), ["configured", 0, "one.yml applied", "two.yml applied"]);
  assert.deepEqual(await standing("ghost"), ["pending", 2, "one.yml failed"]);
  assert.match(said.join("\n"), /^==> no host of the inventory, and so failed: ghost$/m);
});

test("a batch that names no host at all does not hold its configuration back", async () => {
  const { run, standing, components, played } = await openWorld({
    ...batch,
    ansible: { ...batch.ansible, limit: "ghost" },
  });
  await components.put(new Map([["ghost", { desiredConfig: "site", errorCount: 2 }]]));
  const session = await run({}, []);
  assert.deepEqual([session.succeeded, session.error, played], ["false", undefined, []]);
  assert.deepEqual(await standing("ghost"), ["failed", 3, "one.yml failed"]);
});

test("a batch whose configuration has lost its layers meanwhile is a success", async () => {
  const { run, standing } = await openWorld(batch);
  assert.equal((await run({}, [], [])).succeeded, "true");
  assert.deepEqual(await standing("x1"), ["pending", 0]);
});

test("a limit that names no layer ends the session", async () => {
  const { run } = await openWorld({ configurationLimit: "five" });
  assert.match((await run({})).error ?? "", /no layer five/);
});

test("a component waits anew from its failure on", async () => {
  const { run, components } = await openWorld();
  const before = (await components.find("x2"))?.pendingSince;
  assert.notEqual(before, undefined);
  await run({ "one.yml": { x2: "failed" } });
  assert.equal((await components.find("x1"))?.pendingSince, undefined);
  assert.ok(((await components.find("x2"))?.pendingSince ?? "") >= (before ?? ""));
});
