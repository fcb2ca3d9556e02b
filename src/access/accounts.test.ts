import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { test, type TestContext } from "node:test";
import { hashPassword, isPassword } from "./password.ts";
import { password, plantAccess, quickCost } from "./plant-access.ts";

async function plant(t: TestContext) {
  const planted = await plantAccess();
  t.after(() => rm(planted.folder, { recursive: true }));
  return planted;
}

test("a password is known by its hash alone, which is another one each time", async () => {
  const hash = await hashPassword(password, quickCost);
  assert.equal(hash.includes(password), false);
  assert.match(hash, /^scrypt\$4\$1\$1\$[\w-]{22}\$[\w-]{43}$/);
  assert.notEqual(await hashPassword(password, quickCost), hash);
  assert.equal(await isPassword(password, hash), true);
  assert.equal(await isPassword(`${password} `, hash), false);
  // U+00E9, and e with U+0301 behind it
  assert.equal(await isPassword("caf\u0065\u0301", await hashPassword("caf\u00e9", quickCost)), true);
});

test("an account is found by its name, kind and password", async (t) => {
  const { accounts, alice } = await plant(t);
  assert.deepEqual(await accounts.check("person", "alice", password), alice);
  assert.equal(await accounts.check("person", "alice", "another password"), undefined);
  assert.equal(await accounts.check("service", "alice", password), undefined, "a person is no service");
  assert.equal(await accounts.check("person", "bob", password), undefined);
  assert.equal(JSON.stringify(await accounts.list({ limit: 10 })).includes("scrypt"), false);
  const again = { name: "alice", kind: "service", role: "admin", password } as const;
  await assert.rejects(accounts.create(again), /already an account "alice"/);
  assert.deepEqual(await accounts.find("alice"), alice, "which is as it was");
});

test("another password is another generation, and who is removed is gone", async (t) => {
  const { accounts, alice } = await plant(t);
  assert.equal(await accounts.setPassword("alice", "another password"), true);
  assert.equal(await accounts.check("person", "alice", password), undefined);
  const changed = await accounts.check("person", "alice", "another password");
  assert.deepEqual(changed, { ...alice, generation: 2 });
  assert.equal(await accounts.setPassword("bob", password), false);
  assert.equal(await accounts.remove("alice"), true);
  assert.equal(await accounts.remove("alice"), false);
  assert.equal(await accounts.findById(alice.id), undefined);
});

test("another role is all that changes", async (t) => {
  const { accounts, alice } = await plant(t);
  assert.deepEqual(await accounts.setRole("alice", "reader"), { ...alice, role: "reader" });
  assert.deepEqual(await accounts.check("person", "alice", password), { ...alice, role: "reader" });
  assert.equal(await accounts.setRole("bob", "admin"), undefined);
});
