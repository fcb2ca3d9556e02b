/** Accounts and their tokens for tests, with passwords that are quick to check. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate, openDatabase } from "../lib/db.ts";
import { openAccountTokens } from "./account-tokens.ts";
import { openAccounts } from "./accounts.ts";
import { migrations, openTokenStore } from "./store.ts";

export const quickCost = { logN: 4, r: 1, p: 1 };
export const issuer = "https://admin.example.org/keycloak/realms/shasta";
export const password = "correct horse battery";

export async function plantAccess() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const folder = await mkdtemp(join(tmpdir(), "nk-keys-"));
  const accounts = openAccounts(db, quickCost);
  const rules = { folder, issuer: () => issuer, accessSeconds: 3600, refreshSeconds: 86_400 };
  const tokens = openAccountTokens(accounts, rules);
  const alice = await accounts.create({ name: "alice", kind: "person", role: "operator", password });
  return { folder, accounts, rules, tokens, opaque: openTokenStore(db), alice };
}
