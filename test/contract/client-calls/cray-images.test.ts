/** `cray ims` and `cray auth`: JSON with its type; what is printed of a failure is `title: detail`. */
import assert from "node:assert/strict";
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
const ims = "/apis/ims/v3";

const images: readonly Call[] = [
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

test("cray ims", async () => replay(served, images, crayHeaders));

test("cray auth login, and the next call with what it got", async () => {
  const password = "correct horse battery";
  await served.house.accounts.create({ name: "alice", kind: "person", role: "reader", password });
  const token = "/keycloak/realms/shasta/protocol/openid-connect/token";
  const headers = {
    ...{ "content-type": "application/x-www-form-urlencoded;charset=UTF-8", accept: "application/json" },
    authorization: `Basic ${Buffer.from("shasta:").toString("base64")}`,
  };
  const form = { grant_type: "password", username: "alice", password, client_id: "shasta" };
  const login = await served.askAt(served.admin, "POST", token, { body: String(new URLSearchParams(form)), headers });
  assert.equal(login.status, 200, login.text);
  const { access_token, refresh_token, expires_in, token_type } = login.json;
  assert.ok(refresh_token.length > 0 && expires_in > 0 && /^bearer$/i.test(token_type));
  const authorization = `Bearer ${access_token}`;
  assert.equal((await served.ask("GET", `${ims}/images`, { headers: { ...crayHeaders, authorization } })).status, 200);
});
