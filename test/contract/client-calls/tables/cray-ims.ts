/** `cray ims`. */
import { something, type Call } from "../calls.ts";
import { node } from "./cray-hsm.ts";

export const imageId = "0f8fad5b-d9cb-469f-a165-70867728950e";
export const ims = "/apis/ims/v3";

export const images: readonly Call[] = [
  {
    command: "ims images list",
    sends: `GET ${ims}/images`,
    status: 200,
    reads: { "0.id": imageId, "0.link.type": "s3" },
  },
  {
    command: "ims images describe",
    sends: `GET ${ims}/images/${imageId}`,
    status: 200,
    reads: { id: imageId, arch: "x86_64", metadata: {}, "link.path": `s3://boot-images/${imageId}/manifest.json` },
  },
  {
    command: "ims images update --metadata-operation set",
    sends: `PATCH ${ims}/images/${imageId}`,
    body: { metadata: { operation: "set", key: "sbps-project", value: "true" } },
    status: 200,
    reads: { metadata: { "sbps-project": "true" } },
  },
  {
    command: "ims images update --metadata-operation remove",
    sends: `PATCH ${ims}/images/${imageId}`,
    body: { metadata: { operation: "remove", key: "sbps-project", value: "true" } },
    status: 200,
    reads: { metadata: {} },
  },
  { command: "ims images update (nothing)", sends: `PATCH ${ims}/images/${imageId}`, body: {}, status: 400 },
  {
    command: "ims images describe (none)",
    sends: `GET ${ims}/images/00000000-0000-4000-8000-000000000000`,
    status: 404,
    reads: { title: "Not Found", detail: "Requested resource does not exist. Re-run request with valid ID." },
  },
  {
    command: "ims recipes create",
    sends: `POST ${ims}/recipes`,
    body: { name: "r", recipe_type: "kiwi-ng", linux_distribution: "sles15" },
    status: 201,
    reads: { id: something, arch: "x86_64", require_dkms: true },
  },
  {
    command: "ims recipes create (no type)",
    sends: `POST ${ims}/recipes`,
    body: { name: "r" },
    status: 422,
    reads: { title: "Unprocessable Entity", "errors.recipe_type": something },
  },
  { command: "ims recipes list", sends: `GET ${ims}/recipes`, status: 200, reads: { "0.name": "r" } },
  {
    command: "ims public-keys create",
    sends: `POST ${ims}/public-keys`,
    body: { name: "k", public_key: "ssh-rsa A" },
    status: 201,
    reads: { id: something },
  },
  { command: "ims public-keys list", sends: `GET ${ims}/public-keys`, status: 200, reads: { "0.name": "k" } },
  { command: "ims jobs list", sends: `GET ${ims}/jobs`, status: 200, reads: { "": [] } },
  {
    command: "ims jobs create (unknown member)",
    sends: `POST ${ims}/jobs`,
    body: { job_type: "create", nonsense: 1 },
    status: 422,
  },
  { command: "ims jobs deleteall", sends: `DELETE ${ims}/jobs?status=error&job_type=create&age=1h`, status: 204 },
  { command: "ims deleted images list", sends: `GET ${ims}/deleted/images`, status: 200, reads: { "": [] } },
  {
    command: "ims remote-build-nodes create",
    sends: `POST ${ims}/remote-build-nodes`,
    body: { xname: node },
    status: 201,
    reads: { xname: node },
  },
  {
    command: "ims remote-build-nodes list",
    sends: `GET ${ims}/remote-build-nodes`,
    status: 200,
    reads: { "": [{ xname: node }] },
  },
  { command: "ims remote-build-nodes delete", sends: `DELETE ${ims}/remote-build-nodes/${node}`, status: 204 },
  {
    command: "ims remote-build-nodes status list",
    sends: `GET ${ims}/remote-build-nodes/status`,
    status: 200,
    reads: { "": [] },
  },
];

/** Of each kind: made, shown, changed, deleted, brought back, and deleted for good. */
export const lives: readonly Call[] = [
  ...lifeOf("images", { name: "i" }, { arch: "aarch64" }),
  ...lifeOf("recipes", { name: "i", recipe_type: "kiwi-ng", linux_distribution: "sles15" }, { require_dkms: false }),
  ...lifeOf("public-keys", { name: "i", public_key: "ssh-rsa A" }, undefined),
];

