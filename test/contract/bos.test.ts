/** The Boot Orchestration Service against its contract. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import fastify, { type FastifyInstance } from "fastify";
import { bosService } from "../../src/api/csm/bos/routes.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import type { Image } from "../../src/image/index.ts";
import { parseNode } from "../../src/node/index.ts";
import { reconcile } from "../../src/orchestration/index.ts";
import { openPower } from "../../src/power/index.ts";
import { readConfig } from "../../src/server/config.ts";
import { openHouse, type House } from "../../src/server/open.ts";
import { makeFolder } from "../support/server.ts";
import { contractFile, readContract } from "./support/contract.ts";
import { openTrial, type Trial } from "./support/trial.ts";

const file = "bos-v2.openapi.yaml";
const skip = existsSync(contractFile(file)) ? false : "the contract's file is not here";

const digests = { sha256: "0".repeat(64), md5: "c".repeat(32), size: 1 };
const image: Image = {
  id: "46a2731e-a1d0-4f98-ba92-4f78c756bb12",
  name: "compute",
  created: "2026-01-01T00:00:00Z",
  ...{ arch: "x86_64", buildId: "build-1", build: "b", layers: [], chain: "", outputs: ["squashfs"], locks: {} },
  ...{ tools: {}, documents: {}, packageSource: undefined, initrd: undefined, recipe: undefined, base: undefined },
  artifacts: { rootfs: digests, manifest: digests, kernel: digests, initrd: digests },
  ...{ kernelParameters: "", epoch: 0, checks: [], commits: [], verdict: "none" },
};
const path = `s3://boot-images/${image.id}/manifest.json`;
const [one, two] = ["x1000c0s0b0n0", "x1000c0s1b0n0"] as const;

interface Wire {
  readonly [member: string]: unknown;
}

describe("bos", { skip }, () => {
  let house: House;
  let app: FastifyInstance;
  let trial: Trial;
  let step: () => Promise<void>;

  before(async () => {
    const data = await makeFolder();
    house = await openHouse(readConfig({ data }, { NETKILN_CONFIG: undefined }));
    app = fastify();
    answerProblems(app);
    const findBootable = (id: string) => house.images.findImage(id);
    registerService(app, bosService({ ...house, findBootable, wake: () => {} }));
    await house.images.publish(image);
    await house.nodes.put(parseNode({ xname: one, nid: 1, groups: ["green"] }));
    await house.nodes.put(parseNode({ xname: two, nid: 2 }));
    const power = openPower({ database: house.db, dataDir: data, doorPort: () => 1 });
    step = () => reconcile({ ...house, power, findImage: findBootable });
    trial = openTrial(app, "/apis/bos", readContract(file));
  });
  after(async () => {
    trial.assertAllTried();
    await app.close();
    await house.db.destroy();
  });

  const params = { session_template_id: "compute" };
  const nowhere = { session_template_id: "none" };
  const template = {
    enable_cfs: true,
    cfs: { configuration: "compute-1.0.0" },
    boot_sets: {
      compute: { type: "s3", path, etag: digests.md5, node_roles_groups: ["Compute"], kernel_parameters: "" },
    },
  };

  test("versions and health", async () => {
    const [version] = await trial.ask<{ major: string }[]>("root_get", 200);
    assert.equal(version?.major, "2");
    assert.deepEqual(await trial.ask("get_v2", 200), version);
    assert.deepEqual(await trial.ask("get_version_v2", 200), version);
    assert.deepEqual(await trial.ask("get_v2_healthz", 200), { dbStatus: "ok", apiStatus: "ok" });
  });

  test("session templates are kept as they are put", async () => {
    const put = await trial.ask("put_v2_sessiontemplate", 200, { params, body: template });
    const shown = {
      name: "compute",
      ...template,
      boot_sets: { compute: { ...template.boot_sets.compute, arch: "X86" } },
      tenant: "",
    };
    assert.deepEqual(put, shown);
    assert.deepEqual(await trial.ask("get_v2_sessiontemplate", 200, { params }), shown);
    assert.deepEqual(await trial.ask("get_v2_sessiontemplates", 200), [shown]);
    await trial.ask("get_v2_sessiontemplate", 404, { params: nowhere });

    const put400 = (body: unknown, more = {}) =>
      trial.ask<Wire>("put_v2_sessiontemplate", 400, { params, body, ...more });
    await put400("{");
    await put400({ ...template, colour: "green" });
    await put400({ ...template, boot_sets: {} });
    await put400({ ...template, name: "other" });
    await put400({ boot_sets: { a: { type: "s3", path } } });
    await put400({ boot_sets: { a: { ...template.boot_sets.compute, name: "b" } } });
    await put400({ boot_sets: { a: { ...template.boot_sets.compute, node_list: [] } } });
    await put400(template, { params: { session_template_id: "-a" } });

    const patched = await trial.ask<typeof shown>("patch_v2_sessiontemplate", 200, {
      params,
      body: { description: "ours", boot_sets: { compute: { type: "s3", path, arch: "ARM" } } },
    });
    assert.deepEqual(patched.boot_sets.compute, { ...shown.boot_sets.compute, arch: "ARM" });
    await trial.ask("patch_v2_sessiontemplate", 400, { params, body: { name: "compute" } });
    await trial.ask("patch_v2_sessiontemplate", 404, { params: nowhere, body: { description: "ours" } });
    await trial.ask("put_v2_sessiontemplate", 200, { params, body: shown });
  });

  test("templates are judged, and there is an example", async () => {
    const judge = async (name: string) =>
      trial.ask<string>("validate_v2_sessiontemplate", 200, { params: { session_template_id: name } });
    assert.equal(await judge("compute"), "Valid");
    const put = async (name: string, set: object) =>
      trial.ask("put_v2_sessiontemplate", 200, {
        params: { session_template_id: name },
        body: { boot_sets: { all: { ...template.boot_sets.compute, ...set } } },
      });
    await put("nids", { node_list: ["nid000001"] });
    assert.equal(await judge("nids"), "Session template: 'nids' boot set: 'all': Has NID in 'node_list'");
    await put("gone", { path: "s3://boot-images/gone/manifest.json" });
    assert.match(await judge("gone"), /^Session template: 'gone' boot set: 'all': Can't find boot artifacts\. Error: /);
    await put("odd", { rootfs_provider: "cpss3", type: "http" });
    assert.match(await judge("odd"), /has type http/);
    await trial.ask("validate_v2_sessiontemplate", 404, { params: nowhere });
    await trial.ask("get_v2_sessiontemplatetemplate", 200);
    await trial.ask("delete_v2_sessiontemplate", 204, { params: { session_template_id: "odd" } });
    await trial.ask("delete_v2_sessiontemplate", 404, { params: { session_template_id: "odd" } });
  });

  test("options", async () => {
    const before = await trial.ask<Wire>("get_v2_options", 200);
    assert.equal(before["max_boot_wait_time"], 1200);
    const body = { max_boot_wait_time: 600, session_limit_required: true, logging_level: "debug" };
    assert.deepEqual(await trial.ask("patch_v2_options", 200, { body }), { ...before, ...body });
    await trial.ask("patch_v2_options", 400, { body: {} });
    await trial.ask("patch_v2_options", 400, { body: { pcs_read_timeout: 1 } });
    await trial.ask("patch_v2_options", 400, { body: { cleanup_completed_session_ttl: "soon" } });
  });

  test("a session: made, followed, saved and removed", async () => {
    const post = { operation: "boot", template_name: "compute" };
    const refuse = (body: unknown, more = {}) => trial.ask<Wire>("post_v2_session", 400, { body, ...more });
    assert.match(String((await refuse(post))["detail"]), /session_limit_required/);
    await trial.ask("patch_v2_options", 200, { body: { session_limit_required: false, reject_nids: true } });
    assert.match(String((await refuse({ ...post, limit: "nid000001" }))["detail"]), /reject_nids/);
    await trial.ask("patch_v2_options", 200, { body: { reject_nids: false } });
    assert.match(String((await refuse({ ...post, template_name: "none" }))["detail"]), /Template Name invalid: none/);
    assert.match(String((await refuse({ ...post, template_name: "gone" }))["detail"]), /there is no image gone/);
    await refuse({ ...post, operation: "burn" });
    await refuse({ ...post, limit: "a,,b" });
    await refuse({ ...post, name: "a b" });
    assert.deepEqual(await trial.ask("get_v2_sessions", 200), [], "nothing was made");

    const made = await trial.ask<Wire>("post_v2_session", 201, { body: { ...post, name: "first", limit: null } });
    assert.deepEqual(
      [made["limit"], made["stage"], made["include_disabled"], made["components"]],
      ["", false, false, ""],
    );
    await trial.ask("post_v2_session", 409, { body: { ...post, name: "first" } });
    const session = { session_id: "first" };
    await step();
    const running = await trial.ask<{ status: Wire }>("get_v2_session", 200, { params: session });
    assert.deepEqual([running.status["status"], running.status["error"]], ["running", null]);
    const status = await trial.ask<{ phases: Wire }>("get_v2_session_status", 200, { params: session });
    assert.equal(status.phases["percent_powering_on"], 100);
    await trial.ask("save_v2_session_status", 200, { params: session });
    const none = { session_id: "none" };
    for (const id of ["get_v2_session", "get_v2_session_status", "save_v2_session_status", "delete_v2_session"]) {
      await trial.ask(id, 404, { params: none });
    }
    await trial.ask("patch_v2_session", 200, { params: session, body: { status: { error: "by hand" } } });
    await trial.ask("patch_v2_session", 400, { params: session, body: { status: { status: "over" } } });
    await trial.ask("patch_v2_session", 404, { params: none, body: {} });
    assert.equal((await trial.ask<Wire[]>("get_v2_sessions", 200, { query: { status: "pending" } })).length, 0);
    assert.equal((await trial.ask<Wire[]>("get_v2_sessions", 200, { query: { max_age: "1d" } })).length, 1);
    assert.equal((await trial.ask<Wire[]>("get_v2_sessions", 200, { query: { min_age: "1d" } })).length, 0);
    await trial.ask("delete_v2_sessions", 204);
    await trial.ask("delete_v2_sessions", 400, { query: { min_age: "old" } });
    assert.equal((await trial.ask<Wire[]>("get_v2_sessions", 200)).length, 1, "it is not complete");
    await trial.ask("delete_v2_session", 204, { params: session });
  });

  test("components", async () => {
    const ids = async (query: Record<string, string>) =>
      (await trial.ask<{ id: string }[]>("get_v2_components", 200, { query })).map(({ id }) => id);
    assert.deepEqual(await ids({}), [one, two]);
    assert.deepEqual(await ids({ page_size: "1" }), [one]);
    assert.deepEqual(await ids({ start_after_id: one, enabled: "False", phase: "", status: "stable,failed" }), [two]);
    await trial.ask("get_v2_components", 400, { query: { phase: "sleeping" } });

    const component = { component_id: one };
    const missing = { component_id: "x9c0s0b0n0" };
    const put = await trial.ask<{ status: Wire }>("put_v2_component", 200, {
      params: component,
      body: { enabled: true },
    });
    assert.equal(put.status["status"], "on_hold");
    await trial.ask("put_v2_component", 400, { params: component, body: {} });
    await trial.ask("put_v2_component", 400, { params: component, body: { status: { status: "stable" } } });
    await trial.ask("get_v2_component", 200, { params: component });
    await trial.ask("get_v2_component", 404, { params: missing });
    await trial.ask("patch_v2_component", 409, { params: component, body: { actual_state: { bss_token: "t" } } });
    await trial.ask("patch_v2_component", 200, { params: component, body: { enabled: false, retry_policy: 3 } });
    await trial.ask("patch_v2_component", 400, { params: component, body: { retry_policy: -1 } });
    await trial.ask("patch_v2_component", 404, { params: missing, body: { error: "x" } });

    await trial.ask("put_v2_components", 200, { body: [{ id: two, session: "s", error: "odd" }] });
    await trial.ask("put_v2_components", 400, { body: [{ error: "odd" }] });
    const list = [
      { id: one, error: "a" },
      { id: missing.component_id, error: "a" },
    ];
    await trial.ask("patch_v2_components", 404, { body: list });
    const skipped = { query: { skip_bad_ids: "true" }, body: list };
    assert.equal((await trial.ask<Wire[]>("patch_v2_components", 200, skipped)).length, 1);
    const patch = { error: "b" };
    await trial.ask("patch_v2_components", 200, { body: { patch, filters: { ids: `${one},${two}`, session: null } } });
    const of = await trial.ask<Wire[]>("patch_v2_components", 200, { body: { patch, filters: { session: "s" } } });
    assert.deepEqual(
      of.map(({ id }) => id),
      [two],
    );
    await trial.ask("patch_v2_components", 400, { body: { patch, filters: { ids: one, session: "s" } } });
    await trial.ask("patch_v2_components", 400, { body: { patch, filters: {} } });
    await trial.ask("delete_v2_component", 204, { params: component });
    await trial.ask("delete_v2_component", 404, { params: missing });
  });

  test("a staged session is applied when it is told to", async () => {
    const body = { name: "later", operation: "boot", template_name: "compute", stage: true };
    await trial.ask("post_v2_session", 201, { body });
    await step();
    const staged = await trial.ask<Wire>("get_v2_session_status", 200, { params: { session_id: "later" } });
    assert.deepEqual([staged["percent_staged"], staged["managed_components_count"]], [100, 2]);
    await trial.ask("post_v2_apply_staged", 400, { body: { xnames: one } });
    const applied = await trial.ask("post_v2_apply_staged", 200, { body: { xnames: [one, "x9c0s0b0n0"] } });
    assert.deepEqual(applied, { succeeded: [one], failed: [], ignored: ["x9c0s0b0n0"] });
    const component = await trial.ask<Record<string, Wire>>("get_v2_component", 200, { params: { component_id: one } });
    assert.equal(component["last_action"]?.["action"], "apply_staged");
  });
});
