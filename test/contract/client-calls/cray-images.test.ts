/** `cray ims` and `cray auth`: JSON with its type; what is printed of a failure is `title: detail`. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { plantImage } from "../../../src/image/plant-image.ts";
import { openServed, type Served } from "../support/served.ts";
import { crayHeaders, replay } from "./calls.ts";
import { imageId, images, ims, jobs, lives } from "./tables/cray-ims.ts";

let served: Served;
before(async () => {
  served = await openServed();
  await served.house.images.publish(plantImage(imageId, "base"));
});
after(() => served.close());

for (const [what, calls] of Object.entries({ images, lives, jobs })) {
  test(`cray ims: ${what}`, async () => replay(served, calls, crayHeaders));
}

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
