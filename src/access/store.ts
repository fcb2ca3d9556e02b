import { clock, timestamp } from "../lib/clock.ts";
import type { Database, Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { sha256 } from "../lib/files.ts";

type Tables = {
  token: { name: string; hash: string; created: string; expires: string };
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
};

export interface Token {
  readonly name: string;
  readonly created: string;
  readonly expires: string;
}

/** Tokens let callers in over TCP. Only their hashes are kept; a token is seen once, when it is made. */
export interface TokenStore {
  create(name: string, days: number): Promise<Token & { readonly secret: string }>;
  list(page: { limit: number; after?: string | undefined }): Promise<Token[]>;
  remove(name: string): Promise<boolean>;
  /** The name of the caller, or undefined for a secret that is unknown or has expired. */
  check(secret: string): Promise<string | undefined>;
}

/** 256 random bits need no slow hash: they cannot be guessed from it. */
const secretBytes = 32;

export function openTokenStore(database: Database): TokenStore {
  const db = database.withTables<Tables>();
  return {
    create: async (name, days) => {
      const existing = await db.selectFrom("token").select("name").where("name", "=", name).executeTakeFirst();
      if (existing !== undefined) {
        throw new NetkilnError("conflict", `there is already a token "${name}"`, {
          hint: "remove it first, or use another name",
        });
      }
      const secret = `nk_${clock.randomHex(secretBytes)}`;
      const now = clock.now();
      const token = { name, created: timestamp(now), expires: timestamp(new Date(now.getTime() + days * 86_400_000)) };
      await db
        .insertInto("token")
        .values({ ...token, hash: sha256(secret) })
        .execute();
      return { ...token, secret };
    },
    list: async ({ limit, after = "" }) =>
      db
        .selectFrom("token")
        .select(["name", "created", "expires"])
        .where("name", ">", after)
        .orderBy("name")
        .limit(limit)
        .execute(),
    remove: async (name) => {
      const result = await db.deleteFrom("token").where("name", "=", name).executeTakeFirst();
      return result.numDeletedRows > 0n;
    },
    check: async (secret) => {
      const row = await db
        .selectFrom("token")
        .select("name")
        .where("hash", "=", sha256(secret))
        .where("expires", ">", timestamp())
        .executeTakeFirst();
      return row?.name;
    },
  };
}
