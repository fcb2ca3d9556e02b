import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import {
  migrations,
  openConfigurationOptions,
  openConfigurationStore,
  openSourceStore,
  pinConfiguration,
  renewPins,
} from "./index.ts";

async function openStores() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const heads = new Map([["https://a.example.org/site.git main", "a".repeat(40)]]);
  return {
    heads,
    sources: openSourceStore(db),
    configurations: openConfigurationStore(db),
    options: openConfigurationOptions(db),
    git: {
      resolve: async (url: string, reference: { branch: string } | { commit: string }) => {
        const branch = "branch" in reference ? reference.branch : "";
        const commit = heads.get(`${url} ${branch}`);
        if (commit === undefined) throw new NetkilnError("not_found", `branch "${branch}" does not exist in ${url}`);
        return commit;
      },
    },
  };
}

const login = { username: "crayvcs", password: "secret" };
const cloneUrl = "https://a.example.org/site.git";

test("a source's login is for git alone", async () => {
  const { sources } = await openStores();
  const source = await sources.create("site", { cloneUrl, login });
  assert.ok(!JSON.stringify([source, await sources.find("site")]).includes('secret"'));
  assert.deepEqual(await sources.loginFor(cloneUrl), login);
  assert.equal(await sources.loginFor("https://b.example.org/site.git"), undefined);
  const renamed = await sources.change("site", { login: { ...login, password: "other" } });
  assert.equal(renamed.credentials?.secretName, source.credentials?.secretName, "the secret keeps its name");
  assert.equal((await sources.loginFor(cloneUrl))?.password, "other");
  await assert.rejects(sources.create("site", { cloneUrl }), { code: "conflict" });
  await assert.rejects(sources.change("other", { cloneUrl }), { code: "not_found" });
});

test("branches and sources of a configuration become commits and URLs, and move on when asked", async () => {
  const stores = await openStores();
  await stores.sources.create("site", { cloneUrl });
  const wanted = { layers: [{ source: "site", branch: "main", playbook: "site.yml" }] };
  const content = await pinConfiguration(wanted, stores);
  const layer = { url: cloneUrl, commit: "a".repeat(40), branch: "main", source: "site", playbook: "site.yml" };
  assert.deepEqual(content.layers, [layer]);
  const { configuration } = await stores.configurations.put("one", content);
  stores.heads.set(`${cloneUrl} main`, "b".repeat(40));
  assert.deepEqual((await renewPins(configuration, stores)).layers, [{ ...layer, commit: "b".repeat(40) }]);
  const { layers } = await pinConfiguration(wanted, stores, { dropBranches: true });
  assert.equal(layers[0]?.branch, undefined);
});

test("contradictions in a configuration are refused", async () => {
  const stores = await openStores();
  const layer = { url: cloneUrl, commit: "a".repeat(40), playbook: "site.yml" };
  const refused = (layers: object[], message: RegExp) =>
    assert.rejects(pinConfiguration({ layers: layers as [] }, stores), { code: "invalid_input", message });
  await refused([{ ...layer, branch: "main" }], /Only branch or commit/);
  await refused([{ ...layer, source: "site" }], /Only source or clone_url/);
  await refused([{ playbook: "site.yml" }], /Either source or clone_url/);
  await refused([{ ...layer, url: undefined, source: "none" }], /The source none does not exist/);
  await refused([layer, { ...layer, commit: "b".repeat(40) }], /the same playbook from the same repo/);
  await refused(
    [{ ...layer, commit: undefined, branch: "mian" }],
    /Error converting branch name to commit: branch "mian"/,
  );
});

test("a source that is used stays, and its configurations follow it to another place", async () => {
  const stores = await openStores();
  const { sources, configurations } = stores;
  await sources.create("site", { cloneUrl });
  await sources.create("spare", { cloneUrl });
  await sources.create("inventory", { cloneUrl });
  const content = await pinConfiguration({ layers: [{ source: "site", branch: "main", playbook: "p.yml" }] }, stores);
  await configurations.put("one", content);
  await stores.options.set({ additionalInventorySource: "inventory" });
  const names = async (inUse: boolean) => (await sources.list({ limit: 9, inUse })).map(({ name }) => name);
  assert.deepEqual(await names(true), ["inventory", "site"]);
  assert.deepEqual(await names(false), ["spare"]);
  await assert.rejects(sources.remove("site"), { code: "invalid_input", message: /referenced by some configurations/ });
  await sources.change("site", { cloneUrl: "https://c.example.org/site.git" });
  assert.equal((await configurations.find("one"))?.layers[0]?.url, "https://c.example.org/site.git");
  await configurations.delete("one");
  await sources.remove("site");
  assert.equal(await sources.find("site"), undefined);
});
