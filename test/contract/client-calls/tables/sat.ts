/** `sat`, as it goes through a bootprep file and as it boots. */
import { something, type Call } from "../calls.ts";
import { imageId } from "./cray-ims.ts";

const node = "x3000c0s19b4n0";
const hsm = "/apis/smd/hsm/v2";
const namespaced = "/api/v1/namespaces/services";
const layers = [
  {
    name: "l",
    clone_url: "https://api-gw-service-nmn.local/vcs/cray/a.git",
    playbook: "site.yml",
    commit: "a".repeat(40),
  },
];

export const inventory: readonly Call[] = [
  {
    ...{ command: "(planted)", sends: `POST ${hsm}/State/Components`, status: 204 },
    body: {
      Components: [
        { ID: node, Type: "Node", State: "Off", Role: "Compute", NID: 1 },
        { ID: "x3000c0s19", Type: "ComputeModule", State: "On" },
      ],
    },
  },
  {
    ...{ command: "sat status", sends: `GET ${hsm}/State/Components?type=Node`, status: 200 },
    reads: {
      "Components.0.ID": node,
      "Components.0.State": "Off",
      "Components.0.Flag": "OK",
      "Components.0.Enabled": true,
    },
  },
  {
    command: "sat bootsys",
    sends: `GET ${hsm}/State/Components?type=Node&role=Compute&role=Application`,
    status: 200,
    reads: { "Components.length": 1 },
  },
  {
    ...{ command: "sat swap", status: 200, reads: { "Components.length": 2 } },
    sends: `GET ${hsm}/State/Components/Query/x3000c0s19?type=computemodule&type=node`,
  },
  {
    command: "sat swap --action enable",
    sends: `PATCH ${hsm}/State/Components/BulkEnabled`,
    body: { Enabled: true, ComponentIDs: [node] },
    status: 204,
  },
  {
    command: "(planted)",
    sends: `POST ${hsm}/Inventory/RedfishEndpoints`,
    body: { ID: "x3000c0s19b4", FQDN: "x3000c0s19b4" },
    status: 201,
  },
  {
    ...{ command: "sat hwmatch", sends: `GET ${hsm}/Inventory/RedfishEndpoints?type=NodeBMC`, status: 200 },
    reads: {
      "RedfishEndpoints.0.ID": "x3000c0s19b4",
      "RedfishEndpoints.0.Enabled": true,
      "RedfishEndpoints.0.DiscoveryInfo.LastDiscoveryStatus": something,
    },
  },
  {
    command: "sat nid2xname",
    sends: `GET ${hsm}/State/Components`,
    status: 200,
    reads: { "Components.length": something },
  },
];

export const session = "sat-0f3f9a1e-58a2-4f2f-9d0e-2f4f5a8f1c55";

