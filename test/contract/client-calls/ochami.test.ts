/** `ochami`: no content type with any body, `User-Agent: ochami/…`; any 2xx is success, and what comes is read as JSON. */
import { after, before, test } from "node:test";
import { openServed, type Served } from "../support/served.ts";
import { replay, something, type Call } from "./calls.ts";

let served: Served;
before(async () => {
  served = await openServed({ open_reads: true });
});
after(() => served.close());
const headers = { "user-agent": "ochami/0.7.2" };

const node = "x1000c0s0b0n0";
const mac = "52:54:00:be:ef:01";
const component = { ID: node, Type: "Node", State: "Ready", Enabled: true, Role: "Compute", Arch: "X86", NID: 1 };
const nic = (name: string, last: number) => ({
  ...{ name, description: `Interface 0 for ${name}`, mac: `52:54:00:be:ef:0${last}`, ip: `172.16.0.${last}` },
});
const endpoint = {
  ...{ ID: "x1000c0s0b0", Type: "NodeBMC", Name: "bmc", Hostname: "", Domain: "", FQDN: "", Enabled: true },
  ...{ UUID: "3f1a2ab4-3d6a-4d54-9a5a-0b51cdbbd001", User: "", Password: "", MACAddr: "de:ca:fc:0f:fe:01" },
  ...{ IPAddress: "172.16.0.101", SchemaVersion: 1 },
  Managers: [
    {
      ...{ uri: "https://172.16.0.101/redfish/v1/Managers/x1000c0s0b0", uuid: "3f1a2ab4-3d6a-4d54-9a5a-0b51cdbbd002" },
      ...{ name: "x1000c0s0b0", type: "NodeBMC", description: "", actions: null },
      ethernet_interfaces: [{ ...nic("x1000c0s0b0", 9), mac: "de:ca:fc:0f:fe:01" }],
    },
  ],
  Systems: [
    {
      ...{ uri: `https://172.16.0.101/redfish/v1/Systems/${node}`, uuid: "3f1a2ab4-3d6a-4d54-9a5a-0b51cdbbd003" },
      ...{ name: node, actions: ["On", "ForceOff", "ForceRestart"], ethernet_interfaces: [nic(node, 1)] },
    },
  ],
};
const group = (label: string, ids: string[]) => ({ label, description: "", members: { ids } });

const discovery: readonly Call[] = [
  {
    command: "discover static",
    sends: "POST /hsm/v2/State/Components",
    body: { Components: [component] },
    status: 204,
  },
  {
    ...{ command: "discover static", sends: "POST /hsm/v2/Inventory/RedfishEndpoints", body: endpoint, status: 201 },
    reads: { "0.URI": "/hsm/v2/Inventory/RedfishEndpoints/x1000c0s0b0" },
  },
  { command: "discover static", sends: "POST /hsm/v2/groups", body: group("compute", [node]), status: 201 },
  {
    ...{ command: "discover static --overwrite", sends: `PUT /hsm/v2/State/Components/${node}`, status: 204 },
    body: { Component: component, Force: true },
  },
  {
    ...{ command: "discover static --overwrite", sends: "PATCH /hsm/v2/State/Components/BulkNID", status: 204 },
    body: { Components: [component] },
  },
  { command: "… (there already)", sends: "POST /hsm/v2/Inventory/RedfishEndpoints", body: endpoint, status: 409 },
  { command: "… (so again)", sends: "PUT /hsm/v2/Inventory/RedfishEndpoints/x1000c0s0b0", body: endpoint, status: 200 },
  { command: "… (there already)", sends: "POST /hsm/v2/groups", body: group("compute", [node]), status: 409 },
  { command: "… (so again)", sends: "PATCH /hsm/v2/groups/compute", body: group("compute", [node]), status: 204 },
];

