/** `ochami bss`, `ochami cloud-init` and `ochami pcs`. */
import { something, type Call } from "../calls.ts";
import { mac, node } from "./ochami-smd.ts";

const emptyCloudInit = { "cloud-init": { "meta-data": null, "user-data": null, "phone-home": { fqdn: "" } } };
const debug = {
  ...{ kernel: "http://172.16.0.254:9000/vmlinuz", initrd: "http://172.16.0.254:9000/initramfs.img" },
  params:
    "nomodeset ro root=live:http://172.16.0.254:9000/debug ip=dhcp ds=nocloud-net;s=http://172.16.0.254:8081/cloud-init",
};
const parameters = "/boot/v1/bootparameters";
const encoded = encodeURIComponent(mac);

export const bss: readonly Call[] = [
  {
    command: "bss boot params set",
    sends: `PUT ${parameters}`,
    body: { macs: [mac], ...debug, ...emptyCloudInit },
    status: 200,
  },
  {
    ...{ command: "bss boot params add", sends: `POST ${parameters}`, status: 201 },
    body: { hosts: ["x1000c0s0b1n0"], nids: [9], ...debug, ...emptyCloudInit },
  },
  {
    ...{ command: "bss boot params get -x", sends: `GET ${parameters}?name=x1000c0s0b1n0`, status: 200 },
    reads: { "0.hosts": ["x1000c0s0b1n0"] },
  },
  { command: "bss boot params get -n", sends: `GET ${parameters}?nid=9`, status: 200, reads: { "0.nids": [9] } },
  {
    ...{ command: "bss boot params delete", sends: `DELETE ${parameters}`, status: 200 },
    body: { hosts: ["x1000c0s0b1n0"], nids: [9], ...emptyCloudInit },
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

export const cloudInit: readonly Call[] = [
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

export const pcs: readonly Call[] = [
  {
    ...{ command: "pcs transition start", sends: "POST /transitions", status: 200 },
    body: { operation: "off", taskDeadlineMinutes: 5, location: [{ xname: node }] },
    reads: { transitionID: something, operation: "Off" },
    keeps: { transition: "transitionID" },
  },
  {
    ...{ command: "pcs transition show", sends: "GET /transitions/{transition}", status: 200 },
    reads: { transitionStatus: something, "tasks.0.xname": node },
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
