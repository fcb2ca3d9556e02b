/** `cray`: JSON with its type, also in the body of a GET; what it prints of a failure is `title: detail`. */
import { after, before, test } from "node:test";
import { plantImage } from "../../../src/image/plant-image.ts";
import { openServed, type Served } from "../support/served.ts";
import { crayHeaders, replay, something, type Call } from "./calls.ts";

let served: Served;
const imageId = "0f8fad5b-d9cb-469f-a165-70867728950e";
before(async () => {
  served = await openServed();
  await served.house.images.publish(plantImage(imageId, "base"));
});
after(() => served.close());

const node = "x3000c0s19b4n0";
const layers = [
  { clone_url: "https://api-gw-service-nmn.local/vcs/cray/a.git", commit: "a".repeat(40), playbook: "site.yml" },
];
const v2Layers = [{ cloneUrl: layers[0]?.clone_url, commit: layers[0]?.commit, playbook: "site.yml" }];

const hsm: readonly Call[] = [
  {
    command: "hsm state components create",
    sends: "POST /apis/smd/hsm/v2/State/Components",
    body: { Components: [{ ID: node, Type: "Node", State: "Off", Role: "Compute", NID: 1 }] },
    status: 204,
  },
  {
    command: "hsm state components list",
    sends: "GET /apis/smd/hsm/v2/State/Components?type=Node&role=Compute",
    status: 200,
    reads: { "Components.0.ID": node },
  },
  {
    command: "hsm state components describe",
    sends: `GET /apis/smd/hsm/v2/State/Components/${node}`,
    status: 200,
    reads: { ID: node, State: "Off" },
  },
  {
    command: "hsm state components enabled update",
    sends: `PATCH /apis/smd/hsm/v2/State/Components/${node}/Enabled`,
    body: { Enabled: true },
    status: 204,
  },
  {
    command: "hsm state components role update",
    sends: `PATCH /apis/smd/hsm/v2/State/Components/${node}/Role`,
    body: { Role: "Application", SubRole: "UAN" },
    status: 200,
  },
  {
    command: "hsm groups create",
    sends: "POST /apis/smd/hsm/v2/groups",
    body: { label: "green", tags: ["a"], members: { ids: [node] } },
    status: 201,
    reads: { "0.URI": "/hsm/v2/groups/green" },
  },
  {
    command: "hsm groups members list",
    sends: "GET /apis/smd/hsm/v2/groups/green/members",
    status: 200,
    reads: { ids: [node] },
  },
  { command: "hsm groups describe (none)", sends: "GET /apis/smd/hsm/v2/groups/none", status: 404 },
  { command: "hsm memberships list", sends: "GET /apis/smd/hsm/v2/memberships", status: 200, reads: { "0.id": node } },
  {
    command: "hsm locks lock create",
    sends: "POST /apis/smd/hsm/v2/locks/lock",
    body: { ComponentIDs: [node] },
    status: 200,
    reads: { "Counts.Success": 1, "Success.ComponentIDs": [node], Failure: [] },
  },
  {
    command: "hsm locks status create",
    sends: "POST /apis/smd/hsm/v2/locks/status",
    body: { ComponentIDs: [node] },
    status: 200,
    reads: { "Components.0.Locked": true },
  },
  {
    command: "hsm locks unlock create",
    sends: "POST /apis/smd/hsm/v2/locks/unlock",
    body: { ComponentIDs: [node] },
    status: 200,
    reads: { "Counts.Failure": 0 },
  },
  {
    command: "hsm inventory ethernetInterfaces list",
    sends: "GET /apis/smd/hsm/v2/Inventory/EthernetInterfaces",
    status: 200,
    reads: { "": [] },
  },
  {
    command: "hsm inventory redfishEndpoints list",
    sends: "GET /apis/smd/hsm/v2/Inventory/RedfishEndpoints",
    status: 200,
    reads: { RedfishEndpoints: [] },
  },
  { command: "hsm service ready list", sends: "GET /apis/smd/hsm/v2/service/ready", status: 200, reads: { code: 0 } },
];

