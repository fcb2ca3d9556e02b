/** The Configuration Framework Service against its contract. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fastify, { type FastifyInstance } from "fastify";
import { cfsService } from "../../src/api/csm/cfs/routes.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import { run } from "../../src/lib/exec.ts";
import { readConfig } from "../../src/server/config.ts";
import { openHouse, type House } from "../../src/server/open.ts";
import { makeFolder } from "../support/server.ts";
import { contractFile, readContract } from "./support/contract.ts";
import { openTrial, type Trial } from "./support/trial.ts";

const file = "cfs-v2-v3.openapi.yaml";
const skip = existsSync(contractFile(file)) ? false : "the contract's file is not here";

interface Names {
  readonly url: string;
  readonly commit: string;
  readonly desired: string;
  readonly created: number;
}

/** How the same is said in each version. */
const words = {
  v2: { url: "cloneUrl", commit: "commit", desired: "desiredConfig", created: 200 },
  v3: { url: "clone_url", commit: "commit", desired: "desired_config", created: 201 },
} satisfies Record<string, Names>;

async function makeRepository(folder: string): Promise<{ url: string; commit: string }> {
  const url = join(folder, "site");
  const env = { HOME: folder };
  await mkdir(url);
  await run(["git", "init", "-q", "-b", "main", url], { env });
  await writeFile(join(url, "site.yml"), "- hosts: all\n");
  await run(["git", "-C", url, "add", "-A"], { env });
  const identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
  await run(["git", "-C", url, ...identity, "commit", "-q", "-m", "first"], { env });
  return { url, commit: (await run(["git", "-C", url, "rev-parse", "HEAD"], { env })).stdout.trim() };
}

