import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmod, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { decodeJwt, decodeProtectedHeader, importSPKI, SignJWT } from "jose";
import { useClock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { openAccountTokens, tokenClient } from "./account-tokens.ts";
import { openAdmission } from "./admission.ts";
import { issuer, plantAccess } from "./plant-access.ts";
import { openTokenKey } from "./token-key.ts";

let planted: Awaited<ReturnType<typeof plantAccess>>;
before(async () => {
  planted = await plantAccess();
});
after(() => rm(planted.folder, { recursive: true }));

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A token of alice as the server would make it, but for what is said. */
async function forged({
  key,
  kid,
  ...changes
}: { key?: KeyObject; kid?: string; iss?: string; aud?: string; sub?: string; exp?: number } = {}): Promise<string> {
  const own = await openTokenKey(planted.folder);
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: tokenClient, sub: planted.alice.id, exp: now + 60, generation: 1, ...changes };
  return new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: kid ?? own.id }).sign(key ?? own.privateKey);
}

async function reasonOf(token: string): Promise<string> {
  const admission = openAdmission(planted.opaque, planted.tokens);
  try {
    return (await admission.callerOf(`Bearer ${token}`)).name;
  } catch (error) {
    assert.ok(error instanceof NetkilnError && error.code === "unauthorized", String(error));
    return error.message;
  }
}

test("a token says who has it and until when, and lets them in", async () => {
  const { tokens, alice } = planted;
  const token = await tokens.issue(alice, tokenClient);
  const { alg, kid } = decodeProtectedHeader(token);
  assert.equal(alg, "RS256");
  const { exp = 0, iat = 0, ...claims } = decodeJwt(token);
  assert.equal(exp - iat, 3600);
  assert.deepEqual([claims.iss, claims.sub, claims["preferred_username"]], [issuer, alice.id, "alice"]);
  const { keys } = await tokens.keys();
  assert.deepEqual(
    keys.map((key) => Object.keys(key).sort()),
    [["alg", "e", "kid", "kty", "n", "use"]],
    "nothing of the private key",
  );
  assert.equal((keys[0] as { kid: string }).kid, kid);
  assert.equal(await reasonOf(token), "account alice");
  assert.equal(await reasonOf(await forged()), "account alice", "so the forgeries below fail for what they say");
});

test("foreign and forged tokens are refused", async () => {
  const other = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const own = await openTokenKey(planted.folder);
  const good = await forged();
  const [head = "", body = "", signature = ""] = good.split(".");
  const publicPem = String(own.publicKey.export({ format: "pem", type: "spki" }));
  assert.ok(await importSPKI(publicPem, "RS256"));
  const hmacHead = base64({ alg: "HS256", kid: own.id });
  const hmac = createHmac("sha256", publicPem).update(`${hmacHead}.${body}`).digest("base64url");
  const expected = /^the token is none of this server/;
  for (const [what, token] of Object.entries({
    "another key": await forged({ key: other }),
    "another key, which is named": await forged({ key: other, kid: "theirs" }),
    "another issuer": await forged({ iss: "https://other.example.org/keycloak/realms/shasta" }),
    "another audience": await forged({ aud: "account" }),
    "a token that only gets tokens": await planted.tokens.issueRefresh(planted.alice),
    "no signature": `${base64({ alg: "none" })}.${body}.`,
    "the signature left out": `${head}.${body}.`,
    "a secret that everybody knows": `${hmacHead}.${body}.${hmac}`,
    "other words": `${head}.${base64({ sub: planted.alice.id })}.${signature}`,
    garbage: "a.b.c",
  })) {
    assert.match(await reasonOf(token), expected, what);
  }
  assert.match(await reasonOf("wrong"), /needs a valid token/);
});

test("a token ends: with its time, with the password, with the account", async (t) => {
  const { accounts, tokens } = planted;
  assert.equal(await reasonOf(await forged({ exp: Math.floor(Date.now() / 1000) - 1 })), "the token has expired");
  const bob = await accounts.create({ name: "bob", kind: "person", role: "reader", password: "a password of bob" });
  const token = await tokens.issue(bob, tokenClient);
  const refresh = await tokens.issueRefresh(bob);
  assert.equal(await reasonOf(token), "account bob");
  const restore = useClock({ now: () => new Date(Date.now() + 3_601_000) });
  t.after(restore);
  assert.equal(await reasonOf(token), "the token has expired");
  assert.equal((await tokens.accountOfRefresh(refresh))?.name, "bob");
  restore();
  await accounts.setPassword("bob", "another password");
  assert.match(await reasonOf(token), /^the token has ended/);
  assert.equal(await tokens.accountOfRefresh(refresh), undefined);
  const later = await tokens.issue((await accounts.find("bob"))!, tokenClient);
  await accounts.remove("bob");
  await accounts.create({ name: "bob", kind: "person", role: "admin", password: "a password of bob" });
  assert.match(await reasonOf(later), /^the token has ended/, "another account of the same name is another one");
});

test("the key is its owner's alone, and without it another one is made", async () => {
  const { folder, rules, accounts, alice, tokens } = planted;
  const file = join(folder, "token.key");
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const token = await tokens.issue(alice, tokenClient);
  await chmod(file, 0o644);
  await assert.rejects(openTokenKey(folder), /others than its owner may read the key of tokens/);
  await chmod(file, 0o600);
  const before = await readFile(file, "utf8");
  await rm(file);
  const rotated = openAccountTokens(accounts, rules);
  await assert.rejects(rotated.accountOf(token), /none of this server/);
  assert.notEqual(await readFile(file, "utf8"), before);
});
