import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import {
  migrations,
  openConfigurationOptions,
  openConfigurationStore,
  openConfiguredComponents,
  type AppliedLayer,
  type ComponentChange,
} from "./index.ts";

async function openStores() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  return {
    components: openConfiguredComponents(db),
    configurations: openConfigurationStore(db),
    options: openConfigurationOptions(db),
  };
}

type Stores = Awaited<ReturnType<typeof openStores>>;

const commit = "0123456789012345678901234567890123456789";
const site = { url: "https://vcs.example.org/site.git", playbook: "site.yml", commit };
const slurm = { ...site, playbook: "slurm.yml" };
const applied = (layer: typeof site, status: AppliedLayer["status"] = "applied"): AppliedLayer => ({
  ...layer,
  status,
  lastUpdated: "2026-01-01T00:00:00Z",
  sessionName: "one",
});

const put = async ({ components }: Stores, id: string, change: ComponentChange) =>
  (await components.put(new Map([[id, change]])))[0]?.status;
const change = async ({ components }: Stores, id: string, change: ComponentChange) =>
  (await components.change(new Map([[id, change]])))[0]?.status;
const statusOf = async ({ components }: Stores, id: string) => (await components.find(id))?.status;

test("the status follows from what is desired, what was applied and how often it failed", async () => {
  const stores = await openStores();
  await stores.configurations.put("site", { layers: [site, slurm] });
  assert.equal(await put(stores, "x1", {}), "unconfigured");
  assert.equal(await put(stores, "x1", { state: [applied(site)] }), "configured", "whatever it was that was applied");
  assert.equal(await put(stores, "x1", { desiredConfig: "gone" }), "unconfigured", "there is no such configuration");
  assert.equal(await put(stores, "x1", { desiredConfig: "site", state: [applied(site)] }), "pending");
  assert.equal(await change(stores, "x1", { stateAppend: applied(slurm, "failed"), errorCount: 1 }), "pending");
  assert.equal(await change(stores, "x1", { errorCount: 3 }), "failed");
  assert.equal(await change(stores, "x1", { retryPolicy: -1 }), "pending");
  assert.equal(await change(stores, "x1", { retryPolicy: 3 }), "failed");
  assert.equal(await change(stores, "x1", { stateAppend: applied(slurm, "incomplete") }), "failed");
  assert.equal(await change(stores, "x1", { stateAppend: applied(slurm, "skipped") }), "configured");
  const component = await stores.components.find("x1");
  assert.deepEqual(
    component?.state.map(({ playbook, status }) => [playbook, status]),
    [
      ["site.yml", "applied"],
      ["slurm.yml", "skipped"],
    ],
    "a playbook stands in the state once",
  );
});

test("new desires and an emptied state begin a new count of failures", async () => {
  const stores = await openStores();
  const errors = async () => (await stores.components.find("x1"))?.errorCount;
  await put(stores, "x1", { errorCount: 5 });
  await change(stores, "x1", { enabled: false });
  assert.equal(await errors(), 5);
  await change(stores, "x1", { state: [] });
  assert.equal(await errors(), 0);
  await change(stores, "x1", { desiredConfig: "site", errorCount: 2 });
  assert.equal(await errors(), 2, "unless it is said");
});

test("a changed configuration makes its components pending, and back", async () => {
  const stores = await openStores();
  await stores.configurations.put("site", { layers: [site] });
  await put(stores, "x1", { desiredConfig: "site", state: [applied(site)] });
  await put(stores, "x2", { desiredConfig: "site", state: [], errorCount: 3 });
  assert.equal(await statusOf(stores, "x1"), "configured");
  const other = { ...site, commit: commit.replaceAll("0", "f") };
  await stores.configurations.put("site", { layers: [other] });
  assert.equal(await statusOf(stores, "x1"), "pending");
  assert.equal(await statusOf(stores, "x2"), "failed");
  await stores.configurations.put("site", { layers: [site] });
  assert.equal(await statusOf(stores, "x1"), "configured");
});

