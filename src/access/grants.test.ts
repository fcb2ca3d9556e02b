import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, before, test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { openGrants, type GrantRequest } from "./grants.ts";
import { password, plantAccess } from "./plant-access.ts";

let planted: Awaited<ReturnType<typeof plantAccess>>;
const secret = "nks_secret_of_a_service";
before(async () => {
  planted = await plantAccess();
  await planted.accounts.create({ name: "admin-client", kind: "service", role: "admin", password: secret });
});
after(() => rm(planted.folder, { recursive: true }));

const nothing = { grantType: "", client: "", secret: "", username: "", password: "", refreshToken: "", address: "::1" };
const byPassword = { grantType: "password", client: "shasta", username: "alice", password };

async function ask(request: Partial<GrantRequest>, grants = openGrants(planted.accounts, planted.tokens)) {
  const answer = await grants.grant({ ...nothing, ...request });
  return "error" in answer ? `${answer.status} ${answer.error}` : answer;
}

test("people get tokens by password, and others by those", async () => {
  const granted = await ask(byPassword);
  assert.ok(typeof granted === "object" && granted.refreshToken !== undefined);
  assert.equal((await planted.tokens.accountOf(granted.accessToken)).name, "alice");
  const renewed = await ask({ grantType: "refresh_token", client: "shasta", refreshToken: granted.refreshToken });
  assert.ok(typeof renewed === "object");
  assert.equal((await planted.tokens.accountOf(renewed.accessToken)).name, "alice");
});

test("services get tokens by their secret", async () => {
  const granted = await ask({ grantType: "client_credentials", client: "admin-client", secret });
  assert.ok(typeof granted === "object");
  assert.equal(granted.refreshToken, undefined);
  assert.equal((await planted.tokens.accountOf(granted.accessToken)).role, "admin");
});

test("all others are refused in the words of OAuth", async () => {
  for (const [expected, request] of [
    ["400 invalid_request", {}],
    ["400 unsupported_grant_type", { grantType: "authorization_code", client: "shasta" }],
    ["401 invalid_client", { ...byPassword, client: "" }],
    ["401 invalid_client", { ...byPassword, client: "other" }],
    ["401 invalid_request", { ...byPassword, username: "" }],
    ["401 invalid_grant", { ...byPassword, password: "wrong" }],
    ["401 invalid_grant", { ...byPassword, username: "nobody" }],
    ["401 invalid_grant", { ...byPassword, username: "admin-client", password: secret }],
    ["401 invalid_client", { grantType: "client_credentials", client: "alice", secret: password }],
    ["401 invalid_client", { grantType: "client_credentials", client: "admin-client", secret: "" }],
    ["400 invalid_request", { grantType: "refresh_token", client: "shasta" }],
    ["400 invalid_grant", { grantType: "refresh_token", client: "shasta", refreshToken: "a.b.c" }],
  ] as const) {
    assert.equal(await ask(request), expected, JSON.stringify(request));
  }
  const access = await ask(byPassword);
  assert.ok(typeof access === "object");
  const asRefresh = { grantType: "refresh_token", client: "shasta", refreshToken: access.accessToken };
  assert.equal(await ask(asRefresh), "400 invalid_grant");
});

test("guessing is slowed down for an account, also for the right password, and for an address", async (t) => {
  let now = Date.now();
  t.after(useClock({ now: () => new Date(now) }));
  const grants = openGrants(planted.accounts, planted.tokens);
  const guess = (username: string, address: string, more = {}) =>
    ask({ ...byPassword, username, address, password: "wrong", ...more }, grants);
  const guesses = await Promise.all(Array.from({ length: 8 }, (_, count) => guess("alice", `10.0.0.${count}`)));
  assert.deepEqual(
    guesses.map((each) => String(each).slice(0, 3)),
    ["401", "401", "401", "401", "401", "429", "429", "429"],
  );
  assert.equal(await guess("alice", "10.0.0.9", { password }), "429 invalid_grant");
  now += 61_000;
  assert.equal(typeof (await guess("alice", "10.0.0.9", { password })), "object");
  for (let count = 0; count < 30; count += 1) assert.match(String(await guess(`u${count}`, "10.0.0.66")), /^401/);
  assert.match(String(await guess("another", "10.0.0.66")), /^429/);
  assert.match(String(await guess("another", "10.0.0.67")), /^401/);
});
