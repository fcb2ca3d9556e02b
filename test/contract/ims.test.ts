/** The Image Management Service against its contract. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import fastify, { type FastifyInstance } from "fastify";
import { localCaller } from "../../src/access/index.ts";
import { imsService } from "../../src/api/csm/ims/routes.ts";
import { setCaller } from "../../src/api/principal.ts";
import { answerProblems } from "../../src/api/problem.ts";
import { registerService } from "../../src/api/service.ts";
import type { Image } from "../../src/image/index.ts";
import { readConfig } from "../../src/server/config.ts";
import { lifecycleParts } from "../../src/server/lifecycle/index.ts";
import { openHouse, type House } from "../../src/server/open.ts";
import { parseTemplate } from "../../src/orchestration/index.ts";
import { makeFolder } from "../support/server.ts";
import { contractFile, readContract } from "./support/contract.ts";
import { openTrial, type Trial } from "./support/trial.ts";

const skip = existsSync(contractFile("ims-v3.openapi.yaml")) ? false : "the contract's file is not here";

const digests = { sha256: "0".repeat(64), md5: "c".repeat(32), size: 1 };
const ours: Image = {
  id: "46a2731e-a1d0-4f98-ba92-4f78c756bb12",
  name: "compute",
  created: "2026-01-01T00:00:00Z",
  ...{ arch: "x86_64", buildId: "a", build: "b", layers: [], chain: "", outputs: ["squashfs"], locks: {}, tools: {} },
  ...{ documents: {}, artifacts: { rootfs: digests, manifest: digests }, packageSource: undefined, initrd: undefined },
  ...{ kernelParameters: "", epoch: 0, recipe: undefined, base: undefined, checks: [], commits: [], verdict: "none" },
};
const gone = "00000000-0000-4000-8000-000000000000";

interface Made {
  readonly id: string;
  readonly [member: string]: unknown;
}

describe("ims", { skip }, () => {
  let house: House;
  let app: FastifyInstance;
  let trial: Trial;

  before(async () => {
    house = await openHouse(readConfig({ data: await makeFolder() }, { NETKILN_CONFIG: undefined }));
    app = fastify();
    answerProblems(app);
    app.addHook("onRequest", async (request) => setCaller(request, localCaller));
    registerService(app, imsService({ ...house, lifecycle: lifecycleParts(house) }));
    await house.images.publish(ours);
    trial = openTrial(app, "/apis/ims", readContract("ims-v3.openapi.yaml"));
  });
  after(async () => {
    await app.close();
    await house.db.destroy();
  });

  for (const version of ["v3", "v2"] as const) {
    test(`${version}: images`, async () => {
      const post = `post_${version}_image`;
      const patch = `patch_${version}_image`;
      const params = { image_id: ours.id };
      const found = await trial.ask<Made>(`get_${version}_image`, 200, { params });
      assert.deepEqual(found, {
        ...{ id: ours.id, created: ours.created, name: "compute", arch: "x86_64", metadata: {} },
        link: { path: `s3://boot-images/${ours.id}/manifest.json`, etag: digests.md5, type: "s3" },
      });
      await trial.ask(`get_${version}_image`, 404, { params: { image_id: gone } });
      assert.equal((await trial.ask<Made[]>(`get_all_${version}_images`, 200)).length, 1);

      const body = { name: "uan", arch: "aarch64", metadata: { key: "site", value: "one" } };
      const made = await trial.ask<Made>(post, 201, { body });
      assert.deepEqual([made["arch"], made["metadata"], made["link"]], ["aarch64", { site: "one" }, undefined]);
      const link = { path: "s3://elsewhere/uan/manifest.json", etag: "e-1", type: "s3" };
      const linked = await trial.ask<Made>(post, 201, { body: { name: "uan", link } });
      assert.deepEqual(linked["link"], link);
      await trial.ask(post, 422, { body: { name: "uan", link } });
      await trial.ask(post, 422, { body: { name: "x", link: { path: found["link"], type: "s3" } } });
      const missing = { path: `s3://boot-images/${gone}/manifest.json`, type: "s3" };
      const problem = await trial.ask<Made>(post, 422, { body: { name: "x", link: missing } });
      assert.deepEqual(problem["errors"], { link: [`there is no file ${missing.path}`] });
      const wrong = await trial.ask<Made>(post, 422, { body: { arch: "vax", more: 1 } });
      assert.deepEqual(wrong["errors"], {
        name: ["Missing data for required field."],
        arch: ["Must be one of: x86_64, aarch64."],
        more: ["Unknown field."],
      });
      assert.match(String((await trial.ask<Made>(post, 400, { body: {} }))["detail"]), /^No input provided\. /);
      await trial.ask(post, 400);
      await trial.ask(post, 400, { body: "{" });

      const own = { image_id: made.id };
      const set = { metadata: { operation: "set", key: "sbps-project", value: "true" } };
      const patched = await trial.ask<Made>(patch, 200, { params: own, body: { ...set, arch: "x86_64" } });
      assert.deepEqual([patched["arch"], patched["metadata"]], ["x86_64", { site: "one", "sbps-project": "true" }]);
      const remove = { metadata: { operation: "remove", key: "site" } };
      const left = await trial.ask<Made>(patch, 200, { params: own, body: remove });
      assert.deepEqual(left["metadata"], { "sbps-project": "true" });
      const given = { link: { ...link, path: "s3://elsewhere/other/manifest.json" } };
      await trial.ask(patch, 200, { params: own, body: given });
      await trial.ask(patch, 200, { params: own, body: given });
      await trial.ask(patch, 409, { params: own, body: { link } });
      await trial.ask(patch, 404, { params: { image_id: gone }, body: set });
      await trial.ask(patch, 422, { params: own, body: { name: "new" } });

      await trial.ask(`delete_${version}_image`, 204, { params: own });
      await trial.ask(`delete_${version}_image`, 404, { params: own });
      await trial.ask(`delete_all_${version}_images`, 204);
      assert.deepEqual(await trial.ask(`get_all_${version}_images`, 200), []);
      await house.images.undeleteImage(ours.id);
    });

    test(`${version}: recipes`, async () => {
      const post = version === "v3" ? "post_v3_recipes" : "post_v3_recipe";
      const patch = `patch_${version}_recipe`;
      const body = { name: "barebones", recipe_type: "kiwi-ng", linux_distribution: "sles15" };
      const template_dictionary = [{ key: "CSM", value: "1.6" }];
      const made = await trial.ask<Made>(post, 201, { body: { ...body, template_dictionary } });
      assert.deepEqual(made["template_dictionary"], template_dictionary);
      assert.deepEqual([made["require_dkms"], made["arch"]], [true, "x86_64"]);
      await trial.ask(post, 201, { body });
      await trial.ask(post, 400, { body: {} });
      const wrong = await trial.ask<Made>(post, 422, { body: { ...body, linux_distribution: "debian" } });
      assert.deepEqual(Object.keys(wrong["errors"] as object), ["linux_distribution"]);
      const params = { recipe_id: made.id };
      assert.deepEqual(await trial.ask(`get_${version}_recipe`, 200, { params }), made);
      await trial.ask(`get_${version}_recipe`, 404, { params: { recipe_id: gone } });
      const change = { require_dkms: false, arch: "aarch64", template_dictionary: [{ key: "A", value: "b" }] };
      const changed = await trial.ask<Made>(patch, 200, { params, body: change });
      assert.deepEqual(changed, { ...made, ...change });
      await trial.ask(patch, 404, { params: { recipe_id: gone }, body: change });
      await trial.ask(patch, 422, { params, body: { name: "new" } });
      assert.equal((await trial.ask<Made[]>(`get_all_${version}_recipes`, 200)).length, 2);
      await trial.ask(`delete_${version}_recipe`, 204, { params });
      await trial.ask(`delete_${version}_recipe`, 404, { params });
      await trial.ask(`delete_all_${version}_recipes`, 204);
    });

    test(`${version}: public keys`, async () => {
      const body = { name: "Eric's key", public_key: "ssh-ed25519 AAAA eric" };
      const made = await trial.ask<Made>(`post_${version}_public_key`, 201, { body });
      const params = { public_key_id: made.id };
      assert.deepEqual(await trial.ask(`get_${version}_public_key`, 200, { params }), made);
      await trial.ask(`post_${version}_public_key`, 422, { body: { name: "x" } });
      await trial.ask(`get_${version}_public_key`, 404, { params: { public_key_id: gone } });
      assert.deepEqual(await trial.ask(`get_all_${version}_public_keys`, 200), [made]);
      await trial.ask(`delete_${version}_public_key`, 204, { params });
      await trial.ask(`delete_${version}_public_key`, 404, { params });
      await trial.ask(`delete_all_${version}_public_keys`, 204);
    });

    test(`${version}: jobs`, async () => {
      const key = await house.sshKeys.add({ name: "key", publicKey: "ssh-ed25519 AAAA" });
      const post = `post_${version}_job`;
      const body = {
        ...{ job_type: "customize", artifact_id: ours.id, public_key_id: key.id, image_root_archive_name: "own" },
        ssh_containers: [{ name: "session", jail: true }],
      };
      const made = await trial.ask<Made>(post, 201, { body });
      assert.deepEqual([made["status"], made["build_env_size"], made["kernel_file_name"]], ["creating", 60, "vmlinuz"]);
      const refused = async (change: object) =>
        (await trial.ask<Made>(post, 422, { body: { ...body, ...change } }))["errors"];
      assert.deepEqual(await refused({ artifact_id: gone }), { artifact_id: [`there is no image ${gone}`] });
      assert.deepEqual(await refused({ public_key_id: gone }), { public_key_id: [`there is no public key ${gone}`] });
      assert.deepEqual(await refused({ kernel: "x" }), { kernel: ["Unknown field."] });
      await trial.ask(post, 400, {
        body: { ...body, ssh_containers: [...body.ssh_containers, ...body.ssh_containers] },
      });
      const params = { job_id: made.id };
      assert.deepEqual(await trial.ask(`get_${version}_job`, 200, { params }), made);
      await trial.ask(`get_${version}_job`, 404, { params: { job_id: gone } });
      const patch = { status: "success", resultant_image_id: ours.id };
      const ended = await trial.ask<Made>(`patch_${version}_job`, 200, { params, body: patch });
      assert.deepEqual(ended, { ...made, ...patch });
      await trial.ask(`patch_${version}_job`, 422, { params, body: { status: "done" } });
      await trial.ask(`patch_${version}_job`, 404, { params: { job_id: gone }, body: patch });
      const all = `delete_all_${version}_jobs`;
      const count = async () => (await trial.ask<Made[]>(`get_all_${version}_jobs`, 200)).length;
      for (const query of [{ status: "error" }, { job_type: "create" }, { age: "1h" }]) {
        await trial.ask(all, 204, { query });
        assert.equal(await count(), 1);
      }
      await trial.ask(all, 204, { query: { status: "error,success", job_type: "customize" } });
      assert.equal(await count(), 0);
      const { id } = await trial.ask<Made>(post, 201, { body });
      await trial.ask(`delete_${version}_job`, 204, { params: { job_id: id } });
      await trial.ask(`delete_${version}_job`, 404, { params: { job_id: id } });
      await house.sshKeys.delete(key.id);
    });
  }

  test("what is deleted comes back, or goes for good", async () => {
    const make = {
      image: { body: { name: "x" }, post: "post_v3_image", all: "images", parameter: "deleted_image_id" },
      recipe: {
        body: { name: "x", recipe_type: "packer", linux_distribution: "sles12" },
        ...{ post: "post_v3_recipes", all: "recipes", parameter: "recipe_id" },
      },
      public_key: {
        body: { name: "x", public_key: "y" },
        ...{ post: "post_v3_public_key", all: "public_keys", parameter: "deleted_public_key_id" },
      },
    };
    for (const [kind, { body, post, all, parameter }] of Object.entries(make)) {
      await trial.ask(`delete_all_v3_deleted_${all}`, 204);
      const made = await trial.ask<Made>(post, 201, { body });
      const params = { [`${kind}_id`]: made.id, [parameter]: made.id };
      const undelete = { operation: "undelete" };
      const ask = (word: string, status: number, sent: object = {}) =>
        trial.ask<Made>(`${word}_v3_deleted_${kind}`, status, { params, ...sent });
      await ask("get", 404);
      await ask("delete", 404);
      await ask("patch", 404, { body: undelete });
      await trial.ask(`delete_v3_${kind}`, 204, { params });
      await trial.ask(`get_v3_${kind}`, 404, { params });
      const { deleted, ...rest } = await ask("get", 200);
      assert.match(String(deleted), /^\d{4}-/);
      assert.deepEqual(rest, made);
      assert.equal((await trial.ask<Made[]>(`get_all_v3_deleted_${all}`, 200)).length, 1);
      await ask("patch", 422, { body: { operation: "forget" } });
      await ask("patch", 204, { body: undelete });
      assert.deepEqual(await trial.ask(`get_v3_${kind}`, 200, { params }), made);
      await trial.ask(`delete_v3_${kind}`, 204, { params });
      await trial.ask(`patch_all_v3_deleted_${all}`, 400, { body: {} });
      await trial.ask(`patch_all_v3_deleted_${all}`, 204, { body: undelete });
      await trial.ask(`delete_v3_${kind}`, 204, { params });
      await ask("delete", 204);
      assert.deepEqual(await trial.ask(`get_all_v3_deleted_${all}`, 200), []);
    }
  });

  test("remote build nodes, version and health", async () => {
    const body = { xname: "x3000c0s19b4n0" };
    const params = { remote_build_node_xname: body.xname };
    assert.deepEqual(await trial.ask("post_v3_remote_build_node", 201, { body }), body);
    await trial.ask("post_v3_remote_build_node", 201, { body });
    await trial.ask("post_v3_remote_build_node", 422, { body: { name: "x" } });
    assert.deepEqual(await trial.ask("get_all_v3_remote_build_nodes", 200), [body]);
    assert.deepEqual(await trial.ask("get_v3_remote_build_node", 200, { params }), body);
    await trial.ask("get_v3_remote_build_node", 404, { params: { remote_build_node_xname: "x9" } });
    const status = {
      ...{ ableToRunJobs: false, nodeArch: "Unknown", numCurrentJobs: -1, podmanStatus: "Unknown" },
      ...{ sshStatus: "Unknown", ...body },
    };
    assert.deepEqual(await trial.ask("get_all_v3_remote_build_status", 200), [status]);
    const one = await app.inject({ url: `/apis/ims/v3/remote-build-nodes/status/${body.xname}` });
    assert.deepEqual(one.json(), status);
    await trial.ask("delete_v3_remote_build_node", 204, { params });
    await trial.ask("delete_v3_remote_build_node", 404, { params });
    await trial.ask("delete_all_v3_remote_build_nodes", 204);
    assert.equal(await trial.ask("getVersion", 200), "3.33.0");
    await trial.ask("get_healthz_ready", 200);
    await trial.ask("get_healthz_live", 200);
  });

  test("paths without a version are those of v2", async () => {
    for (const path of ["images", "recipes", "public-keys", "jobs", "remote-build-nodes"]) {
      const answer = await app.inject({ url: `/apis/ims/${path}` });
      assert.ok(answer.statusCode === 200 && Array.isArray(answer.json()), path);
    }
    const found = await app.inject({ url: `/apis/ims/images/${ours.id}` });
    assert.deepEqual(found.json(), await trial.ask("get_v2_image", 200, { params: { image_id: ours.id } }));
  });

  test("an image that a session template names stays", async () => {
    const boot_sets = {
      all: { type: "s3", path: `s3://boot-images/${ours.id}/manifest.json`, node_list: ["x1c0s0b0n0"] },
    };
    await house.sessions.putTemplate(parseTemplate({ name: "compute", boot_sets }));
    const url = `/apis/ims/v3/images`;
    for (const path of [url, `${url}/${ours.id}`]) {
      const refused = await app.inject({ method: "DELETE", url: path });
      assert.equal(refused.statusCode, 409);
      assert.match(refused.json<{ detail: string }>().detail, /the session template compute names it/);
    }
    await trial.ask("get_v3_image", 200, { params: { image_id: ours.id } });
  });

  test("every operation was tried, with a request that works and with one that does not", () => trial.assertAllTried());
});