test("the default retry policy is that of the options, for all that have none of their own", async () => {
  const stores = await openStores();
  await stores.configurations.put("site", { layers: [site] });
  await put(stores, "x1", { desiredConfig: "site", errorCount: 2 });
  await put(stores, "x2", { desiredConfig: "site", errorCount: 2, retryPolicy: 3 });
  await stores.options.set({ defaultBatcherRetryPolicy: 2 });
  assert.equal(await statusOf(stores, "x1"), "failed");
  assert.equal(await statusOf(stores, "x2"), "pending");
  await stores.options.set({ defaultBatcherRetryPolicy: 4 });
  assert.equal(await statusOf(stores, "x1"), "pending");
});

test("components are found and changed by all filters together", async () => {
  const stores = await openStores();
  const { components } = stores;
  await stores.configurations.put("site", { layers: [site] });
  await components.put(
    new Map([
      ["x1", { desiredConfig: "site", tags: { rack: "1", owner: "us" } }],
      ["x2", { desiredConfig: "site", tags: { rack: "2", owner: "us" }, enabled: false }],
      ["x3", { tags: { rack: "1" } }],
    ]),
  );
  const ids = async (filter: Omit<Parameters<typeof components.list>[0], "limit">) =>
    (await components.list({ ...filter, limit: 10 })).map(({ id }) => id);
  assert.deepEqual(await ids({ tags: [["rack", "1"]] }), ["x1", "x3"]);
  assert.deepEqual(
    await ids({
      tags: [
        ["rack", "1"],
        ["owner", "us"],
      ],
    }),
    ["x1"],
  );
  assert.deepEqual(await ids({ configuration: "site", enabled: false }), ["x2"]);
  assert.deepEqual(await ids({ status: ["pending"], ids: ["x1", "x3"] }), ["x1"]);
  assert.deepEqual(await ids({ after: "x1" }), ["x2", "x3"]);
  const done = await components.changeWhere({ status: ["pending"] }, { state: [applied(site)], tags: { owner: "" } });
  assert.deepEqual(done, ["x1", "x2"]);
  assert.deepEqual(await ids({ status: ["configured"] }), done);
  assert.deepEqual((await components.find("x1"))?.tags, { rack: "1" });
  assert.deepEqual(await ids({ tags: [["owner", "us"]] }), []);
});

test("a list of changes with one unknown component changes nothing", async () => {
  const stores = await openStores();
  await put(stores, "x1", {});
  const wanted = new Map([
    ["x1", { enabled: false }],
    ["x2", { enabled: false }],
  ]);
  await assert.rejects(stores.components.change(wanted), { code: "not_found", message: /Component x2/ });
  assert.equal((await stores.components.find("x1"))?.enabled, true);
});

test("adding components leaves those that are there as they are", async () => {
  const stores = await openStores();
  await put(stores, "x1", { desiredConfig: "site" });
  await stores.components.add(["x1", "x2"]);
  assert.equal((await stores.components.find("x1"))?.desiredConfig, "site");
  assert.equal((await stores.components.find("x2"))?.desiredConfig, "");
});

test("a configuration that is desired is not deleted, and is found as in use", async () => {
  const stores = await openStores();
  const { configurations } = stores;
  await configurations.put("site", { layers: [site] });
  await configurations.put("spare", { layers: [site], tenant: "blue" });
  await put(stores, "x1", { desiredConfig: "site" });
  const names = async (query: object) => (await configurations.list({ limit: 9, ...query })).map(({ name }) => name);
  assert.deepEqual(await names({ inUse: true }), ["site"]);
  assert.deepEqual(await names({ inUse: false }), ["spare"]);
  assert.deepEqual(await names({ tenant: "blue" }), ["spare"]);
  await assert.rejects(configurations.delete("site"), { code: "conflict" });
  await configurations.delete("spare");
  assert.deepEqual(await names({}), ["site"]);
});