describe("cfs", { skip }, () => {
  let house: House;
  let app: FastifyInstance;
  let trial: Trial;
  let site: { url: string; commit: string };

  before(async () => {
    const data = await makeFolder();
    house = await openHouse(readConfig({ data }, { NETKILN_CONFIG: undefined }));
    app = fastify();
    answerProblems(app);
    registerService(app, cfsService(house));
    trial = openTrial(app, "/apis/cfs", readContract(file));
    site = await makeRepository(data);
  });
  after(async () => {
    trial.assertAllTried();
    await app.close();
    await house.db.destroy();
  });

  test("versions and health", async () => {
    for (const id of ["get_version", "get_versions", "get_versions_v2", "get_versions_v3"]) {
      assert.deepEqual(await trial.ask(id, 200), { major: "1", minor: "31", patch: "1" });
    }
    await trial.ask("get_healthz", 200);
  });

  test("options", async () => {
    await trial.ask("get_options_v3", 200);
    await trial.ask("patch_options_v3", 200, { body: { batch_size: 30, session_ttl: "2w" } });
    await trial.ask("patch_options_v3", 400, { body: { batch_size: 0 } });
    await trial.ask("patch_options_v3", 400, { body: { default_playbook: "a.yml" } });
    const seen = await trial.ask<Record<string, unknown>>("get_options_v2", 200);
    assert.equal(seen["batchSize"], 30);
    assert.equal(seen["sessionTTL"], "2w");
    await trial.ask("patch_options_v2", 200, { body: { batchSize: 25, defaultPlaybook: "site.yml" } });
    await trial.ask("patch_options_v2", 400, { body: { batch_size: 25 } });
  });

  test("sources", async () => {
    const credentials = { username: "crayvcs", password: "secret" };
    const body = { name: "site", clone_url: site.url, credentials };
    const made = await trial.ask<{ credentials: object }>("post_source_v3", 201, { body });
    assert.deepEqual(Object.keys(made.credentials), ["authentication_method", "secret_name"]);
    await trial.ask("post_source_v3", 409, { body });
    await trial.ask("post_source_v3", 400, { body: { ...body, credentials: {} } });
    await trial.ask("get_sources_v3", 200, { query: { in_use: "False", limit: "1" } });
    await trial.ask("get_sources_v3", 400, { query: { limit: "0" } });
    const params = { source_id: "site" };
    await trial.ask("get_source_v3", 200, { params });
    await trial.ask("get_source_v3", 404, { params: { source_id: "nowhere" } });
    await trial.ask("patch_source_v3", 200, {
      params,
      body: { description: "ours", ca_cert: { configmap_name: "c" } },
    });
    await trial.ask("patch_source_v3", 400, { params, body: { credentials: { username: "only" } } });
    const restored = { source_id: "https://vcs.example.org/cray/site.git" };
    const again = { clone_url: site.url, credentials: { authentication_method: "password", secret_name: "s" } };
    await trial.ask("restore_source_v3", 201, { params: restored, body: again });
    await trial.ask("restore_source_v3", 409, { params: restored, body: again });
    await trial.ask("delete_source_v3", 204, { params: restored });
    await trial.ask("delete_source_v3", 404, { params: restored });
  });

  for (const version of ["v3", "v2"] as const) {
    const word = words[version];
    const params = { configuration_id: `site-${version}` };
    const component = { component_id: "x1c0s0b0n0" };
    const session = { session_name: `session-${version}` };

    test(`configurations ${version}`, async () => {
      const layer = { name: "site", [word.url]: site.url, playbook: "site.yml", branch: "main" };
      const put = await trial.ask<{ layers: { commit: string }[] }>(`put_configuration_${version}`, 200, {
        params,
        body: { description: "ours", layers: [layer], additional_inventory: { [word.url]: site.url, branch: "main" } },
      });
      assert.equal(put.layers[0]?.commit, site.commit);
      const refused = { layers: [{ ...layer, commit: site.commit }] };
      await trial.ask(`put_configuration_${version}`, 400, { params, body: refused });
      await trial.ask(`put_configuration_${version}`, 400, { params, body: { layers: [layer, layer] } });
      await trial.ask(`get_configurations_${version}`, 200, { query: { in_use: "false" } });
      await trial.ask(`get_configurations_${version}`, 400, { query: { in_use: "perhaps" } });
      await trial.ask(`get_configuration_${version}`, 200, { params });
      await trial.ask(`get_configuration_${version}`, 404, { params: { configuration_id: "none" } });
      await trial.ask(`patch_configuration_${version}`, 200, { params });
      await trial.ask(`patch_configuration_${version}`, 404, { params: { configuration_id: "none" } });
    });

    test(`components ${version}`, async () => {
      const desired = { [word.desired]: `site-${version}`, enabled: true, tags: { owner: "us" } };
      const id = component.component_id;
      await trial.ask(`put_components_${version}`, 200, {
        body: [{ id, ...desired, state: [] }, { id: "x1c0s1b0n0" }],
      });
      await trial.ask(`put_components_${version}`, 400, { body: [desired] });
      await trial.ask(`patch_components_${version}`, 200, { body: [{ id, enabled: false }] });
      await trial.ask(`patch_components_${version}`, 404, { body: [{ id: "x9c0s0b0n0", enabled: false }] });
      await trial.ask(`patch_components_${version}`, 200, { body: { filters: { ids: id }, patch: { enabled: true } } });
      await trial.ask(`patch_components_${version}`, 400, { body: { filters: { ids: id }, patch: { colour: 1 } } });
      await trial.ask(`get_components_${version}`, 200, { query: { status: "pending", tags: "owner=us" } });
      await trial.ask(`get_components_${version}`, 400, { query: { tags: "owner" } });
      await trial.ask(`get_component_${version}`, 200, { params: component });
      await trial.ask(`get_component_${version}`, 404, { params: { component_id: "x9c0s0b0n0" } });
      await trial.ask(`put_component_${version}`, 200, { params: component, body: desired });
      await trial.ask(`put_component_${version}`, 400, { params: component, body: "{" });
      await trial.ask(`patch_component_${version}`, 200, { params: component, body: { enabled: false } });
      await trial.ask(`patch_component_${version}`, 404, {
        params: { component_id: "none" },
        body: { enabled: false },
      });
      await trial.ask(`delete_configuration_${version}`, 400, { params });
      await trial.ask(`delete_component_${version}`, 204, { params: component });
      await trial.ask(`delete_component_${version}`, 404, { params: component });
    });

    test(`sessions ${version}`, async () => {
      const configuration = version === "v2" ? "configurationName" : "configuration_name";
      const body = { name: session.session_name, [configuration]: `site-${version}`, tags: { why: "test" } };
      await trial.ask(`create_session_${version}`, word.created, { body });
      await trial.ask(`create_session_${version}`, 409, { body });
      await trial.ask(`create_session_${version}`, 400, { body: { ...body, name: "Bad_Name" } });
      await trial.ask(`get_sessions_${version}`, 200, {
        query: { status: "pending", tags: "why=test", max_age: "1d" },
      });
      await trial.ask(`get_sessions_${version}`, 400, { query: { min_age: "old" } });
      await trial.ask(`get_session_${version}`, 200, { params: session });
      await trial.ask(`get_session_${version}`, 404, { params: { session_name: "none" } });
      const report = { status: { session: { status: "running", job: "cfs-1" } } };
      await trial.ask(`patch_session_${version}`, 200, { params: session, body: report });
      if (version === "v3") await trial.ask(`patch_session_${version}`, 409, { params: session, body: report });
      await trial.ask(`patch_session_${version}`, 400, { params: session, body: { name: "another" } });
      const matching = { status: "running", name_contains: version };
      await trial.ask(`delete_sessions_${version}`, version === "v3" ? 200 : 204, { query: matching });
      await trial.ask(`delete_sessions_${version}`, 400, { query: { status: "odd" } });
      await trial.ask(`create_session_${version}`, word.created, { body });
      await trial.ask(`delete_session_${version}`, 204, { params: session });
      await trial.ask(`delete_session_${version}`, 404, { params: session });
      await trial.ask(`delete_configuration_${version}`, 204, { params });
    });
  }
});