export const bootprep: readonly Call[] = [
  {
    command: "the product catalog",
    sends: `GET ${namespaced}/configmaps?labelSelector=type%3Dcray-product-catalog`,
    status: 200,
    reads: { kind: "ConfigMapList", items: something },
  },
  {
    command: "the login for git",
    sends: `GET ${namespaced}/secrets/vcs-user-credentials`,
    status: 200,
    reads: { "data.vcs_username": something, "data.vcs_password": something },
  },
  {
    command: "configurations",
    sends: "GET /apis/cfs/v3/configurations",
    status: 200,
    reads: { configurations: [], next: null },
  },
  {
    ...{ command: "a configuration", sends: "PUT /apis/cfs/v3/configurations/compute?drop_branches=True", status: 200 },
    ...{ body: { layers }, reads: { name: "compute", "layers.0.commit": "a".repeat(40), last_updated: something } },
  },
  {
    command: "its configuration",
    sends: "GET /apis/cfs/v3/configurations/compute",
    status: 200,
    reads: { name: "compute", layers },
  },
  {
    command: "the base",
    sends: `GET /apis/ims/v3/images/${imageId}`,
    status: 200,
    reads: {
      id: imageId,
      name: "base",
      arch: "x86_64",
      "link.type": "s3",
      "link.path": something,
      "link.etag": something,
    },
  },
  { command: "images of that name", sends: "GET /apis/ims/v3/images", status: 200, reads: { "0.name": "base" } },
  { command: "public keys", sends: "GET /apis/ims/v3/public-keys", status: 200, reads: { "": [] } },
  {
    command: "its public key",
    sends: "POST /apis/ims/v3/public-keys",
    body: { name: "public key for sat", public_key: "ssh-ed25519 AAAA sat" },
    status: 201,
    reads: { id: something },
    keeps: { key: "id" },
  },
  {
    ...{ command: "recipes of that name", sends: "GET /apis/ims/v3/recipes", status: 200 },
    ...{ reads: { "0.name": "r" }, keeps: { recipe: "0.id" } },
  },
  {
    ...{ command: "the recipe", sends: "GET /apis/ims/v3/recipes/{recipe}", status: 200 },
    reads: { name: "r", recipe_type: "kiwi-ng" },
  },
  {
    ...{ command: "a job", sends: "POST /apis/ims/v3/jobs", status: 201 },
    body: {
      ...{ job_type: "create", artifact_id: "{recipe}", public_key_id: "{key}" },
      image_root_archive_name: "made-pre-configuration",
    },
    ...{ reads: { id: something, status: something }, keeps: { job: "id" } },
  },
  {
    ...{ command: "the job", sends: "GET /apis/ims/v3/jobs/{job}", status: 200 },
    reads: { status: something, kubernetes_job: something },
  },
  { command: "--delete-ims-jobs", sends: "DELETE /apis/ims/v3/jobs/{job}", status: 204 },
  {
    command: "which release of CFS",
    sends: "GET /apis/cfs/v3",
    status: 200,
    reads: { major: "1", minor: something, patch: something },
  },
  {
    ...{
      command: "a session",
      sends: "POST /apis/cfs/v3/sessions",
      status: 201,
      reads: { name: session, "status.session.status": "pending" },
    },
    body: {
      ...{ name: session, configuration_name: "compute" },
      target: {
        definition: "image",
        groups: [{ name: "Compute", members: [imageId] }],
        image_map: [{ source_id: imageId, result_name: "made" }],
      },
    },
  },
  {
    ...{ command: "the session", sends: `GET /apis/cfs/v3/sessions/${session}`, status: 200 },
    reads: { "status.session.status": something, "status.session.start_time": something },
  },
  {
    command: "the session's pods",
    sends: `GET ${namespaced}/pods?labelSelector=job-name%3Dcfs-1`,
    status: 200,
    reads: { kind: "PodList", items: something },
  },
  {
    command: "an image that is not there",
    sends: "GET /apis/ims/v3/images/00000000-0000-4000-8000-000000000000",
    status: 404,
  },
  {
    ...{ command: "(planted)", sends: "POST /apis/ims/v3/images", body: { name: "old" }, status: 201 },
    keeps: { image: "id" },
  },
  { command: "an overwritten image", sends: "DELETE /apis/ims/v3/images/{image}", status: 204 },
  { command: "templates", sends: "GET /apis/bos/v2/sessiontemplates", status: 200, reads: { "": [] } },
  {
    ...{
      command: "a template",
      sends: "PUT /apis/bos/v2/sessiontemplates/compute",
      status: 200,
      reads: { name: "compute" },
    },
    body: {
      ...{ enable_cfs: true, cfs: { configuration: "compute" } },
      boot_sets: {
        compute: {
          etag: "e",
          path: `s3://boot-images/${imageId}/manifest.json`,
          type: "s3",
          node_roles_groups: ["Compute"],
          rootfs_provider: "sbps",
          kernel_parameters: "quiet",
        },
      },
    },
  },
  {
    command: "sat bootsys",
    sends: "GET /apis/bos/v2/sessiontemplates/compute",
    status: 200,
    reads: { "boot_sets.compute.node_roles_groups": ["Compute"] },
  },
  {
    command: "sat bootsys (no template)",
    sends: "POST /apis/bos/v2/sessions",
    body: { template_name: "none", operation: "shutdown", stage: false },
    status: 400,
  },
  {
    command: "sat bootsys",
    sends: "POST /apis/bos/v2/sessions",
    body: { template_name: "compute", operation: "shutdown", stage: false, limit: node },
    status: 201,
    reads: { name: something, "status.status": "pending" },
  },
  { command: "sat bootsys", sends: "GET /apis/bos/v2/sessions", status: 200, reads: { "0.name": something } },
  { command: "sat status", sends: "GET /apis/bos/v2/components", status: 200, reads: { "": something } },
  { command: "sat status", sends: "GET /apis/cfs/v3/components", status: 200, reads: { components: something } },
];

export const power: readonly Call[] = [
  {
    ...{ command: "sat swap, power off", sends: "POST /apis/power-control/v1/transitions", status: 200 },
    ...{
      body: { operation: "off", taskDeadlineMinutes: -1, location: [{ xname: node }] },
      reads: { transitionID: something },
    },
  },
  {
    command: "sat bootsys",
    sends: `GET /apis/power-control/v1/power-status?xname=${node}`,
    status: 200,
    reads: { "status.0.xname": node, "status.0.powerState": something },
  },
];
