import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Tables } from "./migrations.ts";
import type { RecipeSpec } from "./schema.ts";
import type { Attestation, Image } from "./types.ts";

/** A file of a recipe; its content is a blob. */
export interface RecipeEntry {
  readonly path: string;
  readonly executable: boolean;
  readonly sha256: string;
}

export interface Recipe {
  readonly id: string;
  readonly name: string;
  readonly digest: string;
  readonly created: string;
  readonly spec: RecipeSpec;
  readonly files: readonly RecipeEntry[];
}

/** `deleted` is when it was; what is deleted can be brought back until it is destroyed. */
export type Deleted<T> = T & { readonly deleted: string };

export interface Page {
  readonly limit: number;
  /** Goes on after the entry with this id or name, as the last page's `next` said. */
  readonly after?: string | undefined;
}

export interface RecipeStore {
  /** Adds a recipe, or gives the one of that name a new content under its old id. */
  putRecipe(recipe: Omit<Recipe, "id" | "created" | "name">): Promise<{ recipe: Recipe; changed: boolean }>;
  /** By name, id or unique prefix of the id. */
  findRecipe(name: string): Promise<Recipe | undefined>;
  listRecipes(page: Page): Promise<Recipe[]>;
  /** Takes it out of use and keeps it; false when there is none with this id. */
  deleteRecipe(id: string): Promise<boolean>;
  /** As findDeletedImage. */
  findDeletedRecipe(name: string): Promise<Deleted<Recipe> | undefined>;
  /** In the order of their ids; `after` is an id. */
  listDeletedRecipes(page: Page): Promise<Deleted<Recipe>[]>;
  /** Throws `conflict` when another recipe bears its name now. */
  undeleteRecipe(id: string): Promise<boolean>;
  /** Ends a deleted recipe for good. */
  destroyRecipe(id: string): Promise<boolean>;
}

export interface ImageStore extends RecipeStore {
  /** The pointer that makes an image exist. Its id is chosen before, as its manifest holds it. */
  publish(image: Image): Promise<void>;
  /** Makes an image that was published before the one that its name means again. */
  makeNewest(id: string): Promise<void>;
  /** By channel, name (then the newest), id, or unique prefix of the id; never a deleted one. */
  findImage(name: string): Promise<Image | undefined>;
  /** Adds what was found out about an image. */
  attest(id: string, attestation: Attestation): Promise<void>;
  /** Oldest first. */
  attestations(id: string): Promise<Attestation[]>;
  findImagesByName(name: string): Promise<Image[]>;
  /** The newest image with this name and this content. */
  findSameImage(name: string, buildId: string): Promise<Image | undefined>;
  /** Newest first. */
  listImages(page: Page): Promise<Image[]>;
  /**
   * Takes an image out of use and keeps all that it has; false when there is none with this id.
   * Throws `refused` while a channel points at it.
   */
  deleteImage(id: string): Promise<boolean>;
  /** By id, unique prefix of the id, or name, when only one deleted image bears it. */
  findDeletedImage(name: string): Promise<Deleted<Image> | undefined>;
  /** Newest first. */
  listDeletedImages(page: Page): Promise<Deleted<Image>[]>;
  /** Brings a deleted image back as it was. */
  undeleteImage(id: string): Promise<boolean>;
  /** Ends a deleted image for good: what only it needed may go with the next garbage collection. */
  destroyImage(id: string): Promise<boolean>;
}

export function openImageStore(database: Database): ImageStore {
  const db = database.withTables<Tables>();
  return { ...recipeMethods(db), ...imageMethods(db), ...deletionMethods(db) };
}

type DeletionMethods = Pick<
  ImageStore,
  "deleteImage" | "findDeletedImage" | "listDeletedImages" | "undeleteImage" | "destroyImage"
>;

