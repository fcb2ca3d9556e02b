import { clock, timestamp } from "../lib/clock.ts";
import type { Database, Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { hashPassword, isPassword, usualCost, type Cost } from "./password.ts";
import type { Role } from "./roles.ts";

/** A person logs in with a password; a service with its client id, which is the account's name, and a secret. */
export const accountKinds = ["person", "service"] as const;
export type AccountKind = (typeof accountKinds)[number];

export interface Account {
  readonly id: string;
  readonly name: string;
  readonly kind: AccountKind;
  readonly role: Role;
  /** It sees and changes only what is this tenant's. */
  readonly tenant?: string;
  /** Counts passwords: tokens of an earlier one have ended. */
  readonly generation: number;
  readonly created: string;
}

export interface NewAccount extends Pick<Account, "name" | "kind" | "role"> {
  readonly tenant?: string | undefined;
  readonly password: string;
}

export interface AccountStore {
  /** Throws `conflict` when there is one of the name. */
  create(wanted: NewAccount): Promise<Account>;
  list(page: { limit: number; after?: string | undefined }): Promise<Account[]>;
  find(name: string): Promise<Account | undefined>;
  findById(id: string): Promise<Account | undefined>;
  /** Its tokens end with it. */
  remove(name: string): Promise<boolean>;
  /** Its tokens of before end. */
  setPassword(name: string, password: string): Promise<boolean>;
  /** Counts at once, also for tokens of before. */
  setRole(name: string, role: Role): Promise<Account | undefined>;
  /** The account of this name and kind, when the password is its own; as slow when it is not, or there is none. */
  check(kind: AccountKind, name: string, password: string): Promise<Account | undefined>;
}

interface Row {
  id: string;
  name: string;
  kind: AccountKind;
  role: Role;
  tenant: string | null;
  password: string;
  generation: number;
  created: string;
}
type Tables = { account: Row };

export const accountMigrations: Record<string, Migration> = {
  "0550-accounts": {
    up: async (db) => {
      await db.schema
        .createTable("account")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull().unique())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("role", "text", (column) => column.notNull())
        .addColumn("tenant", "text")
        .addColumn("password", "text", (column) => column.notNull())
        .addColumn("generation", "integer", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .execute();
    },
  },
};

export function openAccounts(database: Database, cost: Cost = usualCost): AccountStore {
  const db = database.withTables<Tables>();
  // What an unknown account's password is compared with.
  let nobody: Promise<string> | undefined;
  const rowOf = (name: string) => db.selectFrom("account").selectAll().where("name", "=", name).executeTakeFirst();
  return {
    create: async ({ name, kind, role, tenant, password }) => {
      const hash = await hashPassword(password, cost);
      const row = { id: clock.uuid(), name, kind, role, tenant: tenant ?? null };
      const made = { ...row, password: hash, generation: 1, created: timestamp() };
      const { numInsertedOrUpdatedRows: count } = await db
        .insertInto("account")
        .values(made)
        .onConflict((conflict) => conflict.column("name").doNothing())
        .executeTakeFirst();
      if (count === 1n) return toAccount(made);
      throw new NetkilnError("conflict", `there is already an account "${name}"`, {
        hint: "use another name, or netkiln accounts passwd for another password",
      });
    },
    list: async ({ limit, after = "" }) => {
      const rows = db.selectFrom("account").selectAll().where("name", ">", after).orderBy("name").limit(limit);
      return (await rows.execute()).map(toAccount);
    },
    find: async (name) => {
      const row = await rowOf(name);
      return row && toAccount(row);
    },
    findById: async (id) => {
      const row = await db.selectFrom("account").selectAll().where("id", "=", id).executeTakeFirst();
      return row && toAccount(row);
    },
    remove: async (name) => {
      const result = await db.deleteFrom("account").where("name", "=", name).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
    setPassword: async (name, password) => {
      const hash = await hashPassword(password, cost);
      const result = await db
        .updateTable("account")
        .set((row) => ({ password: hash, generation: row("generation", "+", 1) }))
        .where("name", "=", name)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },
    setRole: async (name, role) => {
      await db.updateTable("account").set({ role }).where("name", "=", name).execute();
      const row = await rowOf(name);
      return row && toAccount(row);
    },
    check: async (kind, name, password) => {
      nobody ??= hashPassword(clock.randomHex(16), cost);
      const decoy = await nobody;
      const row = await rowOf(name);
      const isRight = await isPassword(password, row?.password ?? decoy);
      return isRight && row?.kind === kind ? toAccount(row) : undefined;
    },
  };
}

function toAccount(row: Row): Account {
  const { password: _, tenant, ...account } = row;
  return { ...account, ...(tenant !== null && { tenant }) };
}
