import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { amongTexts } from "./components.ts";
import type { Tables } from "./tables.ts";
import type { HsmGroup } from "./types.ts";

type Kind = "group" | "partition";

export interface GroupQuery {
  readonly labels: readonly string[];
  readonly tags: readonly string[];
  /** Only labels that sort after this one. */
  readonly after?: string | undefined;
  /** All when not given. */
  readonly limit?: number | undefined;
}

/** Groups or partitions. Members are xnames; whether there is such a component does not matter. */
export interface GroupStore {
  /** With any of the labels and any of the tags, where some are given; sorted by label. */
  list(query: GroupQuery): Promise<HsmGroup[]>;
  labels(): Promise<string[]>;
  get(label: string): Promise<HsmGroup | undefined>;
  /** Throws `conflict` when there is one, or a member is elsewhere and may be in one only. */
  create(group: HsmGroup): Promise<void>;
  /** Throws `not_found`. */
  change(
    label: string,
    change: { description?: string | undefined; tags?: readonly string[] | undefined },
  ): Promise<void>;
  remove(label: string): Promise<boolean>;
  /** Throws `not_found` and `conflict`, the latter also for one that is a member already. */
  addMember(label: string, xname: string): Promise<void>;
  /** These and no others. */
  setMembers(label: string, xnames: readonly string[]): Promise<void>;
  /** False when it is no member; throws `not_found` when there is no such group. */
  removeMember(label: string, xname: string): Promise<boolean>;
}

export function openGroupStore(database: Database, kind: Kind): GroupStore {
  const db = database.withTables<Tables>();
  const select = () => db.selectFrom("inventory_group").selectAll().where("kind", "=", kind).orderBy(sql.ref("label"));
  return {
    list: async ({ labels, tags, after, limit }) => {
      let query = select();
      if (after !== undefined) query = query.where("label", ">", after);
      if (limit !== undefined) query = query.limit(limit);
      if (labels.length > 0) query = query.where("label", "in", amongTexts(labels));
      if (tags.length > 0) {
        query = query.where(sql<boolean>`exists (select 1 from json_each(tags) where value in ${amongTexts(tags)})`);
      }
      return withMembers(db, await query.execute());
    },
    labels: async () => (await select().execute()).map(({ label }) => label),
    get: async (label) => (await withMembers(db, await select().where("label", "=", label).execute()))[0],
    create: async ({ label, description, tags, exclusive, members }) => {
      await db.transaction().execute(async (trx) => {
        const known = trx.selectFrom("inventory_group").select("label").where("kind", "=", kind);
        if ((await known.where("label", "=", label).executeTakeFirst()) !== undefined) {
          throw new NetkilnError("conflict", `there is already a ${kind} ${label}`);
        }
        await trx
          .insertInto("inventory_group")
          .values({ kind, label, description, tags: JSON.stringify(tags), exclusive: exclusive ?? null })
          .execute();
        await addMembers(trx, kind, label, members);
      });
    },
    change: async (label, { description, tags }) => {
      await refuseUnknown(db, kind, label);
      if (description === undefined && tags === undefined) return;
      await db
        .updateTable("inventory_group")
        .set({
          ...(description !== undefined && { description }),
          ...(tags !== undefined && { tags: JSON.stringify(tags) }),
        })
        .where("kind", "=", kind)
        .where("label", "=", label)
        .execute();
    },
    remove: async (label) => {
      const gone = db.deleteFrom("inventory_group").where("kind", "=", kind).where("label", "=", label);
      return (await gone.executeTakeFirst()).numDeletedRows > 0n;
    },
    addMember: async (label, xname) => {
      await db.transaction().execute(async (trx) => {
        await refuseUnknown(trx, kind, label);
        const member = trx.selectFrom("inventory_member").select("xname").where("kind", "=", kind);
        if ((await member.where("label", "=", label).where("xname", "=", xname).executeTakeFirst()) !== undefined) {
          throw new NetkilnError("conflict", `${xname} is already in the ${kind} ${label}`);
        }
        await addMembers(trx, kind, label, [xname]);
      });
    },
    setMembers: async (label, xnames) => {
      await db.transaction().execute(async (trx) => {
        await refuseUnknown(trx, kind, label);
        await replaceMembers(trx, kind, label, xnames);
      });
    },
    removeMember: async (label, xname) => {
      await refuseUnknown(db, kind, label);
      const gone = db.deleteFrom("inventory_member").where("kind", "=", kind).where("label", "=", label);
      return (await gone.where("xname", "=", xname).executeTakeFirst()).numDeletedRows > 0n;
    },
  };
}

async function refuseUnknown(db: Kysely<Tables>, kind: Kind, label: string): Promise<void> {
  const known = db.selectFrom("inventory_group").select("label").where("kind", "=", kind).where("label", "=", label);
  if ((await known.executeTakeFirst()) === undefined) {
    throw new NetkilnError("not_found", `there is no ${kind} ${label}`);
  }
}

/** Within a transaction, of a group that is there. Throws `conflict` as `create` does. */
export async function replaceMembers(
  db: Kysely<Tables>,
  kind: Kind,
  label: string,
  xnames: readonly string[],
): Promise<void> {
  await db.deleteFrom("inventory_member").where("kind", "=", kind).where("label", "=", label).execute();
  await addMembers(db, kind, label, xnames);
}

export async function addMembers(
  db: Kysely<Tables>,
  kind: Kind,
  label: string,
  xnames: readonly string[],
): Promise<void> {
  const group = await db
    .selectFrom("inventory_group")
    .select("exclusive")
    .where("kind", "=", kind)
    .where("label", "=", label)
    .executeTakeFirst();
  const exclusive = kind === "partition" ? "partition" : (group?.exclusive ?? null);
  if (exclusive !== null) {
    const other = await db
      .selectFrom("inventory_member")
      .select(["xname", "label"])
      .where("kind", "=", kind)
      .where("exclusive", "=", exclusive)
      .where("xname", "in", amongTexts(xnames))
      .executeTakeFirst();
    if (other !== undefined) {
      throw new NetkilnError("conflict", `${other.xname} is in ${other.label}, and may be in one such ${kind} only`);
    }
  }
  await sql`
    insert or ignore into inventory_member (kind, label, xname, exclusive)
    select ${kind}, ${label}, value, ${exclusive} from json_each(${JSON.stringify(xnames)})`.execute(db);
}

async function withMembers(db: Kysely<Tables>, groups: Tables["inventory_group"][]): Promise<HsmGroup[]> {
  const kind = groups[0]?.kind;
  if (kind === undefined) return [];
  const rows = await db
    .selectFrom("inventory_member")
    .select(["label", "xname"])
    .where("kind", "=", kind)
    .where("label", "in", amongTexts(groups.map(({ label }) => label)))
    .orderBy(sql.ref("xname"))
    .execute();
  const membersOf = Map.groupBy(rows, ({ label }) => label);
  return groups.map(({ label, description, tags, exclusive }) => ({
    label,
    description,
    tags: JSON.parse(tags) as string[],
    exclusive: exclusive ?? undefined,
    members: (membersOf.get(label) ?? []).map(({ xname }) => xname),
  }));
}