function recipeMethods(db: Kysely<Tables>): RecipeStore {
  const withContent = () => db.selectFrom("recipe").selectAll().where("content", "=", 1);
  const recipes = () => withContent().where("deleted", "is", null);
  const deletedRecipes = () => withContent().where("deleted", "is not", null).orderBy("id");
  return {
    putRecipe: async ({ spec, digest, files }) => {
      const existing = await recipes().where("name", "=", spec.name).executeTakeFirst();
      if (existing?.digest === digest) return { recipe: toRecipe(existing), changed: false };
      const row = {
        id: existing?.id ?? clock.uuid(),
        name: spec.name,
        digest,
        created: timestamp(),
        spec: JSON.stringify(spec),
        files: JSON.stringify(files),
        deleted: null,
      };
      await db
        .insertInto("recipe")
        .values(row)
        .onConflict((conflict) =>
          conflict.column("name").where("deleted", "is", null).where("content", "=", sql.lit(1)).doUpdateSet(row),
        )
        .execute();
      return { recipe: toRecipe(row), changed: true };
    },
    findRecipe: async (name) => {
      const rows = await recipes()
        .where((where) => where.or([where("name", "=", name), where("id", "like", idPrefix(name))]))
        .limit(3)
        .execute();
      const row = rows.find((candidate) => candidate.name === name) ?? onlyOne(rows, "recipe", name);
      return row === undefined ? undefined : toRecipe(row);
    },
    listRecipes: async ({ limit, after = "" }) => {
      const rows = await recipes().where("name", ">", after).orderBy("name").limit(limit).execute();
      return rows.map(toRecipe);
    },
    deleteRecipe: async (id) => setDeleted(db, "recipe", id, timestamp()),
    findDeletedRecipe: async (name) => {
      const byId = await deletedRecipes().where("id", "like", idPrefix(name)).limit(2).execute();
      const rows = byId.length > 0 ? byId : await deletedRecipes().where("name", "=", name).limit(2).execute();
      const row = onlyOneDeleted(rows, "recipe", name);
      return row === undefined ? undefined : withDeleted(toRecipe(row), row);
    },
    listDeletedRecipes: async ({ limit, after = "" }) => {
      const rows = await deletedRecipes().where("id", ">", after).limit(limit).execute();
      return rows.map((row) => withDeleted(toRecipe(row), row));
    },
    undeleteRecipe: async (id) =>
      db.transaction().execute(async (trx) => {
        const row = await trx.selectFrom("recipe").select(["name", "content"]).where("id", "=", id).executeTakeFirst();
        if (row?.content === 0) return setDeleted(trx, "recipe", id, null);
        const namesake = trx
          .selectFrom("recipe")
          .select("id")
          .where("content", "=", 1)
          .where("name", "=", row?.name ?? "");
        const other = await namesake.where("deleted", "is", null).where("id", "!=", id).executeTakeFirst();
        if (other === undefined) return setDeleted(trx, "recipe", id, null);
        throw new NetkilnError("conflict", `there is another recipe ${row?.name} now (${other.id})`, {
          hint: "delete that one first",
        });
      }),
    destroyRecipe: async (id) => destroy(db, "recipe", id),
  };
}

function imageMethods(db: Kysely<Tables>): Omit<ImageStore, keyof RecipeStore | keyof DeletionMethods> {
  const images = () =>
    db
      .selectFrom("image")
      .selectAll("image")
      .where("image.deleted", "is", null)
      .where("image.content", "=", 1)
      .orderBy("image.sequence", "desc");
  return {
    makeNewest: async (id) => {
      await db
        .updateTable("image")
        .set({ sequence: nextSequence })
        .where("id", "=", id)
        .where(sql<boolean>`sequence < (select max(other.sequence) from image as other where other.name = image.name)`)
        .execute();
    },
    publish: async (image) => {
      await db
        .insertInto("image")
        .values({
          id: image.id,
          name: image.name,
          build_id: image.buildId,
          created: image.created,
          sequence: nextSequence,
          data: JSON.stringify(image),
          arch: image.arch,
          etag: image.artifacts.manifest.md5,
        })
        .execute();
    },
    attest: async (id, attestation) => {
      await db
        .insertInto("image_attestation")
        .values({ image: id, data: JSON.stringify(attestation) })
        .execute();
    },
    attestations: async (id) => {
      const rows = db.selectFrom("image_attestation").select("data").where("image", "=", id).orderBy("number");
      return (await rows.execute()).map(({ data }) => JSON.parse(data) as Attestation);
    },
    findImage: async (name) => {
      const pointed = images().innerJoin("channel", "channel.image", "image.id").where("channel.name", "=", name);
      const named = (await pointed.executeTakeFirst()) ?? (await images().where("name", "=", name).executeTakeFirst());
      const row =
        named ?? onlyOne(await images().where("id", "like", idPrefix(name)).limit(2).execute(), "image", name);
      return row === undefined ? undefined : toImage(row);
    },
    findImagesByName: async (name) => (await images().where("name", "=", name).execute()).map(toImage),
    findSameImage: async (name, buildId) => {
      const row = await images().where("name", "=", name).where("build_id", "=", buildId).executeTakeFirst();
      return row === undefined ? undefined : toImage(row);
    },
    listImages: async ({ limit, after }) => {
      const rows = await images()
        .$if(after !== undefined, (query) => query.where(olderThan(after)))
        .limit(limit)
        .execute();
      return rows.map(toImage);
    },
  };
}

