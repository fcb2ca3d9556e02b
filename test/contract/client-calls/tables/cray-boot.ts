/** `cray cfs` and `cray bos`; the node and the image are there. */
import { something, type Call } from "../calls.ts";
import { imageId } from "./cray-ims.ts";
import { node } from "./cray-hsm.ts";

const layers = [
  { clone_url: "https://api-gw-service-nmn.local/vcs/cray/a.git", commit: "a".repeat(40), playbook: "site.yml" },
];
const v2Layers = [{ cloneUrl: layers[0]?.clone_url, commit: layers[0]?.commit, playbook: "site.yml" }];

export const cfs: readonly Call[] = [
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

  { command: "cfs v2 list", sends: "GET /apis/cfs/v2", status: 200, reads: { major: "1" } },
  { command: "cfs v3 list", sends: "GET /apis/cfs/v3", status: 200, reads: { major: "1" } },
  { command: "cfs healthz list", sends: "GET /apis/cfs/healthz", status: 200, reads: { db_status: something } },
  {
    ...{ command: "cfs configurations describe (v2)", sends: "GET /apis/cfs/v2/configurations/two", status: 200 },
    reads: { name: "two", layers: v2Layers },
  },
  {
    ...{ command: "cfs configurations update (v2)", sends: "PATCH /apis/cfs/v2/configurations/two", status: 200 },
    reads: { name: "two" },
  },
  {
    ...{ command: "cfs v3 configurations describe", sends: "GET /apis/cfs/v3/configurations/three", status: 200 },
    reads: { name: "three", layers },
  },
  {
    ...{ command: "cfs v3 configurations update", sends: "PATCH /apis/cfs/v3/configurations/three", status: 200 },
    reads: { name: "three" },
  },
  {
    ...{ command: "cfs sessions list", sends: "GET /apis/cfs/v2/sessions", status: 200 },
    reads: { "0.name": "build-image" },
  },
  { command: "cfs sessions delete", sends: "DELETE /apis/cfs/v2/sessions/build-image", status: 204 },
  {
    ...{ command: "cfs v3 sessions create", sends: "POST /apis/cfs/v3/sessions", status: 201 },
    body: { name: "live", configuration_name: "three", ansible_limit: node, debug_on_failure: true },
    reads: { name: "live", debug_on_failure: true, "ansible.limit": node },
  },
  {
    ...{ command: "cfs v3 sessions list", sends: "GET /apis/cfs/v3/sessions", status: 200 },
    reads: { "sessions.0.name": "live", next: null },
  },
  {
    ...{ command: "cfs v3 sessions describe", sends: "GET /apis/cfs/v3/sessions/live", status: 200 },
    reads: { name: "live", "status.session.status": something },
  },
  { command: "cfs v3 sessions delete", sends: "DELETE /apis/cfs/v3/sessions/live", status: 204 },
  {
    ...{ command: "cfs components list", sends: "GET /apis/cfs/v2/components", status: 200 },
    reads: { "0.id": node },
  },
  {
    ...{ command: "cfs components describe", sends: `GET /apis/cfs/v2/components/${node}`, status: 200 },
    reads: { id: node, configurationStatus: "pending", errorCount: 0 },
  },
  {
    ...{ command: "cfs v3 components update", sends: `PATCH /apis/cfs/v3/components/${node}`, status: 200 },
    ...{ body: { desired_config: "three", enabled: false }, reads: { id: node, desired_config: "three" } },
  },
  {
    ...{ command: "cfs v3 components updatemany", sends: "PATCH /apis/cfs/v3/components", status: 200 },
    body: { patch: { error_count: 0 }, filters: { ids: node } },
    reads: { component_ids: [node] },
  },
  {
    ...{ command: "cfs v3 components describe", sends: `GET /apis/cfs/v3/components/${node}`, status: 200 },
    reads: { id: node, configuration_status: "pending" },
  },
  { command: "cfs v3 components delete", sends: `DELETE /apis/cfs/v3/components/${node}`, status: 204 },
  { command: "cfs options list", sends: "GET /apis/cfs/v2/options", status: 200, reads: { batchSize: something } },
  {
    ...{ command: "cfs v3 options update", sends: "PATCH /apis/cfs/v3/options", body: { batch_size: 20 }, status: 200 },
    reads: { batch_size: 20 },
  },
  {
    ...{ command: "cfs v3 sources create", sends: "POST /apis/cfs/v3/sources", status: 201, reads: { name: "git" } },
    body: { name: "git", clone_url: "https://git.example.org/a.git", credentials: { username: "a", password: "b" } },
  },
  {
    ...{ command: "cfs v3 sources list", sends: "GET /apis/cfs/v3/sources", status: 200 },
    reads: { "sources.0.name": "git", next: null },
  },
  {
    ...{ command: "cfs v3 sources describe", sends: "GET /apis/cfs/v3/sources/git", status: 200 },
    reads: { name: "git", "credentials.secret_name": something, "credentials.password": undefined },
  },
  {
    ...{ command: "cfs v3 sources update", sends: "PATCH /apis/cfs/v3/sources/git", status: 200 },
    ...{ body: { description: "ours" }, reads: { description: "ours" } },
  },
  { command: "cfs v3 sources delete", sends: "DELETE /apis/cfs/v3/sources/git", status: 204 },
  { command: "cfs v3 configurations delete", sends: "DELETE /apis/cfs/v3/configurations/three", status: 204 },
  {
    ...{ command: "cfs configurations update (v2)", sends: "PUT /apis/cfs/v2/configurations/gone", status: 200 },
    body: { layers: v2Layers },
  },
  { command: "cfs configurations delete (v2)", sends: "DELETE /apis/cfs/v2/configurations/gone", status: 204 },
];

