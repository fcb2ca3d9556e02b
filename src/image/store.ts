import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Migration } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { RecipeSpec } from "./schema.ts";
import type { Image } from "./types.ts";

type Tables = {
  recipe: { id: string; name: string; digest: string; created: string; spec: string; files: string };
  image: { id: string; name: string; build_id: string; created: string; sequence: number; data: string };
};

export const migrations: Record<string, Migration> = {
  "0100-image": {
    up: async (db) => {
      await db.schema
        .createTable("recipe")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull().unique())
        .addColumn("digest", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("files", "text", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("image")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("build_id", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("sequence", "integer", (column) => column.notNull().unique())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("image_name").on("image").columns(["name", "sequence"]).execute();
    },
  },
};

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

export interface Page {
  readonly limit: number;
  /** Goes on after the entry with this id or name, as the last page's `next` said. */
  readonly after?: string | undefined;
}

export interface ImageStore {
  /** Adds a recipe, or gives the one of that name a new content under its old id. */
  putRecipe(recipe: Omit<Recipe, "id" | "created" | "name">): Promise<{ recipe: Recipe; changed: boolean }>;
  /** By name, id or unique prefix of the id. */
  findRecipe(name: string): Promise<Recipe | undefined>;
  listRecipes(page: Page): Promise<Recipe[]>;
  deleteRecipe(id: string): Promise<void>;
  /** The pointer that makes an image exist. Its id is chosen before, as its manifest holds it. */
  publish(image: Image): Promise<void>;
  /** Makes an image that was published before the one that its name means again. */
  makeNewest(id: string): Promise<void>;
  /** By id, unique prefix of the id, or name (then the newest). */
  findImage(name: string): Promise<Image | undefined>;
  findImagesByName(name: string): Promise<Image[]>;
  /** The newest image with this name and this content. */
  findSameImage(name: string, buildId: string): Promise<Image | undefined>;
  /** Newest first. */
  listImages(page: Page): Promise<Image[]>;
  deleteImage(id: string): Promise<void>;
}

export function openImageStore(database: Database): ImageStore {
  const db = database.withTables<Tables>();
  const toRecipe = (row: Tables["recipe"]): Recipe => ({
    ...row,
    spec: JSON.parse(row.spec) as RecipeSpec,
    files: JSON.parse(row.files) as RecipeEntry[],
  });
  const toImage = (row: Tables["image"]): Image => JSON.parse(row.data) as Image;
  const images = () => db.selectFrom("image").selectAll().orderBy("sequence", "desc");

  return {
    putRecipe: async ({ spec, digest, files }) => {
      const existing = await db.selectFrom("recipe").selectAll().where("name", "=", spec.name).executeTakeFirst();
      if (existing?.digest === digest) return { recipe: toRecipe(existing), changed: false };
      const row = {
        id: existing?.id ?? clock.uuid(),
        name: spec.name,
        digest,
        created: timestamp(),
        spec: JSON.stringify(spec),
        files: JSON.stringify(files),
      };
      await db
        .insertInto("recipe")
        .values(row)
        .onConflict((conflict) => conflict.column("name").doUpdateSet(row))
        .execute();
      return { recipe: toRecipe(row), changed: true };
    },
    findRecipe: async (name) => {
      const rows = await db
        .selectFrom("recipe")
        .selectAll()
        .where((where) => where.or([where("name", "=", name), where("id", "like", idPrefix(name))]))
        .limit(3)
        .execute();
      const row = rows.find((candidate) => candidate.name === name) ?? onlyOne(rows, "recipe", name);
      return row === undefined ? undefined : toRecipe(row);
    },
    listRecipes: async ({ limit, after = "" }) => {
      const rows = await db
        .selectFrom("recipe")
        .selectAll()
        .where("name", ">", after)
        .orderBy("name")
        .limit(limit)
        .execute();
      return rows.map(toRecipe);
    },
    deleteRecipe: async (id) => {
      await db.deleteFrom("recipe").where("id", "=", id).execute();
    },
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
        })
        .execute();
    },
    findImage: async (name) => {
      const named = await images().where("name", "=", name).executeTakeFirst();
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
      const query = images().limit(limit);
      const older = sql<boolean>`sequence < (select sequence from image where id = ${after ?? ""})`;
      const rows = await (after === undefined ? query : query.where(older)).execute();
      return rows.map(toImage);
    },
    deleteImage: async (id) => {
      await db.deleteFrom("image").where("id", "=", id).execute();
    },
  };
}

const nextSequence = sql<number>`(select coalesce(max(sequence), 0) + 1 from image)`;

/** A pattern for ids that begin with `text`; one that matches nothing when `text` cannot begin an id. */
function idPrefix(text: string): string {
  return /^[0-9a-f][0-9a-f-]{3,}$/.test(text) ? `${text}%` : "\0";
}

function onlyOne<T>(rows: readonly T[], what: string, name: string): T | undefined {
  if (rows.length > 1) throw new NetkilnError("invalid_input", `"${name}" begins the id of more than one ${what}`);
  return rows[0];
}
