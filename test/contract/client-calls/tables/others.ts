/** Reporters on nodes, Slurm, the agent of SBPS, and OpenCHAMI's tool of old. */
import { something, type Call } from "../calls.ts";
import { imageId } from "./cray-ims.ts";

const node = "x3000c0s19b4n0";
const kernel = {
  kernel: "http://192.168.1.253:8080/alma/vmlinuz",
  initrd: "http://192.168.1.253:8080/alma/initramfs.img",
};
const ofMac = {
  macs: ["AA:BB:CC:DD:EE:FF"],
  ...kernel,
  params: "nomodeset ro ip=dhcp root=live:http://192.168.1.253:8080/alma/rootfs",
};
const state = {
  ...{ clone_url: "https://vcs.example.org/a.git", playbook: "site.yml", commit: "a".repeat(40) },
  ...{ status: "applied", session_name: "s" },
};

export const others: readonly Call[] = [
  {
    ...{ command: "ochami-cli smd --payload nodes.yaml", sends: "POST /hsm/v2/State/Components", status: 204 },
    body: { Components: [{ ID: node, Type: "Node", State: "Ready", Role: "Compute", NID: 1 }] },
  },
  { command: "ochami-cli bss --add-bootparams", sends: "POST /boot/v1/bootparameters", body: ofMac, status: 201 },
  { command: "ochami-cli bss --update-bootparams", sends: "PUT /boot/v1/bootparameters", body: ofMac, status: 200 },
  {
    command: "ochami-cli bss --patch-bootparams",
    sends: "PATCH /boot/v1/bootparameters",
    body: { ...ofMac, params: "quiet" },
    status: 200,
  },
  {
    ...{ command: "ochami-cli bss --get-bootparams", sends: "GET /boot/v1/bootparameters", status: 200 },
    reads: { "0.macs": ["aa:bb:cc:dd:ee:ff"], "0.params": "quiet" },
  },
  { command: "ochami-cli bss --delete-bootparams", sends: "DELETE /boot/v1/bootparameters", body: ofMac, status: 200 },
  {
    ...{ command: "cfs-state-reporter", sends: `PUT /apis/cfs/v3/components/${node}`, status: 200 },
    ...{ body: { desired_config: "", enabled: false }, reads: { id: node } },
  },
  {
    ...{ command: "cfs-state-reporter", sends: `PATCH /apis/cfs/v3/components/${node}`, status: 200 },
    ...{ body: { state_append: state }, reads: { "": something } },
  },
  {
    ...{ command: "bos-state-reporter", sends: `PUT /apis/bos/v2/components/${node}`, status: 200 },
    ...{ body: { id: node, enabled: false }, reads: { id: node } },
  },
  {
    ...{ command: "bos-state-reporter", sends: `PATCH /apis/bos/v2/components/${node}`, status: 200 },
    ...{ body: { id: node, actual_state: { bss_token: "11111111-1111-4111-8111-111111111111" } }, reads: { id: node } },
  },
  {
    ...{ command: "Slurm's RebootProgram", sends: "POST /apis/bos/v2/applystaged", status: 200 },
    ...{ body: { xnames: [node] }, reads: { succeeded: something, failed: something, ignored: something } },
  },
  {
    ...{ command: "the agent of SBPS", sends: "GET /apis/ims/v3/images", status: 200 },
    reads: { "0.id": imageId, "0.link.path": something, "0.link.etag": something, "0.metadata": {} },
  },
];