const bootSet = {
  kernel_parameters: "quiet",
  node_roles_groups: ["Application"],
  path: `s3://boot-images/${imageId}/manifest.json`,
  type: "s3",
  etag: "e",
  arch: "X86",
};

export const bos: readonly Call[] = [
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
  {
    ...{ command: "bos sessiontemplates describe", sends: "GET /apis/bos/v2/sessiontemplates/t", status: 200 },
    reads: { name: "t", "boot_sets.compute.path": bootSet.path },
  },
  {
    ...{ command: "bos sessiontemplates update", sends: "PATCH /apis/bos/v2/sessiontemplates/t", status: 200 },
    ...{ body: { description: "ours" }, reads: { description: "ours" } },
  },
  {
    ...{ command: "bos sessions create --stage", sends: "POST /apis/bos/v2/sessions", status: 201 },
    body: { template_name: "t", operation: "shutdown", stage: true, name: "staged" },
    reads: { name: "staged", stage: true },
  },
  { command: "bos sessions list", sends: "GET /apis/bos/v2/sessions", status: 200, reads: { "0.name": something } },
  { command: "bos sessions status save", sends: "POST /apis/bos/v2/sessions/s/status", status: 200 },
  { command: "bos sessions delete", sends: "DELETE /apis/bos/v2/sessions/s", status: 204 },
  {
    ...{ command: "bos components describe", sends: `GET /apis/bos/v2/components/${node}`, status: 200 },
    reads: { id: node, "status.status": something },
  },
  {
    ...{ command: "bos components update", sends: `PATCH /apis/bos/v2/components/${node}`, status: 200 },
    ...{ body: { enabled: false }, reads: { id: node, enabled: false } },
  },
  {
    ...{ command: "bos components updatemany", sends: "PATCH /apis/bos/v2/components", status: 200 },
    ...{ body: { filters: { ids: node }, patch: { enabled: false } }, reads: { "0.id": node } },
  },
  {
    ...{ command: "bos components updatemany", sends: "PATCH /apis/bos/v2/components", status: 200 },
    ...{ body: { filters: { session: "none" }, patch: { enabled: false } }, reads: { "": [] } },
  },
  {
    ...{ command: "bos applystaged create", sends: "POST /apis/bos/v2/applystaged", status: 200 },
    ...{ body: { xnames: [node] }, reads: { succeeded: something, failed: something, ignored: something } },
  },
  { command: "bos version list", sends: "GET /apis/bos/v2/version", status: 200, reads: { major: "2" } },
  { command: "bos healthz list", sends: "GET /apis/bos/v2/healthz", status: 200, reads: { dbStatus: something } },
  { command: "bos sessiontemplates delete", sends: "DELETE /apis/bos/v2/sessiontemplates/t", status: 204 },
];
