/** What sat reads beside the services, with the clients that it reads it with: Kubernetes' for Python, and kubectl. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { send } from "../support/send.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { makeSite, type Site } from "../support/site.ts";

const run = promisify(execFile);

let site: Site;
let server: TestServer;
let proxy: Server;
let kubeconfig: string;

const catalog = `cos:
  2.5.97:
    active: true
    configuration: {clone_url: https://gateway.example.org/vcs/cray/cos.git, import_branch: cray/cos/2.5.97}
    recipes: {compute: {id: 0f3f5b2c-2f0a-4c57-9a53-8f9b7f9d5d11}}
    component_versions:
      docker: [{name: cray/cos, version: "1.10"}]
  2.10: {active: false}
`;

before(async () => {
  site = await makeSite();
  await site.write("config.yaml", `sat: {repositories: {cray/cos: ${join(site.folder, "ansible")}}}\n`);
  await site.write("catalog.yaml", catalog);
  server = await startServer({
    cwd: site.folder,
    args: ["--listen", "127.0.0.1:0", "--config", join(site.folder, "config.yaml")],
  });
  const { secret } = await server.json<{ secret: string }>("tokens", "create", "sat");
  await site.write("token", secret, 0o600);
  const imported = await server.cli("products", "import", "catalog.yaml");
  assert.equal(imported.exitCode, 0, imported.stderr);
  assert.match(
    imported.stderr,
    /warning: cos:2\.5\.97: the recipe compute has the id 0f3f5b2c-.*, which no recipe here/,
  );
  await startGateway();
  const gateway = `https://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const args = ["--gateway", gateway, "--token-file", "token", "--ca-file", "gateway.crt"];
  const refused = await server.cli("kubeconfig", ...args);
  assert.equal(refused.exitCode, 2, "a token file that is named by a relative path");
  const printed = await server.cli("kubeconfig", ...args.with(3, join(site.folder, "token")));
  assert.equal(printed.exitCode, 0, printed.stderr);
  assert.equal(printed.stdout.includes(secret), false, "the token stands in its file alone");
  kubeconfig = join(site.folder, "kubeconfig");
  await site.write("kubeconfig", printed.stdout);
});

after(async () => {
  proxy.closeAllConnections();
  proxy.close();
  await server.stop();
  await site.clear();
});

/** TLS before the server, as a site has it: kubectl sends no token without. */
async function startGateway(): Promise<void> {
  const [key, crt] = [join(site.folder, "gateway.key"), join(site.folder, "gateway.crt")];
  const subject = ["-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1"];
  await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", crt, ...subject]);
  const { hostname, port } = new URL(server.admin ?? "");
  proxy = createServer({ key: await readFile(key), cert: await readFile(crt) }, ({ url, method, headers }, answer) => {
    const onward = request({ hostname, port, path: url, method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(answer);
    });
    onward.on("error", () => answer.destroy()).end();
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
}

/** As sat and its libraries do it; prints JSON. */
const script = `
import json, sys
from kubernetes import client, config
from kubernetes.client.rest import ApiException
from yaml import safe_load
config.load_kube_config(sys.argv[1])
api = client.CoreV1Api()
catalog = {}
for found in api.list_namespaced_config_map("services", label_selector="type=cray-product-catalog").items:
    for product, versions in found.data.items():
        for version, data in safe_load(versions).items():
            catalog.setdefault(product + ":" + version, {}).update(data)
main = api.read_namespaced_config_map("cray-product-catalog", "services")
secret = api.read_namespaced_secret("vcs-user-credentials", "services")
pods = api.list_namespaced_pod("services", label_selector="job-name=" + sys.argv[2])
try:
    api.read_namespaced_secret("admin-client-auth", "default")
    missing = None
except ApiException as error:
    missing = [error.status, json.loads(error.body)["kind"]]
print(json.dumps({
    "catalog": catalog, "main": sorted(main.data), "secret": sorted(secret.data), "missing": missing,
    "pods": [[pod.metadata.name, pod.status.phase, [status.state.running is not None
              for status in pod.status.init_container_statuses + pod.status.container_statuses]]
             for pod in pods.items]}))
`;

interface Read {
  readonly catalog: Readonly<Record<string, object>>;
  readonly main: readonly string[];
  readonly secret: readonly string[];
  readonly missing: readonly [number, string];
  readonly pods: readonly (readonly [string, string, readonly boolean[]])[];
}

async function readAll(job: string): Promise<Read> {
  const { stdout } = await run("/usr/bin/python3", ["-c", script, kubeconfig, job]);
  return JSON.parse(stdout) as Read;
}

test("the Python client reads catalog, git login and pods", async () => {
  const none = await readAll("cfs-1");
  assert.deepEqual(none.catalog, {
    "cos:2.5.97": {
      active: true,
      configuration: {
        clone_url: "https://gateway.example.org/vcs/cray/cos.git",
        import_branch: "cray/cos/2.5.97",
      },
      recipes: { compute: { id: "0f3f5b2c-2f0a-4c57-9a53-8f9b7f9d5d11" } },
      component_versions: { docker: [{ name: "cray/cos", version: "1.10" }] },
    },
    "cos:2.10": { active: false },
  });
  assert.deepEqual(none.main, ["cos"]);
  assert.deepEqual(none.secret, ["vcs_password", "vcs_username"]);
  assert.deepEqual(none.missing, [404, "Status"]);
  assert.deepEqual(none.pods, []);

  const json = async (method: string, path: string, body: object, status: number) => {
    const answer = await server.http(method, `/apis/cfs/v3${path}`, {
      type: "application/json",
      body: JSON.stringify(body),
    });
    assert.equal(answer.status, status, answer.body);
  };
  const layer = { name: "l", clone_url: join(site.folder, "ansible"), playbook: "first.yml", branch: "main" };
  await json("PUT", "/configurations/c", { layers: [layer] }, 200);
  const session = { name: "sat-1", configuration_name: "c", target: { definition: "repo" } };
  await json("POST", "/sessions", session, 201);
  await json("PATCH", "/sessions/sat-1", { status: { session: { status: "running", job: "cfs-1" } } }, 200);
  assert.deepEqual((await readAll("cfs-1")).pods, [["cfs-1", "Running", [true]]]);
});

// Debian's package of it stands in the way of the one that CSM's hosts have, so none is installed for the tests.
const noKubectl = await run("kubectl", ["version", "--client"]).then(
  () => false,
  () => "there is no kubectl here",
);

test("kubectl prints the password, as sat asks it for git", { skip: noKubectl }, async () => {
  const template = "--template={{.data.vcs_password}}";
  const args = ["--kubeconfig", kubeconfig, "get", "secret", "-n", "services", "vcs-user-credentials", template];
  const { stdout } = await run("kubectl", args, { env: { PATH: process.env["PATH"], HOME: site.folder } });
  assert.match(Buffer.from(stdout, "base64").toString(), /^[0-9a-f]{64}$/);
  const list = ["--kubeconfig", kubeconfig, "get", "cm", "-n", "services", "-o", "yaml"];
  await site.write(
    "maps.yaml",
    (await run("kubectl", list, { env: { PATH: process.env["PATH"], HOME: site.folder } })).stdout,
  );
  const taken = await server.json<{ products: { version: string }[] }>("products", "import", "maps.yaml");
  assert.deepEqual(taken.products.map(({ version }) => version).sort(), ["2.10", "2.5.97"]);
});

test("who has no token is told so, in the form that clients of Kubernetes read", async () => {
  const ask = (path: string) => send({ url: server.admin ?? "" }, "GET", path);
  const { status, body } = await ask("/api/v1/namespaces/services/secrets/vcs-user-credentials");
  assert.equal(status, 401);
  const { kind, reason, code } = JSON.parse(body) as Record<string, unknown>;
  assert.deepEqual([kind, reason, code], ["Status", "Unauthorized", 401]);
  for (const path of ["/apis", "/api/v1", "/vcs", "/nothing"]) assert.equal((await ask(path)).status, 401, path);
});

test("versions of products are put, shown and deleted by name", async () => {
  await site.write("slurm.yaml", "recipes: {slurm: {id: nobody}}\nactive: true\n");
  const put = await server.cli("products", "put", "slurm:1.0", "-f", "slurm.yaml");
  assert.equal(put.stdout, "product slurm:1.0 is in the catalog\n");
  assert.equal(put.stderr, "warning: slurm:1.0: the recipe slurm has the id nobody, which no recipe here has\n");
  const described = await server.cli("products", "describe", "slurm:1.0");
  assert.equal(described.stdout, "product: slurm\nversion: 1.0\nactive:  true\nrecipe slurm: nobody\n");
  const listed = await server.cli("products", "list");
  assert.match(listed.stdout, /^slurm:1\.0 +yes +1 +0$/m);
  await site.write("bad.yaml", "active: 1\nimages: []\n");
  const bad = await server.cli("products", "put", "slurm:1.0", "-f", "bad.yaml");
  assert.equal(bad.exitCode, 2);
  assert.match(bad.stderr, /active: .*\n(?:.*\n)*images: /);
  assert.equal((await server.cli("products", "delete", "slurm:1.0")).exitCode, 0);
  assert.equal((await server.cli("products", "describe", "slurm:1.0")).exitCode, 3);
  assert.equal((await server.cli("products", "describe", "slurm")).exitCode, 2);
});

test("without the option there is none of it", async () => {
  const plain = await startServer();
  try {
    for (const path of ["/api/v1", "/api/v1/namespaces/services/configmaps", "/vcs/cray/cos.git/info/refs"]) {
      assert.equal((await plain.http("GET", path)).status, 404, path);
    }
    assert.equal((await plain.http("GET", "/apis/netkiln/v1/products")).status, 200, "the catalog itself is there");
  } finally {
    await plain.stop();
  }
});