const smd: readonly Call[] = [
  {
    ...{ command: "smd component get", sends: "GET /hsm/v2/State/Components", status: 200 },
    reads: { "Components.0.ID": something },
  },
  {
    ...{ command: "smd component get -x", sends: `GET /hsm/v2/State/Components/${node}`, status: 200 },
    reads: { ID: node, Type: "Node", NID: 1, Role: "Compute", Arch: "X86", Enabled: true },
  },
  {
    ...{ command: "smd component get -n", sends: "GET /hsm/v2/State/Components/ByNID/1", status: 200 },
    reads: { ID: node },
  },
  {
    command: "smd component add",
    sends: "POST /hsm/v2/State/Components",
    body: { Components: [{ ...component, ID: "x1000c0s0b1n0", NID: 2 }] },
    status: 204,
  },
  { command: "smd component delete", sends: "DELETE /hsm/v2/State/Components/x1000c0s0b1n0", status: 200 },
  { command: "smd group get", sends: "GET /hsm/v2/groups", status: 200, reads: { "0.label": "compute" } },
  {
    ...{ command: "smd group get --name", sends: "GET /hsm/v2/groups?group=compute", status: 200 },
    reads: { "0.members.ids": [node] },
  },
  {
    command: "smd group add",
    sends: "POST /hsm/v2/groups",
    body: { label: "gpu", description: "with GPUs" },
    status: 201,
  },
  {
    command: "smd group update",
    sends: "PATCH /hsm/v2/groups/gpu",
    body: { label: "gpu", description: "other" },
    status: 204,
  },
  { command: "smd group member add", sends: "POST /hsm/v2/groups/gpu/members", body: { id: node }, status: 201 },
  { command: "smd group member get", sends: "GET /hsm/v2/groups/gpu/members", status: 200, reads: { ids: [node] } },
  {
    command: "smd group member set",
    sends: "PUT /hsm/v2/groups/gpu/members",
    body: { group: "gpu", ids: [node] },
    status: 201,
  },
  {
    command: "smd group member set (0.7)",
    sends: "PUT /hsm/v2/groups/gpu/members",
    body: { label: "gpu", ids: [node] },
    status: 201,
  },
  {
    ...{ command: "smd group membership", sends: `GET /hsm/v2/memberships?id=${node}`, status: 200 },
    reads: { "0.id": node, "0.groupLabels": ["compute", "gpu"] },
  },
  { command: "smd group member delete", sends: `DELETE /hsm/v2/groups/gpu/members/${node}`, status: 200 },
  { command: "smd group delete", sends: "DELETE /hsm/v2/groups/gpu", status: 200 },
  {
    ...{ command: "smd iface get", sends: "GET /hsm/v2/Inventory/EthernetInterfaces", status: 200 },
    reads: { "0.ID": something, "0.MACAddress": something, "0.ComponentID": something },
  },
  {
    ...{ command: "smd iface get --mac", status: 200 },
    sends: "GET /hsm/v2/Inventory/EthernetInterfaces?MACAddress=52%3A54%3A00%3Abe%3Aef%3A01",
    reads: { "0.ComponentID": node, "0.IPAddresses.0.IPAddress": "172.16.0.1", length: 1 },
  },
  {
    ...{ command: "smd iface add", sends: "POST /hsm/v2/Inventory/EthernetInterfaces", status: 201 },
    body: { MACAddress: "52:54:00:be:ef:07", ComponentID: node, Type: "Node", Description: "", IPAddresses: [] },
  },
  { command: "smd iface delete", sends: "DELETE /hsm/v2/Inventory/EthernetInterfaces/525400beef07", status: 200 },
  {
    ...{ command: "smd rfe get", sends: "GET /hsm/v2/Inventory/RedfishEndpoints?id=x1000c0s0b0", status: 200 },
    reads: { "RedfishEndpoints.0.ID": "x1000c0s0b0" },
  },
  {
    ...{ command: "smd compep get", sends: "GET /hsm/v2/Inventory/ComponentEndpoints", status: 200 },
    reads: { "ComponentEndpoints.length": 2 },
  },
  {
    command: "smd compep get X",
    sends: `GET /hsm/v2/Inventory/ComponentEndpoints/${node}`,
    status: 200,
    reads: { ID: node },
  },
  { command: "smd compep delete", sends: `DELETE /hsm/v2/Inventory/ComponentEndpoints/${node}`, status: 200 },
  { command: "smd rfe delete", sends: "DELETE /hsm/v2/Inventory/RedfishEndpoints/x1000c0s0b0", status: 200 },
  {
    command: "smd service status",
    sends: "GET /hsm/v2/service/ready",
    status: 200,
    reads: { code: 0, message: something },
  },
  { command: "smd service status --all", sends: "GET /hsm/v2/service/values", status: 200, reads: { "": something } },
];