function deletionMethods(db: Kysely<Tables>): DeletionMethods {
  const deleted = () =>
    db
      .selectFrom("image")
      .selectAll()
      .where("deleted", "is not", null)
      .where("content", "=", 1)
      .orderBy("sequence", "desc");
  return {
    deleteImage: async (id) =>
      db.transaction().execute(async (trx) => {
        const pointing = await trx.selectFrom("channel").select("name").where("image", "=", id).execute();
        if (pointing.length === 0) return setDeleted(trx, "image", id, timestamp());
        const names = pointing.map(({ name }) => name).join(", ");
        throw new NetkilnError("refused", `the channel ${names} points at image ${id}`, {
          hint: "move the channel first (netkiln images promote), or delete it (netkiln channels delete)",
        });
      }),
    findDeletedImage: async (name) => {
      const byId = await deleted().where("id", "like", idPrefix(name)).limit(2).execute();
      const rows = byId.length > 0 ? byId : await deleted().where("name", "=", name).limit(2).execute();
      const row = onlyOneDeleted(rows, "image", name);
      return row === undefined ? undefined : withDeleted(toImage(row), row);
    },
    listDeletedImages: async ({ limit, after }) => {
      const rows = await deleted()
        .$if(after !== undefined, (query) => query.where(olderThan(after)))
        .limit(limit)
        .execute();
      return rows.map((row) => withDeleted(toImage(row), row));
    },
    undeleteImage: async (id) => setDeleted(db, "image", id, null),
    destroyImage: async (id) => destroy(db, "image", id),
  };
}

export const nextSequence = sql<number>`(select coalesce(max(sequence), 0) + 1 from image)`;

function olderThan(id: string | undefined) {
  return sql<boolean>`sequence < (select sequence from image where id = ${id ?? ""})`;
}

/** False when it is gone, or was so already. */
async function setDeleted(
  db: Kysely<Tables>,
  table: "image" | "recipe",
  id: string,
  time: string | null,
): Promise<boolean> {
  if (time === null) await requireFreeLink(db, table, id);
  const update = db.updateTable(table).set({ deleted: time }).where("id", "=", id);
  const result = await update.where("deleted", time === null ? "is not" : "is", null).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Throws `conflict` for a deleted record whose link another one has now. */
async function requireFreeLink(db: Kysely<Tables>, table: "image" | "recipe", id: string): Promise<void> {
  const { link_path: path = null } =
    (await db.selectFrom(table).select("link_path").where("id", "=", id).executeTakeFirst()) ?? {};
  if (path === null) return;
  const other = db.selectFrom(table).select("id").where("deleted", "is", null).where("link_path", "=", path);
  const holder = await other.executeTakeFirst();
  if (holder === undefined) return;
  throw new NetkilnError("conflict", `${path} belongs to the ${table} ${holder.id} now`, {
    hint: "delete that one first",
  });
}

async function destroy(db: Kysely<Tables>, table: "image" | "recipe", id: string): Promise<boolean> {
  const result = await db.deleteFrom(table).where("id", "=", id).where("deleted", "is not", null).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

function toRecipe(row: Pick<Tables["recipe"], keyof Recipe>): Recipe {
  const { id, name, digest, created } = row;
  const spec = JSON.parse(row.spec) as RecipeSpec;
  return { id, name, digest, created, spec, files: JSON.parse(row.files) as RecipeEntry[] };
}

function toImage(row: { data: string }): Image {
  return JSON.parse(row.data) as Image;
}

function withDeleted<T>(item: T, row: { deleted: string | null }): Deleted<T> {
  return { ...item, deleted: row.deleted ?? "" };
}

/** A pattern for ids that begin with `text`; one that matches nothing when `text` cannot begin an id. */
function idPrefix(text: string): string {
  return /^[0-9a-f][0-9a-f-]{3,}$/.test(text) ? `${text}%` : "\0";
}

function onlyOne<T>(rows: readonly T[], what: string, name: string): T | undefined {
  if (rows.length > 1) throw new NetkilnError("invalid_input", `"${name}" begins the id of more than one ${what}`);
  return rows[0];
}

function onlyOneDeleted<T>(rows: readonly T[], what: string, name: string): T | undefined {
  if (rows.length <= 1) return rows[0];
  throw new NetkilnError("invalid_input", `"${name}" means more than one deleted ${what}`, {
    hint: `netkiln ${what}s list --deleted shows their ids`,
  });
}
