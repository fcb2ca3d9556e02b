/** `ochami discover` and `ochami smd`. */
import { something, type Call } from "../calls.ts";

export const node = "x1000c0s0b0n0";
export const mac = "52:54:00:be:ef:01";
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

export const discovery: readonly Call[] = [
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

export const smd: readonly Call[] = [
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
  { command: "smd group get --tag", sends: "GET /hsm/v2/groups?tag=none", status: 200, reads: { "": [] } },
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
    ...{ command: "smd iface get --ip --net --comp-id --type", status: 200, reads: { "": [] } },
    sends: `GET /hsm/v2/Inventory/EthernetInterfaces?IPAddress=172.16.0.1&Network=NMN&ComponentID=${node}&Type=Node`,
  },
  {
    ...{ command: "smd iface get --older-than --newer-than", status: 200, reads: { "": [] } },
    sends: "GET /hsm/v2/Inventory/EthernetInterfaces?OlderThan=2020-01-01T00:00:00Z&NewerThan=2019-01-01T00:00:00Z",
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
    ...{ command: "smd rfe get (every filter)", status: 200, reads: { RedfishEndpoints: [] } },
    sends:
      "GET /hsm/v2/Inventory/RedfishEndpoints?macaddr=de:ca:fc:0f:fe:02&ipaddress=172.16.0.102&fqdn=bmc" +
      "&type=NodeBMC&uuid=3f1a2ab4-3d6a-4d54-9a5a-0b51cdbbd009",
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

export const removal: readonly Call[] = [
  { command: "(planted)", sends: "POST /hsm/v2/Inventory/RedfishEndpoints", body: endpoint, status: 201 },
  ...[
    "Inventory/ComponentEndpoints",
    "Inventory/EthernetInterfaces",
    "Inventory/RedfishEndpoints",
    "State/Components",
  ].map((one) => ({ command: "smd … delete --all", sends: `DELETE /hsm/v2/${one}`, status: 200, reads: { code: 0 } })),
];