const cfs: readonly Call[] = [
  {
    command: "cfs configurations update (v2)",
    sends: "PUT /apis/cfs/v2/configurations/two",
    body: { layers: v2Layers },
    status: 200,
    reads: { name: "two", layers: v2Layers, lastUpdated: something },
  },
  {
    command: "cfs configurations list (v2)",
    sends: "GET /apis/cfs/v2/configurations",
    status: 200,
    reads: { "0.name": "two" },
  },
  {
    command: "cfs v3 configurations update --file",
    sends: "PUT /apis/cfs/v3/configurations/three",
    body: { layers },
    status: 200,
    reads: { name: "three", layers, last_updated: something },
  },
  {
    command: "cfs v3 configurations list",
    sends: "GET /apis/cfs/v3/configurations?limit=1",
    status: 200,
    reads: { "configurations.0.name": "three", next: { limit: 1, after_id: "three" } },
  },
  {
    command: "cfs v3 configurations list",
    sends: "GET /apis/cfs/v3/configurations?limit=1&after_id=three",
    status: 200,
    reads: { "configurations.0.name": "two" },
  },
  { command: "cfs v3 configurations describe (none)", sends: "GET /apis/cfs/v3/configurations/none", status: 404 },
  {
    ...{
      command: "cfs sessions create",
      sends: "POST /apis/cfs/v2/sessions",
      status: 200,
      reads: {
        ...{ name: "build-image", "configuration.name": "two", "status.session.status": "pending" },
        // Only here: the server begins with it at once.
        ...{ "status.session.succeeded": "none", "status.artifacts": [] },
      },
    },
    body: {
      name: "build-image",
      configurationName: "two",
      target: {
        definition: "image",
        groups: [{ name: "Application", members: [imageId] }],
        image_map: [{ source_id: imageId, result_name: "made" }],
      },
    },
  },
  {
    command: "cfs sessions describe",
    sends: "GET /apis/cfs/v2/sessions/build-image",
    status: 200,
    reads: { name: "build-image", "status.session.succeeded": something, "status.artifacts": something },
  },
  {
    command: "cfs v3 sessions create (name is taken)",
    sends: "POST /apis/cfs/v3/sessions",
    body: { name: "build-image", configuration_name: "two" },
    status: 409,
  },
  {
    ...{ command: "cfs components replace", sends: `PUT /apis/cfs/v2/components/${node}`, status: 200 },
    ...{ body: { enabled: false }, reads: { id: node } },
  },
  {
    command: "cfs components update",
    sends: `PATCH /apis/cfs/v2/components/${node}`,
    body: { desiredConfig: "two", enabled: false },
    status: 200,
    reads: { id: node, desiredConfig: "two" },
  },
  {
    command: "cfs v3 components list",
    sends: `GET /apis/cfs/v3/components?ids=${node}`,
    status: 200,
    reads: { "components.0.desired_config": "two" },
  },
  {
    command: "cfs v3 options list",
    sends: "GET /apis/cfs/v3/options",
    status: 200,
    reads: { batch_size: something, default_page_size: something },
  },
];

const bootSet = {
  kernel_parameters: "quiet",
  node_roles_groups: ["Application"],
  path: `s3://boot-images/${imageId}/manifest.json`,
  type: "s3",
  etag: "e",
  arch: "X86",
};

