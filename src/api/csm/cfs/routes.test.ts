import assert from "node:assert/strict";
import { after, test } from "node:test";
import fastify from "fastify";
import {
  migrations,
  openConfigurationOptions,
  openConfigurationSessions,
  openConfigurationStore,
  openConfiguredComponents,
  openSourceStore,
} from "../../../configuration/index.ts";
import { migrate, openDatabase } from "../../../lib/db.ts";
import { registerService } from "../../service.ts";
import { cfsService } from "./routes.ts";

const commit = "0123456789012345678901234567890123456789";
const head = "f".repeat(40);
const clone_url = "https://api-gw-service-nmn.local/vcs/cray/csm-config-management.git";

async function openApi() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const app = fastify();
  after(() => app.close());
  const git = {
    resolve: async () => head,
    files: async () => [],
    read: async () => "",
    export: async () => undefined,
    uncommitted: async () => [],
  };
  const configurationSessions = openConfigurationSessions(db);
  registerService(
    app,
    cfsService({
      configurations: openConfigurationStore(db),
      sources: openSourceStore(db),
      configurationOptions: openConfigurationOptions(db),
      configuredComponents: openConfiguredComponents(db),
      configurationSessions,
      git,
    }),
  );
  const ask = async (
    method: "GET" | "PUT" | "PATCH" | "POST" | "DELETE",
    path: string,
    body?: object,
    headers = {},
  ) => {
    const url = `/apis/cfs${path}`;
    const answer = await app.inject({ method, url, headers, ...(body !== undefined && { payload: body }) });
    // oxlint-disable-next-line typescript/no-explicit-any -- each test knows what it asked for
    const parsed: any = answer.body === "" ? undefined : JSON.parse(answer.body);
    return { status: answer.statusCode, body: parsed };
  };
  return { ask, configurationSessions };
}

