import { sql, type Generated, type Migration } from "../lib/db.ts";
import { countChanges } from "../lib/revision.ts";
import type { Arch, LinuxDistribution, RecipeType } from "./types.ts";

export type Tables = {
  recipe: {
    id: string;
    name: string;
    digest: string;
    created: string;
    spec: string;
    files: string;
    deleted: string | null;
    /** 0 where only the record is there, as IMS clients can make one. */
    content: Generated<number>;
    type: Generated<RecipeType>;
    /** As its record says it; null where only its spec tells. */
    linux: LinuxDistribution | null;
    require_dkms: Generated<number>;
    link_path: string | null;
    link_etag: string | null;
  };
  image: {
    id: string;
    name: string;
    build_id: string;
    created: string;
    sequence: number;
    data: string;
    deleted: string | null;
    /** 0 where only the record is there, as IMS clients can make one; `data` is an empty object then. */
    content: Generated<number>;
    arch: Arch;
    /** Of its manifest. */
    etag: string | null;
    /** Where the manifest of an image is that is not here. */
    link_path: string | null;
    link_etag: string | null;
    metadata: Generated<string>;
  };
  image_attestation: { number: Generated<number>; image: string; data: string };
  channel: { name: string; image: string };
  channel_move: {
    number: Generated<number>;
    channel: string;
    kind: "move" | "undo" | "delete";
    time: string;
    who: string;
    from_image: string | null;
    to_image: string | null;
    comment: string | null;
    undone: Generated<number>;
  };
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
  "0101-lifecycle": {
    up: async (db) => {
      // A deleted recipe keeps its name while another one bears it, and SQLite cannot drop a column's "unique".
      await db.schema
        .createTable("recipe_with_deleted")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("name", "text", (column) => column.notNull())
        .addColumn("digest", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("spec", "text", (column) => column.notNull())
        .addColumn("files", "text", (column) => column.notNull())
        .addColumn("deleted", "text")
        .execute();
      await sql`insert into recipe_with_deleted (id, name, digest, created, spec, files)
        select id, name, digest, created, spec, files from recipe`.execute(db);
      await db.schema.dropTable("recipe").execute();
      await db.schema.alterTable("recipe_with_deleted").renameTo("recipe").execute();
      await sql`create unique index recipe_name on recipe (name) where deleted is null`.execute(db);
      await db.schema.alterTable("image").addColumn("deleted", "text").execute();
      await db.schema
        .createTable("channel")
        .addColumn("name", "text", (column) => column.primaryKey())
        .addColumn("image", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("channel_image").on("channel").column("image").execute();
      await db.schema
        .createTable("channel_move")
        .addColumn("number", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("channel", "text", (column) => column.notNull())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("time", "text", (column) => column.notNull())
        .addColumn("who", "text", (column) => column.notNull())
        .addColumn("from_image", "text")
        .addColumn("to_image", "text")
        .addColumn("comment", "text")
        .addColumn("undone", "integer", (column) => column.notNull().defaultTo(0))
        .execute();
      await db.schema.createIndex("channel_move_channel").on("channel_move").columns(["channel", "number"]).execute();
    },
  },
  "0102-attestation": {
    up: async (db) => {
      await db.schema
        .createTable("image_attestation")
        .addColumn("number", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("image", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("image_attestation_image").on("image_attestation").column("image").execute();
    },
  },
  "0430-records": {
    up: async (db) => {
      // Text of the schema, where a parameter cannot stand: what lists and filters ask for is beside the content.
      for (const column of [
        "content integer not null default 1",
        "arch text not null default 'x86_64'",
        "etag text",
        "link_path text",
        "link_etag text",
        "metadata text not null default '{}'",
      ]) {
        await sql`alter table image add column ${sql.raw(column)}`.execute(db);
      }
      await sql`update image set arch = json_extract(data, '$.arch'),
        etag = json_extract(data, '$.artifacts.manifest.md5')`.execute(db);
      await sql`create unique index image_link on image (link_path) where deleted is null`.execute(db);
      for (const column of [
        "content integer not null default 1",
        "type text not null default 'kiwi-ng'",
        "linux text",
        "require_dkms integer not null default 1",
        "link_path text",
        "link_etag text",
      ]) {
        await sql`alter table recipe add column ${sql.raw(column)}`.execute(db);
      }
      // Names of mere records mean nothing, so they may repeat.
      await sql`drop index recipe_name`.execute(db);
      await sql`create unique index recipe_name on recipe (name) where deleted is null and content = 1`.execute(db);
      await sql`create unique index recipe_link on recipe (link_path) where deleted is null`.execute(db);
    },
  },
  "0502-image-revision": { up: (db) => countChanges(db, "image", { image: [] }) },
};
