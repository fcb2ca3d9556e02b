/** Tokens that are none, no longer good, or of somebody else: over every service, and for writing as for reading. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SignJWT } from "jose";
import { openAccountTokens, type Account } from "../../../src/access/index.ts";
import { everything, plantThings } from "../support/planted.ts";
import { openServed, type Served } from "../support/served.ts";

const password = "correct horse battery";
const realm = "/keycloak/realms/shasta";

let served: Served;
/** What stands in the header, by what is wrong with it. */
const bad = new Map<string, string | undefined>();

before(async () => {
  served = await openServed({ sat: { repositories: {} } });
  await plantThings(served);
  const { house, admin } = served;
  const account = await house.accounts.create({ name: "bob", kind: "person", role: "admin", password });
  const rules = { folder: join(served.data, "keys"), issuer: () => `${admin.origin}${realm}` };
  const issue = async (one: Account, more: Partial<typeof rules & { accessSeconds: number }> = {}) =>
    openAccountTokens(house.accounts, { ...rules, accessSeconds: 3600, refreshSeconds: 3600, ...more }).issue(
      one,
      "shasta",
    );

  const good = await issue(account);
  const { status } = await served.ask("GET", "/apis/ims/v3/images", { headers: { authorization: `Bearer ${good}` } });
  assert.equal(status, 200, "the one that the others are made of is good");

  const [head = "", claims = "", signature = ""] = good.split(".");
  const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const decoded = JSON.parse(Buffer.from(claims, "base64url").toString()) as Record<string, unknown>;
  const foreignKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const resigned = new SignJWT(decoded).setProtectedHeader(JSON.parse(Buffer.from(head, "base64url").toString()));
  const bearer = (name: string, token: string) => bad.set(name, `Bearer ${token}`);
  bad.set("none", undefined);
  bad.set("an empty header", "");
  bad.set("another scheme", `Basic ${Buffer.from(`bob:${password}`).toString("base64")}`);
  bearer("expired", await issue(account, { accessSeconds: -60 }));
  bearer("of another issuer", await issue(account, { issuer: () => `https://keycloak.example.org${realm}` }));
  bearer("of another key", await resigned.sign(foreignKey));
  bearer("without a signature", `${encoded({ alg: "none", typ: "JWT" })}.${claims}.`);
  bearer("with the public key as a secret", `${encoded({ alg: "HS256", typ: "JWT" })}.${claims}.${signature}`);
  bearer("with other claims", `${head}.${encoded({ ...decoded, sub: "somebody" })}.${signature}`);
  bearer("cut off", good.slice(0, -20));
  const refresh = openAccountTokens(house.accounts, { ...rules, accessSeconds: 1, refreshSeconds: 3600 });
  bearer("that only renews", await refresh.issueRefresh(account));
  bearer("of dots", "a.b.c");
  bearer("of nonsense", "nonsense");
  bearer("of a megabyte less than fits", "x".repeat(60_000));

  const gone = await house.accounts.create({ name: "carol", kind: "person", role: "admin", password });
  bearer("of an account that is gone", await issue(gone));
  await house.accounts.remove("carol");
  const changed = await house.accounts.create({ name: "dave", kind: "person", role: "admin", password });
  bearer("of a password that was changed", await issue(changed));
  await house.accounts.setPassword("dave", "another password");
  const revoked = await house.tokens.create({ name: "revoked", days: 1, role: "admin" });
  await house.tokens.remove("revoked");
  bearer("revoked", revoked.secret);
  const old = await house.tokens.create({ name: "old", days: -1, role: "admin" });
  bearer("long over", old.secret);
});
after(() => served.close());

/** Of each service something that is read, and something that is changed. */
const asked: readonly (readonly [method: string, path: string])[] = [
  ["GET", "/apis/ims/v3/images"],
  ["DELETE", "/apis/ims/v3/images"],
  ["GET", "/apis/cfs/v2/configurations"],
  ["PUT", "/apis/cfs/v2/configurations/compute"],
  ["GET", "/apis/cfs/v3/sessions"],
  ["DELETE", "/apis/cfs/v3/configurations/compute"],
  ["GET", "/apis/bos/v2/components"],
  ["DELETE", "/apis/bos/v2/sessiontemplates/compute"],
  ["GET", "/apis/bss/boot/v1/bootparameters"],
  ["DELETE", "/boot/v1/bootparameters"],
  ["GET", "/boot/v1/bootscript?name=x1c0s0b0n0"],
  ["GET", "/hsm/v2/State/Components"],
  ["DELETE", "/apis/smd/hsm/v2/State/Components"],
  ["GET", "/apis/power-control/v1/power-status"],
  ["POST", "/transitions"],
  ["GET", "/cloud-init/admin/groups"],
  ["DELETE", "/cloud-init/admin/groups/green"],
  ["GET", "/apis/netkiln/v1/images"],
  ["POST", "/apis/netkiln/v1/tokens"],
  ["GET", "/api/v1/namespaces/services/secrets/vcs-user-credentials"],
  ["GET", "/vcs/cray/a.git/info/refs?service=git-upload-pack"],
  ["GET", "/nowhere"],
];

test("no service takes any of them, and each says so in its own form", async () => {
  const before = await everything(served);
  for (const [name, authorization] of bad) {
    for (const [method, path] of asked) {
      const headers = authorization === undefined ? {} : { authorization };
      const answer = await served.askAt(served.admin, method, path, { headers });
      const what = `${method} ${path} with a token ${name}`;
      assert.equal(answer.status, 401, `${what}: ${answer.text}`);
      assert.match(String(answer.headers["www-authenticate"]), /^(Bearer|Basic) realm=/, what);
      if (path.startsWith("/vcs/")) assert.match(answer.text, /^[a-z].*\n$/, what);
      else if (path.startsWith("/api/v1/")) assert.equal(answer.json.kind, "Status", what);
      else assert.ok(answer.json.title === "Unauthorized" && answer.json.detail.length > 0, what);
      assert.doesNotMatch(answer.text, /Error:|at .*\.ts|node_modules/, what);
    }
  }
  assert.deepEqual(await everything(served), before, "nothing was changed");
});

test("a token elsewhere than in its header is none", async () => {
  const { token, admin } = served;
  const path = "/apis/ims/v3/images";
  for (const [where, headers] of [
    [`${path}?access_token=${token}`, {}],
    [path, { cookie: `token=${token}; access_token=${token}` }],
    [path, { "x-auth-token": token, "x-forwarded-user": "admin", "x-forwarded-for": "127.0.0.1" }],
    [path, { "x-http-method-override": "GET", forwarded: "for=127.0.0.1" }],
  ] as const) {
    assert.equal((await served.askAt(admin, "GET", where, { headers })).status, 401, JSON.stringify([where, headers]));
  }
});
