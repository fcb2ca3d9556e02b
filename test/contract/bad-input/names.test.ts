/** Names that nobody could type again, in every service that makes something of a name. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { everything, plantThings, xname } from "../support/planted.ts";
import { assertProblem, openServed, type Served } from "../support/served.ts";

let served: Served;
before(async () => {
  served = await openServed();
  await plantThings(served);
});
after(() => served.close());

const headers = { "content-type": "application/json" };
/** NUL, a line break, the start of a terminal's command, and one of the second row of control characters. */
const bad = ["a\u0000b", "a\nb", "a\u001b[31m", "a\u0085b", "\u007f"];

const recipe = { recipe_type: "kiwi-ng", linux_distribution: "sles15" };
const layer = {
  name: "l",
  clone_url: "https://vcs.example.org/site.git",
  playbook: "site.yml",
  commit: "a".repeat(40),
};
const source = { clone_url: "https://vcs.example.org/site.git", credentials: { username: "a", password: "b" } };
const bootSet = { path: "s3://boot-images/none/manifest.json", type: "s3", etag: "e", node_groups: ["green"] };
const cloudInit = { file: { content: "#cloud-config\n", encoding: "plain" } };
const session = { name: "s", configuration_name: "compute" };
const spec = (group: object) => ({ definition: "spec", groups: [{ name: "g", members: [xname], ...group }] });

type Making = readonly [method: string, path: string, status: number, body: unknown];

/** What makes something of that name, and how it is refused. */
function makings(name: string): readonly Making[] {
  const inPath = encodeURIComponent(name);
  return [
    ...["v3", "v2"].flatMap((version): Making[] => [
      ["POST", `/apis/ims/${version}/images`, 422, { name }],
      ["POST", `/apis/ims/${version}/recipes`, 422, { name, ...recipe }],
      ["POST", `/apis/ims/${version}/public-keys`, 422, { name, public_key: "ssh-ed25519 AAAA key" }],
    ]),
    ["POST", "/apis/ims/v3/images", 422, { name: "i", metadata: { [name]: "v" } }],
    ["POST", "/apis/ims/v3/images", 422, { name: "i", metadata: { key: name, value: "v" } }],
    ["POST", "/apis/ims/v3/remote-build-nodes", 422, { xname: name }],
    ["PUT", `/apis/cfs/v2/configurations/${inPath}`, 400, { layers: [] }],
    ["PUT", `/apis/cfs/v3/configurations/${inPath}`, 400, { layers: [] }],
    ...Object.keys(layer).map((member): Making => [
      ...(["PUT", "/apis/cfs/v3/configurations/compute", 400] as const),
      { layers: [{ ...layer, [member]: name }] },
    ]),
    ["PUT", "/apis/cfs/v3/configurations/compute", 400, { layers: [{ ...layer, commit: undefined, branch: name }] }],
    ["PUT", `/apis/cfs/v2/components/${inPath}`, 400, { desiredConfig: "" }],
    ["PUT", `/apis/cfs/v3/components/${inPath}`, 400, { desired_config: "" }],
    ["PUT", "/apis/cfs/v3/components", 400, [{ id: name, desired_config: "" }]],
    ["PUT", `/apis/cfs/v3/components/${xname}`, 400, { desired_config: name }],
    ["PATCH", `/apis/cfs/v3/components/${xname}`, 400, { tags: { [name]: "1" } }],
    ["POST", "/apis/cfs/v3/sources", 400, { name, ...source }],
    ["POST", "/apis/cfs/v3/sessions", 400, { ...session, name }],
    ["POST", "/apis/cfs/v3/sessions", 400, { ...session, target: spec({ name }) }],
    ["POST", "/apis/cfs/v3/sessions", 400, { ...session, target: spec({ members: [name] }) }],
    ["PUT", `/apis/bos/v2/sessiontemplates/${inPath}`, 400, { boot_sets: { compute: bootSet } }],
    ["PUT", "/apis/bos/v2/sessiontemplates/compute", 400, { boot_sets: { [name]: bootSet } }],
    ...["node_list", "node_groups", "node_roles_groups"].map((member): Making => [
      ...(["PUT", "/apis/bos/v2/sessiontemplates/compute", 400] as const),
      { boot_sets: { compute: { ...bootSet, [member]: [name] } } },
    ]),
    ["POST", "/apis/bos/v2/sessions", 400, { name, operation: "boot", template_name: "compute" }],
    ["PUT", `/apis/bos/v2/components/${inPath}`, 400, { enabled: false }],
    ["PUT", "/apis/bos/v2/components", 400, [{ id: name, enabled: false }]],
    ["POST", "/hsm/v2/groups", 400, { label: name }],
    ["POST", "/hsm/v2/groups", 400, { label: "other", tags: [name] }],
    ["POST", "/hsm/v2/groups", 400, { label: "other", exclusiveGroup: name }],
    ["POST", "/hsm/v2/partitions", 400, { name }],
    ["POST", "/hsm/v2/groups/green/members", 400, { id: name }],
    ["PUT", "/boot/v1/bootparameters", 400, { hosts: [name], kernel: "http://s/k" }],
    ["POST", "/cloud-init/admin/groups", 422, { name, ...cloudInit }],
    ["PUT", `/cloud-init/admin/groups/${inPath}`, 422, { name, ...cloudInit }],
    ["POST", "/apis/netkiln/v1/tenants", 400, { name }],
    ["PUT", `/apis/netkiln/v1/groups/${inPath}`, 400, []],
  ];
}

test("nothing is called by a name with control characters", async () => {
  const before = await everything(served);
  for (const name of bad) {
    for (const [method, path, status, body] of makings(name)) {
      const what = `${method} ${path} with ${JSON.stringify(body)}`;
      assertProblem(await served.ask(method, path, { body, headers }), status, what);
    }
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("IMS tells the member that is wrong", async () => {
  const { json } = await served.ask("POST", "/apis/ims/v3/images", { body: { name: "a\u0000b" }, headers });
  assert.deepEqual(json.errors, { name: ["Control characters are not allowed."] });
});

test("a list of components' ids can name each of them", async () => {
  const body = [{ id: "x1,x2", desired_config: "" }];
  assertProblem(await served.ask("PUT", "/apis/cfs/v3/components", { body, headers }), 400, "in the body");
  assertProblem(await served.ask("PUT", "/apis/cfs/v3/components/x1,x2", { body: {}, headers }), 400, "in the path");
});

test("a component of HSM is made of nothing less than its state", async () => {
  const before = await everything(served);
  const other = "/hsm/v2/State/Components/x9c0s0b0n0";
  for (const Component of [{}, { ID: "x9c0s0b0n0" }, { State: "" }, { State: null }, { Role: "Compute" }]) {
    const what = JSON.stringify(Component);
    assertProblem(await served.ask("PUT", other, { body: { Component }, headers }), 400, what);
    const body = { Components: [{ ID: "x9c0s0b0n0", ...Component }] };
    assertProblem(await served.ask("POST", "/hsm/v2/State/Components", { body, headers }), 400, what);
  }
  for (const body of [{}, { Component: null }, { Component: [] }, { Component: "x" }, { Force: true }]) {
    assertProblem(await served.ask("PUT", other, { body, headers }), 400, JSON.stringify(body));
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});
