import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type Selectable } from "../lib/db.ts";
import { ownIdOf, patchedLink, requireUsable, type Link } from "./links.ts";
import { s3Path } from "./manifest.ts";
import type { Tables } from "./migrations.ts";
import { nextSequence } from "./store.ts";
import type { Arch } from "./types.ts";

/** What IMS knows of an image. One without content was made by an IMS client, and is a record and nothing more. */
export interface ImageRecord {
  /** UUID. */
  readonly id: string;
  readonly name: string;
  readonly created: string;
  readonly arch: Arch;
  readonly metadata: Readonly<Record<string, string>>;
  /** To its manifest. */
  readonly link: Link | undefined;
  /** Whether the image is kept here, as `ImageStore` has it. */
  readonly content: boolean;
  readonly deleted: string | undefined;
}

export interface ImageChange {
  readonly link?: Link | undefined;
  readonly arch?: Arch | undefined;
  readonly metadata?: { readonly set: string; readonly to: string } | { readonly remove: string } | undefined;
}

export interface ImageRecordStore {
  /** All images, or all that are deleted, oldest first. */
  list(which: "live" | "deleted"): Promise<ImageRecord[]>;
  /** By its whole id. */
  find(id: string, which: "live" | "deleted"): Promise<ImageRecord | undefined>;
  /** Makes a record of an image that is not here. Throws `invalid_input` for a link that it cannot have. */
  register(record: Pick<ImageRecord, "name" | "arch" | "metadata" | "link">): Promise<ImageRecord>;
  /** Undefined when there is no such image. Throws `conflict` for another link than it has, and as `register` does. */
  change(id: string, change: ImageChange): Promise<ImageRecord | undefined>;
}

type Row = Omit<Selectable<Tables["image"]>, "data" | "build_id" | "sequence">;

const columns = [
  ...(["id", "name", "created", "deleted", "content", "arch", "etag"] as const),
  ...(["link_path", "link_etag", "metadata"] as const),
] as const;

export function openImageRecords(database: Database): ImageRecordStore {
  const db = database.withTables<Tables>();
  const rows = (from: Kysely<Tables>, which: "live" | "deleted") =>
    from
      .selectFrom("image")
      .select(columns)
      .where("deleted", which === "live" ? "is" : "is not", null);
  const find = async (from: Kysely<Tables>, id: string, which: "live" | "deleted") => {
    const row = await rows(from, which).where("id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : toRecord(row);
  };
  const isTaken = async (from: Kysely<Tables>, link: Link) => {
    const own = await find(from, ownIdOf(link) ?? "", "live");
    if (own?.link?.path === link.path) return true;
    return (await rows(from, "live").where("link_path", "=", link.path).executeTakeFirst()) !== undefined;
  };
  return {
    list: async (which) => (await rows(db, which).orderBy("sequence").execute()).map(toRecord),
    find: (id, which) => find(db, id, which),
    register: async ({ name, arch, metadata, link }) =>
      db.transaction().execute(async (trx) => {
        if (link !== undefined) requireUsable(link, await isTaken(trx, link));
        const id = clock.uuid();
        await trx
          .insertInto("image")
          .values({
            ...{ id, name, arch, created: timestamp(), sequence: nextSequence, build_id: "", data: "{}", content: 0 },
            ...{ link_path: link?.path ?? null, link_etag: link?.etag ?? null, metadata: JSON.stringify(metadata) },
          })
          .execute();
        return (await find(trx, id, "live")) as ImageRecord;
      }),
    change: async (id, { link: wanted, arch, metadata }) =>
      db.transaction().execute(async (trx) => {
        const record = await find(trx, id, "live");
        if (record === undefined) return undefined;
        const link = wanted === undefined ? record.link : patchedLink(record.link, wanted);
        if (link !== undefined && link !== record.link) requireUsable(link, await isTaken(trx, link));
        const update = trx.updateTable("image").where("id", "=", id);
        if (link !== record.link) {
          await update.set({ link_path: link?.path ?? null, link_etag: link?.etag ?? null }).execute();
        }
        if (arch !== undefined && arch !== record.arch) {
          await update.set({ arch, data: sql`json_set(data, '$.arch', ${arch})` }).execute();
        }
        if (metadata !== undefined) {
          await update.set({ metadata: JSON.stringify(annotated(record.metadata, metadata)) }).execute();
        }
        return find(trx, id, "live");
      }),
  };
}

function annotated(metadata: ImageRecord["metadata"], change: NonNullable<ImageChange["metadata"]>) {
  if ("set" in change) return { ...metadata, [change.set]: change.to };
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => key !== change.remove));
}

function toRecord(row: Row): ImageRecord {
  const { id, name, created, arch } = row;
  const content = row.content === 1;
  const metadata = JSON.parse(row.metadata) as Record<string, string>;
  return { ...{ id, name, created, arch, content, metadata }, deleted: row.deleted ?? undefined, link: linkOf(row) };
}

/** IMS moves the manifest of an image that it deletes. */
function linkOf({ id, content, deleted, etag, link_path, link_etag }: Row): Link | undefined {
  if (content === 0) return link_path === null ? undefined : { path: link_path, etag: link_etag ?? undefined };
  const path = deleted === null ? s3Path(id, "manifest") : `s3://boot-images/deleted/${id}/deleted_manifest.json`;
  return { path, etag: etag ?? undefined };
}
