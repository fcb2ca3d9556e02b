/** One of everything, put there as clients do it; and all of it read again. */
import assert from "node:assert/strict";
import type { Served } from "./served.ts";

export const xname = "x1c0s0b0n0";
const layers = [
  { name: "l", clone_url: "https://vcs.example.org/site.git", playbook: "site.yml", commit: "a".repeat(40) },
];
const bootSet = { path: "s3://boot-images/none/manifest.json", type: "s3", etag: "e", node_roles_groups: ["Compute"] };

/** In this order, each has to answer with its status. */
const things: readonly (readonly [method: string, path: string, status: number, body: unknown])[] = [
  [
    "POST",
    "/hsm/v2/State/Components",
    204,
    { Components: [{ ID: xname, Type: "Node", State: "Ready", Role: "Compute" }] },
  ],
  ["POST", "/hsm/v2/groups", 201, { label: "green", members: { ids: [xname] } }],
  ["POST", "/hsm/v2/partitions", 201, { name: "p1", members: { ids: [xname] } }],
  ["POST", "/hsm/v2/Inventory/RedfishEndpoints", 201, { ID: "x1c0s1b0", FQDN: "bmc.example.org" }],
  ["POST", "/hsm/v2/Inventory/EthernetInterfaces", 201, { MACAddress: "02:00:00:00:00:01", ComponentID: xname }],
  ["POST", "/apis/ims/v3/images", 201, { name: "compute" }],
  ["POST", "/apis/ims/v3/public-keys", 201, { name: "key", public_key: "ssh-ed25519 AAAA key" }],
  ["POST", "/apis/ims/v3/recipes", 201, { name: "sles", recipe_type: "kiwi-ng", linux_distribution: "sles15" }],
  ["POST", "/apis/ims/v3/remote-build-nodes", 201, { xname }],
  ["PUT", "/apis/cfs/v3/configurations/compute", 200, { layers }],
  ["PUT", `/apis/cfs/v3/components/${xname}`, 200, { desired_config: "", enabled: false }],
  ["PUT", "/apis/bos/v2/sessiontemplates/compute", 200, { boot_sets: { compute: bootSet } }],
  ["PUT", "/boot/v1/bootparameters", 200, { hosts: [xname], kernel: "http://s/k", params: "quiet" }],
  ["POST", "/cloud-init/admin/groups", 201, { name: "green", file: { content: "#cloud-config\n", encoding: "plain" } }],
  ["POST", "/cloud-init/admin/cluster-defaults", 201, { "cluster-name": "demo" }],
  ["POST", "/apis/netkiln/v1/tenants", 201, { name: "blue" }],
  ["POST", "/apis/netkiln/v1/accounts", 201, { name: "alice", role: "reader", password: "correct horse battery" }],
];

export async function plantThings({ ask }: Served): Promise<void> {
  for (const [method, path, status, body] of things) {
    const answer = await ask(method, path, { body, headers: { "content-type": "application/json" } });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  }
}

const lists = [
  ...["images", "recipes", "public-keys", "jobs", "remote-build-nodes", "deleted/images"].map(
    (one) => `/apis/ims/v3/${one}`,
  ),
  ...["configurations", "sessions", "components", "sources", "options"].map((one) => `/apis/cfs/v3/${one}`),
  ...["sessiontemplates", "sessions", "components", "options"].map((one) => `/apis/bos/v2/${one}`),
  ...["State/Components", "groups", "partitions", "Defaults/NodeMaps", "sysinfo/powermaps"].map(
    (one) => `/hsm/v2/${one}`,
  ),
  ...["RedfishEndpoints", "EthernetInterfaces", "ComponentEndpoints"].map((one) => `/hsm/v2/Inventory/${one}`),
  ...["/hsm/v2/locks/status", "/transitions", "/power-cap", "/boot/v1/bootparameters"],
  ...["/cloud-init/admin/groups", "/cloud-init/admin/cluster-defaults"],
  ...["recipes", "images", "builds", "channels", "templates", "sessions", "nodes", "groups", "products"].map(native),
  ...["tokens", "accounts", "tenants", "bootprep/runs", "configurations"].map(native),
];

function native(name: string): string {
  return `/apis/netkiln/v1/${name}`;
}

/** What stands in every list, by its path. */
export async function everything({ ask }: Served): Promise<Readonly<Record<string, unknown>>> {
  const found: Record<string, unknown> = {};
  for (const path of lists) {
    const { status, json, text } = await ask("GET", path);
    assert.ok(status === 200, `${path}: ${status} ${text}`);
    found[path] = json;
  }
  return found;
}
