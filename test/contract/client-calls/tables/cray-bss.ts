/** `cray bss` and `cray power`. */
import { something, type Call } from "../calls.ts";
import { node } from "./cray-hsm.ts";

const parameters = "/apis/bss/boot/v1/bootparameters";
export const bss: readonly Call[] = [
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
  {
    ...{ command: "bss bootparameters list --name", sends: `GET ${parameters}?name=${node}`, status: 200 },
    reads: { "0.hosts": [node], length: 1 },
  },
  {
    ...{ command: "bss bootparameters create", sends: `POST ${parameters}`, status: 201 },
    body: { hosts: ["Default"], macs: ["02:00:00:00:00:0a"], nids: [9], kernel: "http://s/k", params: "quiet" },
  },
  {
    ...{ command: "bss bootparameters list --mac", sends: `GET ${parameters}?mac=02:00:00:00:00:0a`, status: 200 },
    reads: { "0.macs": ["02:00:00:00:00:0a"] },
  },
  {
    ...{ command: "bss bootparameters list --nid", sends: `GET ${parameters}?nid=9`, status: 200 },
    reads: { "0.nids": [9] },
  },
  {
    ...{ command: "bss bootscript list --mac", status: 200, prints: /^#!ipxe\n/ },
    sends: "GET /apis/bss/boot/v1/bootscript?mac=02:00:00:00:00:09",
  },
  {
    ...{ command: "bss bootscript list --nid", status: 200, prints: /^#!ipxe\n/ },
    sends: "GET /apis/bss/boot/v1/bootscript?nid=1",
  },
  {
    ...{ command: "bss endpoint-history list", status: 200, reads: { "0.name": node, "0.last_epoch": something } },
    sends: `GET /apis/bss/boot/v1/endpoint-history?name=${node}&endpoint=bootscript`,
  },
  ...["status", "status/all", "etcd", "hsm", "version"].map((one) => ({
    ...{ command: `bss service ${one} list`, sends: `GET /apis/bss/boot/v1/service/${one}`, status: 200 },
    reads: { "": something },
  })),
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
export const power: readonly Call[] = [
  {
    command: "power transition on",
    sends: `POST ${pcs}/transitions`,
    body: { operation: "on", location: [{ xname: node }] },
    status: 200,
    reads: { transitionID: something },
    keeps: { transition: "transitionID" },
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
  {
    ...{ command: "power transition describe", sends: `GET ${pcs}/transitions/{transition}`, status: 200 },
    reads: { transitionStatus: something, "taskCounts.total": 1, "tasks.0.xname": node },
  },
  {
    ...{ command: "power status list", status: 200, reads: { status: something } },
    sends: `GET ${pcs}/power-status?powerStateFilter=off&managementStateFilter=available`,
  },
  {
    ...{ command: "power status (many)", sends: `POST ${pcs}/power-status`, body: { xname: [node] }, status: 200 },
    reads: { "status.0.xname": node, "status.0.powerState": something },
  },
  { command: "power cap list", sends: `GET ${pcs}/power-cap`, status: 200, reads: { "": something } },
  {
    command: "power transition describe (none)",
    sends: `GET ${pcs}/transitions/00000000-0000-4000-8000-000000000000`,
    status: 404,
  },
];
