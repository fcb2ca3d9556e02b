import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type Selectable } from "../lib/db.ts";
import { aboutMember } from "../lib/errors.ts";
import { canonicalJson, sha256 } from "../lib/files.ts";
import { ownIdOf, patchedLink, requireUsable, type Link } from "./links.ts";
import type { Tables } from "./migrations.ts";
import type { KiwiSpec, RecipeSpec } from "./schema.ts";
import type { RecipeEntry } from "./store.ts";
import type { Arch, LinuxDistribution, RecipeType } from "./types.ts";

/** What IMS knows of a recipe. One without content was made by an IMS client, and is a record and nothing more. */
export interface RecipeRecord {
  /** UUID. */
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly arch: Arch;
  readonly type: RecipeType;
  /** The nearest of those that IMS has a name for. */
  readonly linux: LinuxDistribution;
  readonly template: Readonly<Record<string, string>>;
  readonly requireDkms: boolean;
  /** To its archive. */
  readonly link: Link | undefined;
  /** Whether the recipe is kept here, as `RecipeStore` has it. */
  readonly content: boolean;
  readonly deleted: string | undefined;
}

export interface RecipeChange {
  readonly link?: Link | undefined;
  readonly arch?: Arch | undefined;
  readonly template?: RecipeRecord["template"] | undefined;
  readonly requireDkms?: boolean | undefined;
}

export interface RecipeRecordStore {
  /** All recipes, or all that are deleted, oldest first. */
  list(which: "live" | "deleted"): Promise<RecipeRecord[]>;
  /** By its whole id. */
  find(id: string, which: "live" | "deleted"): Promise<RecipeRecord | undefined>;
  /** Makes a record of a recipe that is not here. Throws `invalid_input` for a link that it cannot have. */
  register(record: Omit<RecipeRecord, "id" | "created" | "content" | "deleted">): Promise<RecipeRecord>;
  /** Undefined when there is no such recipe. Throws `conflict` for another link than it has, and as `register` does. */
  change(id: string, change: RecipeChange): Promise<RecipeRecord | undefined>;
}

export function openRecipeRecords(database: Database): RecipeRecordStore {
  const db = database.withTables<Tables>();
  const rows = (from: Kysely<Tables>, which: "live" | "deleted") =>
    from
      .selectFrom("recipe")
      .selectAll()
      .where("deleted", which === "live" ? "is" : "is not", null);
  const findRow = (from: Kysely<Tables>, id: string) => rows(from, "live").where("id", "=", id).executeTakeFirst();
  const isTaken = async (from: Kysely<Tables>, link: Link) => {
    const own = await findRow(from, ownIdOf(link) ?? "");
    if (own !== undefined && toRecord(own).link?.path === link.path) return true;
    return (await rows(from, "live").where("link_path", "=", link.path).executeTakeFirst()) !== undefined;
  };
  return {
    list: async (which) =>
      (
        await rows(db, which)
          .orderBy("created")
          .orderBy(sql`rowid`)
          .execute()
      ).map(toRecord),
    find: async (id, which) => {
      const row = await rows(db, which).where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : toRecord(row);
    },
    register: async ({ name, arch, type, linux, template, requireDkms, link }) =>
      db.transaction().execute(async (trx) => {
        if (link !== undefined) requireUsable(link, await isTaken(trx, link));
        const spec = emptySpec(name, arch, template);
        const row = await trx
          .insertInto("recipe")
          .values({
            ...{ id: clock.uuid(), name, created: timestamp(), type, linux, digest: "", files: "[]", content: 0 },
            ...{ spec: JSON.stringify(spec), require_dkms: requireDkms ? 1 : 0 },
            ...{ link_path: link?.path ?? null, link_etag: link?.etag ?? null },
          })
          .returningAll()
          .executeTakeFirstOrThrow();
        return toRecord(row);
      }),
    change: async (id, { link: wanted, arch, template, requireDkms }) =>
      db.transaction().execute(async (trx) => {
        const row = await findRow(trx, id);
        if (row === undefined) return undefined;
        const current = toRecord(row).link;
        const link = wanted === undefined ? current : patchedLink(current, wanted);
        if (link !== undefined && link !== current) requireUsable(link, await isTaken(trx, link));
        const changed = await trx
          .updateTable("recipe")
          .set({
            ...(link !== current && { link_path: link?.path ?? null, link_etag: link?.etag ?? null }),
            ...(requireDkms !== undefined && { require_dkms: requireDkms ? 1 : 0 }),
            ...changedSpec(row, arch, template),
            id,
          })
          .where("id", "=", id)
          .returningAll()
          .executeTakeFirstOrThrow();
        return toRecord(changed);
      }),
  };
}

type Row = Selectable<Tables["recipe"]>;

/** Spec and digest as they are with another architecture or other values; nothing when they stay as they are. */
function changedSpec(row: Row, arch: Arch | undefined, template: RecipeRecord["template"] | undefined) {
  const spec = JSON.parse(row.spec) as RecipeSpec;
  if (template !== undefined && spec.distribution !== "kiwi") {
    throw aboutMember("template_dictionary", "only recipes of KIWI have values for templates");
  }
  const changed = { ...spec, ...(arch !== undefined && { arch }), ...(template !== undefined && { template }) };
  const text = JSON.stringify(changed);
  if (text === row.spec) return {};
  const files = JSON.parse(row.files) as RecipeEntry[];
  const digest = sha256(
    canonicalJson([sha256(canonicalJson(files.map((file) => [file.path, file.executable, file.sha256]))), changed]),
  );
  return { spec: text, ...(row.content === 1 && { digest }) };
}

/** Of a recipe of which only the record is there. */
function emptySpec(name: string, arch: Arch, template: RecipeRecord["template"]): KiwiSpec {
  return {
    ...{ name, arch, distribution: "kiwi", template: { ...template }, profiles: [] },
    ...{ layers: [], outputs: ["squashfs"], checks: [], epoch: 0 },
  };
}

function toRecord(row: Row): RecipeRecord {
  const { id, name, created, type } = row;
  const spec = JSON.parse(row.spec) as RecipeSpec;
  return {
    ...{ id, name, created, type, arch: spec.arch, content: row.content === 1 },
    linux: row.linux ?? linuxOf(spec),
    template: spec.distribution === "kiwi" ? spec.template : {},
    requireDkms: row.require_dkms === 1,
    link: linkOf(row),
    deleted: row.deleted ?? undefined,
  };
}

/** IMS has three names, and none for Debian's family. */
function linuxOf({ distribution }: RecipeSpec): LinuxDistribution {
  return distribution === "el" ? "centos7" : "sles15";
}

/** IMS moves the archive of a recipe that it deletes. */
function linkOf({ id, content, deleted, digest, link_path, link_etag }: Row): Link | undefined {
  if (content === 0) return link_path === null ? undefined : { path: link_path, etag: link_etag ?? undefined };
  return { path: `s3://ims/${deleted === null ? "" : "deleted/"}recipes/${id}/recipe.tar.gz`, etag: digest };
}