const emptyCloudInit = { "cloud-init": { "meta-data": null, "user-data": null, "phone-home": { fqdn: "" } } };
const debug = {
  ...{ kernel: "http://172.16.0.254:9000/vmlinuz", initrd: "http://172.16.0.254:9000/initramfs.img" },
  params:
    "nomodeset ro root=live:http://172.16.0.254:9000/debug ip=dhcp ds=nocloud-net;s=http://172.16.0.254:8081/cloud-init",
};
const parameters = "/boot/v1/bootparameters";
const encoded = encodeURIComponent(mac);

const bss: readonly Call[] = [
  {
    command: "bss boot params set",
    sends: `PUT ${parameters}`,
    body: { macs: [mac], ...debug, ...emptyCloudInit },
    status: 200,
  },
  {
    command: "bss boot params add (there already)",
    sends: `POST ${parameters}`,
    body: { macs: [mac], ...debug, ...emptyCloudInit },
    status: 400,
  },
  {
    ...{
      command: "bss boot params get -m -m",
      sends: `GET ${parameters}?mac=${encoded}&mac=52%3A54%3A00%3Abe%3Aef%3A02`,
      status: 200,
    },
    reads: { "0.macs": [mac], "0.kernel": debug.kernel, "0.params": debug.params, length: 1 },
  },
  { command: "bss boot params get", sends: `GET ${parameters}`, status: 200, reads: { length: 1 } },
  { command: "bss boot params get -x (none)", sends: `GET ${parameters}?name=x9c9s9b9n9`, status: 404 },
  {
    command: "bss boot params update",
    sends: `PATCH ${parameters}`,
    body: { macs: [mac], params: "quiet", ...emptyCloudInit },
    status: 200,
  },
  {
    command: "bss boot script get -m",
    sends: `GET /boot/v1/bootscript?mac=${encoded}`,
    status: 200,
    prints: /^#!ipxe\nkernel --name kernel http:\S+ initrd=initrd quiet /,
  },
  {
    command: "bss boot script get -x",
    sends: `GET /boot/v1/bootscript?name=${node}&arch=x86_64&retry=1&ts=1`,
    status: 200,
    prints: /retry=2\n$/,
  },
  { command: "bss boot script get -n", sends: "GET /boot/v1/bootscript?nid=1", status: 200, prints: /^#!ipxe\n/ },
  { command: "bss hosts get", sends: `GET /boot/v1/hosts?name=${node}`, status: 200, reads: { "0.ID": node } },
  {
    command: "bss dumpstate",
    sends: "GET /boot/v1/dumpstate",
    status: 200,
    reads: { Components: something, Params: something },
  },
  {
    command: "bss history",
    sends: `GET /boot/v1/endpoint-history?name=${node}&endpoint=bootscript`,
    status: 200,
    reads: { "0.name": node },
  },
  ...["status", "status/all", "storage/status", "hsm", "version"].map((one) => ({
    ...{ command: `bss service ${one}`, sends: `GET /boot/v1/service/${one}`, status: 200, reads: { "": something } },
  })),
  {
    command: "bss boot params delete",
    sends: `DELETE ${parameters}`,
    body: { macs: [mac], ...emptyCloudInit },
    status: 200,
  },
];

const file = { content: "IyMgdGVtcGxhdGU6IGppbmphCiNjbG91ZC1jb25maWcK", encoding: "base64" };
const groupData = { name: "compute", description: "compute nodes", "meta-data": { syslog: "10.0.0.1" }, file };
const admin = "/cloud-init/admin";

const cloudInit: readonly Call[] = [
  {
    ...{ command: "cloud-init defaults set", sends: `POST ${admin}/cluster-defaults`, status: 201 },
    body: {
      "base-url": "http://172.16.0.254:8081/cloud-init",
      "cluster-name": "demo",
      "nid-length": 2,
      "public-keys": ["ssh-rsa A"],
      "short-name": "de",
    },
  },
  {
    command: "cloud-init defaults get",
    sends: `GET ${admin}/cluster-defaults`,
    status: 200,
    reads: { "cluster-name": "demo", "nid-length": 2 },
  },
  { command: "cloud-init group add", sends: `POST ${admin}/groups`, body: groupData, status: 201 },
  { command: "cloud-init group add (again)", sends: `POST ${admin}/groups`, body: groupData, status: 409 },
  { command: "cloud-init group set", sends: `PUT ${admin}/groups/compute`, body: groupData, status: 201 },
  {
    command: "cloud-init group get raw",
    sends: `GET ${admin}/groups`,
    status: 200,
    reads: { "compute.name": "compute", "compute.file.encoding": "base64" },
  },
  {
    command: "cloud-init group get config G",
    sends: `GET ${admin}/groups/compute`,
    status: 200,
    reads: { "file.content": file.content },
  },
  {
    command: "cloud-init node set",
    sends: `PUT ${admin}/instance-info/${node}`,
    body: { id: node, "local-hostname": "first" },
    status: 201,
  },
  {
    command: "cloud-init node get meta-data",
    sends: `GET ${admin}/impersonation/${node}/meta-data`,
    status: 200,
    prints: /"local-hostname": "first"\n[\s\S]*"instance_data":/,
  },
  {
    command: "cloud-init node get user-data",
    sends: `GET ${admin}/impersonation/${node}/user-data`,
    status: 200,
    prints: /^#cloud-config/,
  },
  {
    command: "cloud-init node get vendor-data",
    sends: `GET ${admin}/impersonation/${node}/vendor-data`,
    status: 200,
    prints: /^#include\nhttp:\S+\/compute\.yaml/,
  },
  {
    command: "cloud-init node group",
    sends: `GET ${admin}/impersonation/${node}/compute.yaml`,
    status: 200,
    prints: /^## template: jinja\n#cloud-config/,
  },
  { command: "cloud-init group delete", sends: `DELETE ${admin}/groups/compute`, status: 200 },
  { command: "cloud-init service version", sends: "GET /cloud-init/version", status: 200, reads: { "": something } },
  {
    command: "cloud-init service status --api",
    sends: "GET /cloud-init/openapi.json",
    status: 200,
    reads: { paths: something },
  },
];

const pcs: readonly Call[] = [
  {
    ...{ command: "pcs transition start", sends: "POST /transitions", status: 200 },
    body: { operation: "off", taskDeadlineMinutes: 5, location: [{ xname: node }] },
    reads: { transitionID: something, operation: "Off" },
  },
  {
    command: "pcs transition list",
    sends: "GET /transitions",
    status: 200,
    reads: { "transitions.0.transitionID": something, "transitions.0.taskCounts.total": 1 },
  },
  {
    command: "pcs transition show (none)",
    sends: "GET /transitions/00000000-0000-4000-8000-000000000000",
    status: 404,
  },
  {
    command: "pcs transition abort (none)",
    sends: "DELETE /transitions/00000000-0000-4000-8000-000000000000",
    status: 404,
  },
  {
    command: "pcs status list",
    sends: "GET /power-status?managementStateFilter=&powerStateFilter=",
    status: 200,
    reads: { status: something },
  },
  {
    command: "pcs status show",
    sends: `GET /power-status?xname=${node}`,
    status: 200,
    reads: { "status.0.xname": node, "status.0.powerState": something },
  },
  { command: "pcs service status", sends: "GET /health", status: 200, reads: { KvStore: something } },
  { command: "pcs service status", sends: "GET /liveness", status: 204 },
  { command: "pcs service status", sends: "GET /readiness", status: 204 },
];

for (const [what, calls] of Object.entries({ discovery, smd, bss, cloudInit, pcs })) {
  test(`ochami: ${what}`, async () => replay(served, calls, headers));
}

test("ochami reads without a token what its source sends none with", async () => {
  const bare = { ...served, ask: served.askAt.bind(undefined, served.admin) };
  const sendsNone = [
    ...["State/Components", "Inventory/EthernetInterfaces", "service/ready", "service/values"].map(
      (one) => `/hsm/v2/${one}`,
    ),
    ...["hosts", "endpoint-history", "service/status", "service/version", "service/status/all"].map(
      (one) => `/boot/v1/${one}`,
    ),
    ...["/health", "/cloud-init/version", "/cloud-init/openapi.json"],
  ];
  const calls = sendsNone.map((path) => ({ command: path, sends: `GET ${path}`, status: 200 }));
  await replay(bare, calls, headers);
});