function lifeOf(kind: string, made: object, change: object | undefined): Call[] {
  const live = `${ims}/${kind}/{id}`;
  const deleted = `${ims}/deleted/${kind}`;
  const undelete = { operation: "undelete" };
  const isIt = { id: something, name: "i" };
  const update: Call = {
    command: `ims ${kind} update`,
    sends: `PATCH ${live}`,
    body: change,
    status: 200,
    reads: isIt,
  };
  return [
    { command: `ims ${kind} create`, sends: `POST ${ims}/${kind}`, body: made, status: 201, keeps: { id: "id" } },
    { command: `ims ${kind} describe`, sends: `GET ${live}`, status: 200, reads: isIt },
    ...(change === undefined ? [] : [update]),
    { command: `ims ${kind} delete`, sends: `DELETE ${live}`, status: 204 },
    { command: `ims deleted ${kind} list`, sends: `GET ${deleted}`, status: 200, reads: { "0.deleted": something } },
    { command: `ims deleted ${kind} describe`, sends: `GET ${deleted}/{id}`, status: 200, reads: isIt },
    { command: `ims deleted ${kind} update`, sends: `PATCH ${deleted}/{id}`, body: undelete, status: 204 },
    { command: `ims ${kind} delete`, sends: `DELETE ${live}`, status: 204 },
    { command: `ims deleted ${kind} delete`, sends: `DELETE ${deleted}/{id}`, status: 204 },
    { command: `ims ${kind} describe (none)`, sends: `GET ${live}`, status: 404 },
  ];
}

const customize = {
  ...{ job_type: "customize", artifact_id: imageId, public_key_id: "{key}", image_root_archive_name: "made" },
  ...{ require_dkms: false, ssh_containers: [{ name: "customize", jail: true }] },
};

export const jobs: readonly Call[] = [
  {
    ...{ command: "ims public-keys create", sends: `POST ${ims}/public-keys`, status: 201, keeps: { key: "id" } },
    body: { name: "k", public_key: "ssh-rsa A" },
  },
  {
    ...{ command: "ims jobs create", sends: `POST ${ims}/jobs`, body: customize, status: 201 },
    ...{ reads: { job_type: "customize", status: something }, keeps: { job: "id" } },
  },
  {
    ...{ command: "ims jobs describe", sends: `GET ${ims}/jobs/{job}`, status: 200 },
    reads: { "ssh_containers.0.name": "customize", kubernetes_job: something, remote_build_node: "" },
  },
  {
    ...{ command: "ims jobs update", sends: `PATCH ${ims}/jobs/{job}`, body: { status: "error" }, status: 200 },
    reads: { status: "error" },
  },
  { command: "ims jobs delete", sends: `DELETE ${ims}/jobs/{job}`, status: 204 },
  {
    ...{ command: "ims remote-build-nodes create", sends: `POST ${ims}/remote-build-nodes`, status: 201 },
    body: { xname: node },
  },
  {
    ...{ command: "ims remote-build-nodes describe", sends: `GET ${ims}/remote-build-nodes/${node}`, status: 200 },
    reads: { xname: node },
  },
  {
    ...{ command: "ims remote-build-nodes status describe", status: 200 },
    ...{ sends: `GET ${ims}/remote-build-nodes/status/${node}`, reads: { xname: node, ableToRunJobs: false } },
  },
  {
    ...{ command: "ims (v2) images create", sends: "POST /apis/ims/v2/images", status: 201 },
    ...{ body: { name: "old" }, keeps: { image: "id" } },
  },
  { command: "ims (v2) images delete", sends: "DELETE /apis/ims/v2/images/{image}?cascade=true", status: 204 },
  {
    ...{ command: "ims (v2) recipes create", sends: "POST /apis/ims/v2/recipes", status: 201, keeps: { recipe: "id" } },
    body: { name: "old", recipe_type: "kiwi-ng", linux_distribution: "sles15" },
  },
  { command: "ims (v2) recipes delete", sends: "DELETE /apis/ims/v2/recipes/{recipe}?cascade=true", status: 204 },
  { command: "ims version list", sends: "GET /apis/ims/version", status: 200, reads: { "": something } },
  { command: "ims healthz live list", sends: "GET /apis/ims/healthz/live", status: 200, reads: { "": something } },
  { command: "ims healthz ready list", sends: "GET /apis/ims/healthz/ready", status: 200, reads: { "": something } },
];
