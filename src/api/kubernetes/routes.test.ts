import assert from "node:assert/strict";
import { after, test } from "node:test";
import fastify from "fastify";
import { migrations as catalogMigrations, openCatalog } from "../../catalog/index.ts";
import {
  migrations as configurationMigrations,
  openConfigurationSessions,
  openConfigurationStore,
} from "../../configuration/index.ts";
import { migrate, openDatabase } from "../../lib/db.ts";
import { parseYaml } from "../../lib/yaml.ts";
import { registerService } from "../service.ts";
import { kubernetesService } from "./routes.ts";

const below = "/api/v1/namespaces/services";
/** As sat asks for the product catalog. */
const catalogSelector = `${below}/configmaps?labelSelector=type%3Dcray-product-catalog`;

async function openApi() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...catalogMigrations, ...configurationMigrations });
  const catalog = openCatalog(db);
  const configurationSessions = openConfigurationSessions(db);
  const app = fastify();
  after(() => app.close());
  registerService(
    app,
    kubernetesService({ catalog, configurationSessions, gitLogin: { username: "git-reader", password: "pass" } }),
  );
  const get = async (url: string) => {
    const answer = await app.inject({ url });
    return { status: answer.statusCode, type: answer.headers["content-type"], body: answer.json() };
  };
  return { get, catalog, configurationSessions, configurations: openConfigurationStore(db) };
}

test("the catalog is in ConfigMaps, the versions of components in one for each product", async () => {
  const { get, catalog } = await openApi();
  const configuration = { clone_url: "https://vcs/vcs/cray/a.git", import_branch: "cray/cos/2.5" };
  const docker = [{ name: "cray/cos", version: "1.10" }];
  await catalog.put(
    { name: "COS_x", version: "2.5", data: { active: true, configuration, component_versions: { docker } } },
    { name: "COS_x", version: "2.10", data: { active: false } },
    { name: "slurm", version: "1e3", data: { note: "on", import_date: "2023-06-01" } },
  );
  const { status, body } = await get(catalogSelector);
  assert.equal(status, 200);
  assert.deepEqual([body.kind, body.apiVersion], ["ConfigMapList", "v1"]);
  assert.deepEqual(
    body.items.map(({ metadata }: { metadata: { name: string } }) => metadata.name),
    ["cray-product-catalog", "cray-product-catalog-cos-x"],
  );
  const [main, own] = body.items;
  assert.deepEqual(parseYaml(main.data["COS_x"], "").value, {
    "2.10": { active: false },
    "2.5": { active: true, configuration },
  });
  assert.equal(main.data["slurm"], '"1e3":\n  "note": "on"\n  "import_date": "2023-06-01"\n');
  assert.deepEqual(Object.keys(own.data), ["COS_x"]);
  assert.deepEqual(parseYaml(own.data["COS_x"], "").value, { "2.5": { component_versions: { docker } } });
  for (const map of body.items) {
    assert.deepEqual((await get(`${below}/configmaps/${map.metadata.name}`)).body, map);
    assert.deepEqual(map.metadata, {
      name: map.metadata.name,
      namespace: "services",
      labels: { type: "cray-product-catalog" },
    });
  }
});

test("without products there is one ConfigMap, which is empty", async () => {
  const { get } = await openApi();
  assert.deepEqual(
    (await get(catalogSelector)).body.items.map(({ data }: { data: object }) => data),
    [{}],
  );
});

test("the secret holds the login for git, and other secrets are not there", async () => {
  const { get } = await openApi();
  const { body } = await get(`${below}/secrets/vcs-user-credentials`);
  assert.deepEqual([body.kind, body.type], ["Secret", "Opaque"]);
  const decoded = (text: string) => Buffer.from(text, "base64").toString();
  assert.deepEqual([decoded(body.data.vcs_username), decoded(body.data.vcs_password)], ["git-reader", "pass"]);
  const missing = await get(`${below}/secrets/admin-client-auth`);
  assert.match(String(missing.type), /^application\/json/);
  assert.deepEqual(missing.body, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: 'secrets "admin-client-auth" not found',
    reason: "NotFound",
    code: 404,
  });
  assert.equal((await get("/api/v1/namespaces/default/secrets/vcs-user-credentials")).status, 404);
  assert.equal((await get(`${below}/secrets`)).status, 404, "secrets are not listed");
});

test("the pod of a session says how far it is", async () => {
  const { get, configurationSessions, configurations } = await openApi();
  const layer = { url: "/r", commit: "0".repeat(40), playbook: "p.yml" };
  await configurations.put("c", { layers: [layer] });
  const image = "5f5415e1-9bd2-4583-9e2f-98218214099f";
  await configurationSessions.create({
    name: "sat-1",
    configuration: "c",
    configurationLimit: "",
    ansible: { config: "cfs-default-ansible-cfg", verbosity: 0 },
    target: { definition: "image", groups: [{ name: "Compute", members: [image] }] },
    tags: {},
    debugOnFailure: false,
  });
  const ask = async () => (await get(`${below}/pods?labelSelector=job-name%3Dcfs-1`)).body;
  assert.deepEqual(await ask(), { apiVersion: "v1", kind: "PodList", metadata: { resourceVersion: "1" }, items: [] });
  await configurationSessions.report("sat-1", { job: "cfs-1", status: "running" });
  const [running] = (await ask()).items;
  assert.deepEqual([running.metadata.name, running.metadata.labels.cfsession], ["cfs-1", "sat-1"]);
  assert.equal(running.status.phase, "Running");
  assert.deepEqual(running.status.initContainerStatuses, []);
  assert.deepEqual(Object.keys(running.status.containerStatuses[0].state), ["running"]);
  await configurationSessions.report("sat-1", { status: "complete", succeeded: "false" });
  const [failed] = (await ask()).items;
  assert.equal(failed.status.phase, "Failed");
  assert.equal(failed.status.containerStatuses[0].state.terminated.exitCode, 1);
  assert.equal((await get(`${below}/pods?labelSelector=job-name%3Dother`)).body.items.length, 0);
  assert.equal((await get(`${below}/pods`)).body.items.length, 1);
});

test("selectors choose, and what is not understood is refused", async () => {
  const { get } = await openApi();
  const count = async (query: string) => (await get(`${below}/configmaps?${query}`)).body.items.length;
  assert.equal(await count("labelSelector=type!%3Dcray-product-catalog"), 0);
  assert.equal(await count("labelSelector=type,!other&limit=500"), 1);
  assert.equal(await count("fieldSelector=metadata.name%3Dcray-product-catalog"), 1);
  assert.equal(await count("fieldSelector=metadata.name%3D%3Dother"), 0);
  assert.equal((await get("/api/v1/namespaces/default/configmaps")).body.items.length, 0);
  for (const bad of ["labelSelector=type+in+(a,b)", "labelSelector=!a%3Db", "watch=true"]) {
    const { status, body } = await get(`${below}/configmaps?${bad}`);
    assert.deepEqual([status, body.kind, body.reason], [400, "Status", "BadRequest"], bad);
  }
});

test("kubectl is told what there is", async () => {
  const { get } = await openApi();
  assert.deepEqual((await get("/api")).body.versions, ["v1"]);
  assert.deepEqual((await get("/apis")).body.groups, []);
  assert.deepEqual(
    (await get("/api/v1")).body.resources.map(({ name, verbs }: { name: string; verbs: string[] }) => [name, ...verbs]),
    [
      ["configmaps", "get", "list"],
      ["secrets", "get"],
      ["pods", "get", "list"],
    ],
  );
});
