import { clock, timestamp } from "../lib/clock.ts";
import type { Database, Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { sha256 } from "../lib/files.ts";
import { accountMigrations } from "./accounts.ts";
import type { Role } from "./roles.ts";
import { tenantMigrations } from "./tenants.ts";

type Tables = {
  token: { name: string; hash: string; created: string; expires: string; role: Role; tenant: string | null };
};

export const migrations: Record<string, Migration> = {
  "0005-access": {
    up: async (db) => {
      await db.schema
        .createTable("token")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("hash", "text", (column) => column.notNull().unique())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("expires", "text", (column) => column.notNull())
        .execute();
    },
  },
  "0552-token-roles": {
    up: async (db) => {
      // Tokens of before there were roles could do everything.
      await db.schema
        .alterTable("token")
        .addColumn("role", "text", (column) => column.notNull().defaultTo("admin"))
        .execute();
      await db.schema.alterTable("token").addColumn("tenant", "text").execute();
    },
  },
  ...accountMigrations,
  ...tenantMigrations,
};

export interface Token {
  readonly name: string;
  readonly created: string;
  readonly expires: string;
  readonly role: Role;
  /** Its bearer sees and changes only what is this tenant's. */
  readonly tenant?: string;
}

export interface NewToken {
  readonly name: string;
  readonly days: number;
  readonly role: Role;
  readonly tenant?: string | undefined;
}

/** Tokens let callers in over TCP. Only their hashes are kept; a token is seen once, when it is made. */
export interface TokenStore {
  create(wanted: NewToken): Promise<Token & { readonly secret: string }>;
  list(page: { limit: number; after?: string | undefined }): Promise<Token[]>;
  remove(name: string): Promise<boolean>;
  /** Undefined for a secret that is unknown or has expired. */
  check(secret: string): Promise<Token | undefined>;
}

/** 256 random bits need no slow hash: they cannot be guessed from it. */
const secretBytes = 32;

export function openTokenStore(database: Database): TokenStore {
  const db = database.withTables<Tables>();
  return {
    create: async ({ name, days, role, tenant }) => {
      const existing = await db.selectFrom("token").select("name").where("name", "=", name).executeTakeFirst();
      if (existing !== undefined) {
        throw new NetkilnError("conflict", `there is already a token "${name}"`, {
          hint: "remove it first, or use another name",
        });
      }
      const secret = `nk_${clock.randomHex(secretBytes)}`;
      const now = clock.now();
      const expires = timestamp(new Date(now.getTime() + days * 86_400_000));
      const row = { name, created: timestamp(now), expires, role, tenant: tenant ?? null };
      await db
        .insertInto("token")
        .values({ ...row, hash: sha256(secret) })
        .execute();
      return { ...toToken(row), secret };
    },
    list: async ({ limit, after = "" }) => {
      const rows = db.selectFrom("token").select(shown).where("name", ">", after).orderBy("name").limit(limit);
      return (await rows.execute()).map(toToken);
    },
    remove: async (name) => {
      const result = await db.deleteFrom("token").where("name", "=", name).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
    check: async (secret) => {
      const row = await db
        .selectFrom("token")
        .select(shown)
        .where("hash", "=", sha256(secret))
        .where("expires", ">", timestamp())
        .executeTakeFirst();
      return row && toToken(row);
    },
  };
}

const shown = ["name", "created", "expires", "role", "tenant"] as const;

function toToken({ tenant, ...row }: Pick<Tables["token"], (typeof shown)[number]>): Token {
  return { ...row, ...(tenant !== null && { tenant }) };
}
