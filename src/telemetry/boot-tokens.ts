import { createHmac, createSecretKey, timingSafeEqual, type KeyObject } from "node:crypto";
import { clock } from "../lib/clock.ts";
import { prepareRead, type Database, type Migration } from "../lib/db.ts";
import type { Boot, BootRecords } from "./boots.ts";

type Tables = { boot_token_key: { id: number; key: string } };

export const bootTokenMigrations: Record<string, Migration> = {
  "0510-boot-token": {
    up: async (db) => {
      await db.schema
        .createTable("boot_token_key")
        .addColumn("id", "integer", (column) => column.primaryKey())
        .addColumn("key", "text", (column) => column.notNull())
        .execute();
      await db
        .withTables<Tables>()
        .insertInto("boot_token_key")
        .values({ id: 1, key: clock.randomHex(32) })
        .execute();
    },
  },
};

/**
 * What a node shows to prove which boot it is in. It is made from the boot's id and a key that never leaves the
 * database, so nothing is written for it when thousands of nodes boot; and the id alone, which lets its holder report
 * and stands where administrators look, does not give it.
 */
export interface BootTokens {
  of(bootId: string): string;
  /** The boot whose token this is. Undefined when it is none, or the node has begun another boot long since. */
  find(token: string): Promise<Boot | undefined>;
}

/**
 * A token is good as long as its boot is the newest or the one that the node is in, and otherwise for so long after it
 * began: anybody may fetch a script in a node's name, which begins a boot, and the node must not lose its data by that.
 */
const graceHours = 24;

export function openBootTokens(database: Database, boots: Pick<BootRecords, "get" | "latest" | "current">): BootTokens {
  const readKey = prepareRead<Tables["boot_token_key"]>(database, "select id, key from boot_token_key");
  let key: KeyObject | undefined;
  const macOf = (bootId: string) => {
    key ??= createSecretKey((readKey()[0] as Tables["boot_token_key"]).key, "utf8");
    return createHmac("sha256", key).update(bootId).digest("hex").slice(0, 32);
  };
  return {
    of: (bootId) => `${bootId}-${macOf(bootId)}`,
    find: async (token) => {
      const [, bootId, mac] = /^([0-9a-f]{32})-([0-9a-f]{32})$/.exec(token) ?? [];
      if (bootId === undefined || mac === undefined) return undefined;
      if (!timingSafeEqual(Buffer.from(mac), Buffer.from(macOf(bootId)))) return undefined;
      const boot = await boots.get(bootId);
      if (boot === undefined) return undefined;
      const age = clock.now().getTime() - Date.parse(boot.started);
      if (age < graceHours * 3_600_000) return boot;
      const good = [await boots.latest(boot.xname), await boots.current(boot.xname)];
      return good.some((one) => one?.id === bootId) ? boot : undefined;
    },
  };
}