test("a configuration of the documented procedure is answered as documented", async () => {
  const { ask } = await openApi();
  const layers = [{ clone_url, commit, playbook: "ims_computes.yml" }];
  const { status, body } = await ask("PUT", "/v3/configurations/remote-ims-node", { layers });
  assert.equal(status, 200);
  assert.match(body.last_updated, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual({ ...body, last_updated: "" }, { last_updated: "", layers, name: "remote-ims-node" });
  const v2 = await ask("GET", "/v2/configurations/remote-ims-node");
  assert.deepEqual(v2.body.layers, [{ cloneUrl: clone_url, commit, playbook: "ims_computes.yml" }]);
  assert.deepEqual(Object.keys(v2.body), ["name", "lastUpdated", "layers"]);
});

test("sat's branches are dropped, others stay and move on with PATCH", async () => {
  const { ask } = await openApi();
  const layers = [{ clone_url, branch: "main", playbook: "site.yml" }];
  const dropped = await ask("PUT", "/v3/configurations/one?drop_branches=True", { layers });
  assert.deepEqual(dropped.body.layers, [{ clone_url, commit: head, playbook: "site.yml" }]);
  const kept = await ask("PUT", "/v3/configurations/two", { layers });
  assert.deepEqual(kept.body.layers, [{ clone_url, commit: head, branch: "main", playbook: "site.yml" }]);
  assert.deepEqual((await ask("PATCH", "/v3/configurations/two")).body.layers, kept.body.layers);
});

test("v3 is stricter than v2: names, playbooks and what is read-only", async () => {
  const { ask } = await openApi();
  const layers = [{ clone_url, commit, playbook: "site.yml" }];
  const long = "x".repeat(61);
  assert.equal((await ask("PUT", `/v3/configurations/${long}`, { layers })).status, 400);
  const old = await ask("PUT", `/v2/configurations/${long}`, { layers: [{ cloneUrl: clone_url, commit }] });
  assert.equal(old.status, 200);
  assert.equal(old.body.layers[0].playbook, "site.yml", "the default one");
  assert.equal((await ask("PUT", "/v3/configurations/a", { layers: [{ clone_url, commit }] })).status, 400);
  const named = { layers: [{ ...layers[0], name: "y".repeat(46) }] };
  assert.equal((await ask("PUT", "/v3/configurations/a", named)).status, 400);
  const { status, body } = await ask("PUT", "/v3/configurations/a", { name: "a", layers });
  assert.equal(status, 400);
  assert.match(body.detail, /name: Property is read-only/);
});

test("lists come in pages in v3, and in v2 whole or not at all", async () => {
  const { ask } = await openApi();
  await ask("PUT", "/v3/components", [{ id: "x1" }, { id: "x2" }, { id: "x3" }]);
  const first = await ask("GET", "/v3/components?limit=2&enabled=True&status=");
  assert.deepEqual(
    first.body.components.map(({ id }: { id: string }) => id),
    ["x1", "x2"],
  );
  assert.equal(first.body.components[0].state, undefined, "not without state_details");
  assert.deepEqual(first.body.next, {
    limit: 2,
    after_id: "x2",
    enabled: true,
    config_details: false,
    state_details: false,
  });
  const query = new URLSearchParams(first.body.next as Record<string, string>);
  const second = await ask("GET", `/v3/components?${query.toString()}`);
  assert.equal(second.body.components.length, 1);
  assert.equal(second.body.next, null);
  assert.equal((await ask("GET", "/v2/components")).body.length, 3);
  await ask("PATCH", "/v3/options", { default_page_size: 2 });
  const { status, body } = await ask("GET", "/v2/components");
  assert.equal(status, 400);
  assert.match(body.detail, /Use the v3 API to page/);
});

test("v2 says the status of a layer behind its commit, v3 beside it", async () => {
  const { ask } = await openApi();
  await ask("PUT", "/v3/configurations/site", { layers: [{ clone_url, commit, playbook: "site.yml" }] });
  await ask("PUT", "/v2/components/x1", { desiredConfig: "site" });
  const stateAppend = { cloneUrl: clone_url, playbook: "site.yml", commit: `${commit}_failed`, sessionName: "one" };
  const old = await ask("PATCH", "/v2/components/x1", { stateAppend, errorCount: 1 });
  assert.equal(old.body.state[0].commit, `${commit}_failed`);
  assert.equal(old.body.configurationStatus, "pending");
  const { body } = await ask("GET", "/v3/components/x1?state_details=true&config_details=true");
  const { last_updated, ...layer } = body.state[0];
  assert.deepEqual(layer, { clone_url, playbook: "site.yml", commit, status: "failed", session_name: "one" });
  assert.deepEqual(body.desired_state, [{ ...layer, status: "pending", last_updated }]);
  const done = await ask("PATCH", "/v3/components/x1", { state_append: { ...layer, status: "applied" } });
  assert.deepEqual([done.body.configuration_status, done.body.state.length], ["configured", 1]);
  const cleared = await ask("PATCH", "/v3/components/x1", { state: [] });
  assert.deepEqual([cleared.body.configuration_status, cleared.body.error_count], ["pending", 0]);
});

test("components are changed by filter, and answered as ids in v3 and whole in v2", async () => {
  const { ask } = await openApi();
  await ask("PUT", "/v3/components", [{ id: "x1", tags: { rack: "1" } }, { id: "x2" }]);
  const patched = await ask("PATCH", "/v3/components", { filters: { tags: "rack=1" }, patch: { enabled: false } });
  assert.deepEqual(patched.body, { component_ids: ["x1"] });
  const { body } = await ask("PATCH", "/v2/components", { filters: { enabled: true }, patch: { retryPolicy: 5 } });
  assert.deepEqual(
    body.map(({ id, retryPolicy }: { id: string; retryPolicy: number }) => [id, retryPolicy]),
    [["x2", 5]],
  );
  assert.equal((await ask("PATCH", "/v3/components", { filters: { tags: "rack" }, patch: {} })).status, 400);
  assert.equal((await ask("PATCH", "/v3/components", { patch: {} })).status, 400);
});

test("a session's times are those that sat reads, and its success is a text", async () => {
  const { ask, configurationSessions } = await openApi();
  await ask("PUT", "/v3/configurations/site", { layers: [{ clone_url, commit, playbook: "site.yml" }] });
  const id = "adb5abcb-45c8-4352-bc36-df47220d13e1";
  // As `cray cfs sessions create --target-group Application ID --target-image-map ID NAME` sends it.
  const target = {
    definition: "image",
    groups: [{ name: "Application", members: [id] }],
    image_map: [{ source_id: id, result_name: "ims-remote-image-x86_64" }],
  };
  const made = await ask("POST", "/v2/sessions", { name: "build-x86-64", configurationName: "site", target });
  assert.equal(made.status, 200);
  assert.deepEqual(made.body.target, target);
  assert.equal(made.body.status.session.succeeded, "none");
  assert.match(made.body.status.session.startTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/);
  await configurationSessions.report("build-x86-64", {
    imsJob: "b1",
    artifacts: [{ imageId: id, resultId: "295aa9a1-f56c-4307-acad-21b58d02321c", type: "ims_customized_image" }],
  });
  const { body } = await ask("GET", "/v3/sessions/build-x86-64");
  assert.equal(body.logs, "/apis/netkiln/v1/builds/b1/log");
  assert.deepEqual(body.status.artifacts, [
    { image_id: id, result_id: "295aa9a1-f56c-4307-acad-21b58d02321c", type: "ims_customized_image" },
  ]);
  const session = { name: "other", configuration_name: "site", ansible_passthrough: "--inventory /etc" };
  assert.equal((await ask("POST", "/v3/sessions", session)).status, 400);
});

test("only what is complete is removed when sessions are removed without a filter", async () => {
  const { ask, configurationSessions } = await openApi();
  await ask("PUT", "/v3/configurations/site", { layers: [{ clone_url, commit, playbook: "site.yml" }] });
  for (const name of ["one", "two"]) await ask("POST", "/v3/sessions", { name, configuration_name: "site" });
  await configurationSessions.report("one", { status: "complete" });
  assert.deepEqual((await ask("DELETE", "/v3/sessions")).body, { session_ids: ["one"] });
  assert.deepEqual((await ask("DELETE", "/v3/sessions?status=")).body, { session_ids: ["two"] });
});

test("a tenant sees and changes only its own configurations", async () => {
  const { ask } = await openApi();
  const layers = [{ clone_url, commit, playbook: "site.yml" }];
  const blue = { "cray-tenant-name": "blue" };
  await ask("PUT", "/v3/configurations/ours", { layers });
  const made = await ask("PUT", "/v3/configurations/theirs", { layers }, blue);
  assert.equal(made.body.tenant_name, "blue");
  const { body } = await ask("GET", "/v3/configurations", undefined, blue);
  assert.deepEqual(
    body.configurations.map(({ name }: { name: string }) => name),
    ["theirs"],
  );
  for (const method of ["GET", "PATCH", "DELETE"] as const) {
    assert.equal((await ask(method, "/v3/configurations/ours", undefined, blue)).status, 403, method);
  }
  assert.equal((await ask("PUT", "/v3/configurations/ours", { layers }, blue)).status, 403);
  assert.equal((await ask("GET", "/v3/configurations")).body.configurations.length, 2);
});

test("a source that is named after its URL is found under the quoted URL", async () => {
  const { ask } = await openApi();
  const credentials = { username: "crayvcs", password: "secret" };
  assert.equal((await ask("POST", "/v3/sources", { clone_url, credentials })).body.name, clone_url);
  for (const quoted of [encodeURIComponent(clone_url), encodeURIComponent(encodeURIComponent(clone_url))]) {
    const { body } = await ask("GET", `/v3/sources/${quoted}`);
    assert.equal(body.clone_url, clone_url);
  }
  await ask("PUT", "/v3/configurations/site", { layers: [{ source: clone_url, commit, playbook: "site.yml" }] });
  const { body } = await ask("GET", "/v3/configurations/site");
  assert.deepEqual(body.layers, [{ source: clone_url, commit, playbook: "site.yml" }]);
  assert.equal((await ask("DELETE", `/v3/sources/${encodeURIComponent(clone_url)}`)).status, 400);
});

test("all mistakes stand in the detail, which is what clients print", async () => {
  const { ask } = await openApi();
  const { body } = await ask("PATCH", "/v3/options", { batch_size: 0, default_playbook: "other.yml" });
  assert.equal(body.title, "Bad Request");
  assert.match(body.detail, /batch_size: .*; default_playbook: Property is read-only/);
});