const bos: readonly Call[] = [
  {
    command: "bos sessiontemplates create --file",
    sends: "PUT /apis/bos/v2/sessiontemplates/t",
    body: { boot_sets: { compute: bootSet }, cfs: { configuration: "two" } },
    status: 200,
    reads: { name: "t", "boot_sets.compute": bootSet },
  },
  {
    command: "bos sessiontemplates list",
    sends: "GET /apis/bos/v2/sessiontemplates",
    status: 200,
    reads: { "0.name": "t" },
  },
  {
    command: "bos sessiontemplatesvalid describe",
    sends: "GET /apis/bos/v2/sessiontemplatesvalid/t",
    status: 200,
    reads: { "": something },
  },
  {
    command: "bos sessiontemplatetemplate list",
    sends: "GET /apis/bos/v2/sessiontemplatetemplate",
    status: 200,
    reads: { boot_sets: something },
  },
  {
    command: "bos sessions create",
    sends: "POST /apis/bos/v2/sessions",
    body: { template_name: "t", operation: "shutdown", limit: node, name: "s" },
    status: 201,
    reads: { name: "s", operation: "shutdown", "status.status": "pending" },
  },
  {
    command: "bos sessions create (again)",
    sends: "POST /apis/bos/v2/sessions",
    body: { template_name: "t", operation: "shutdown", limit: node, name: "s" },
    status: 409,
  },
  {
    command: "bos sessions describe",
    sends: "GET /apis/bos/v2/sessions/s",
    status: 200,
    reads: { template_name: "t" },
  },
  {
    command: "bos sessions status list",
    sends: "GET /apis/bos/v2/sessions/s/status",
    status: 200,
    reads: { status: something, managed_components_count: something, error_summary: something },
  },
  { command: "bos components list", sends: "GET /apis/bos/v2/components", status: 200, reads: { "": something } },
  { command: "bos options list", sends: "GET /apis/bos/v2/options", status: 200, reads: { max_boot_wait_time: 1200 } },
  {
    command: "bos options update",
    sends: "PATCH /apis/bos/v2/options",
    body: { max_boot_wait_time: 1500 },
    status: 200,
    reads: { max_boot_wait_time: 1500 },
  },
  { command: "bos v2 list", sends: "GET /apis/bos/v2", status: 200, reads: { major: "2", minor: something } },
  { command: "bos sessiontemplates delete", sends: "DELETE /apis/bos/v2/sessiontemplates/t", status: 204 },
];

const parameters = "/apis/bss/boot/v1/bootparameters";
const bss: readonly Call[] = [
  {
    command: "bss bootparameters create",
    sends: `POST ${parameters}`,
    body: { hosts: [node], kernel: "s3://boot-images/a/kernel", initrd: "s3://boot-images/a/initrd", params: "quiet" },
    status: 201,
  },
  {
    command: "bss bootparameters list --hosts",
    sends: `GET ${parameters}`,
    body: { hosts: [node] },
    status: 200,
    reads: { "0.hosts": [node], "0.params": "quiet", length: 1 },
  },
  { command: "bss bootparameters list", sends: `GET ${parameters}`, status: 200, reads: { length: 3 } },
  {
    command: "bss bootparameters update",
    sends: `PATCH ${parameters}`,
    body: { hosts: [node], params: "debug" },
    status: 200,
  },
  {
    command: "bss bootparameters replace",
    sends: `PUT ${parameters}`,
    body: { hosts: [node], kernel: "http://s/k", params: "loud" },
    status: 200,
  },
  {
    command: "bss bootscript list",
    sends: `GET /apis/bss/boot/v1/bootscript?name=${node}`,
    status: 200,
    prints: /^#!ipxe\nkernel --name kernel http:\/\/s\/k .*loud/,
  },
  { command: "bss hosts list", sends: "GET /apis/bss/boot/v1/hosts", status: 200, reads: { "0.ID": node } },
  {
    command: "bss dumpstate list",
    sends: "GET /apis/bss/boot/v1/dumpstate",
    status: 200,
    reads: { Components: something, Params: something },
  },
  { command: "bss bootparameters delete --hosts", sends: `DELETE ${parameters}`, body: { hosts: [node] }, status: 200 },
];

const pcs = "/apis/power-control/v1";
const power: readonly Call[] = [
  {
    command: "power transition on",
    sends: `POST ${pcs}/transitions`,
    body: { operation: "on", location: [{ xname: node }] },
    status: 200,
    reads: { transitionID: something },
  },
  {
    command: "power transition list",
    sends: `GET ${pcs}/transitions`,
    status: 200,
    reads: { "transitions.0.transitionStatus": something },
  },
  {
    command: "power status list",
    sends: `GET ${pcs}/power-status?xname=${node}`,
    status: 200,
    reads: { "status.0.xname": node },
  },
  { command: "power cap list", sends: `GET ${pcs}/power-cap`, status: 200, reads: { "": something } },
  {
    command: "power transition describe (none)",
    sends: `GET ${pcs}/transitions/00000000-0000-4000-8000-000000000000`,
    status: 404,
  },
];

for (const [what, calls] of Object.entries({ hsm, cfs, bos, bss, power })) {
  test(`cray: ${what}`, async () => replay(served, calls, crayHeaders));
}
