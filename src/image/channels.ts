import { timestamp } from "../lib/clock.ts";
import { sql, type Database, type Kysely, type Selectable } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Tables } from "./migrations.ts";
import type { Page } from "./store.ts";
import type { Image } from "./types.ts";

/** A name that always means one image, and is moved from one to the next: `compute:stable`. */
export interface Channel {
  readonly name: string;
  /** Id of the image that it points at. */
  readonly image: string;
  readonly imageName: string;
  /** When it was moved there, by whom and why. */
  readonly moved: string;
  readonly by: string;
  readonly comment?: string;
}

export interface ChannelMove {
  /** Grows with every move of any channel. */
  readonly number: number;
  readonly channel: string;
  readonly kind: "move" | "undo" | "delete";
  readonly time: string;
  readonly by: string;
  /** Image ids; null where the channel was not there. */
  readonly from: string | null;
  readonly to: string | null;
  readonly comment?: string;
  /** Whether it was taken back since. */
  readonly undone: boolean;
}

/** Who moves a channel and why. */
export interface Mover {
  readonly by: string;
  readonly comment?: string | undefined;
  /** The image id that the channel has to point at for the move to happen; null: it may not be there yet. */
  readonly expected?: string | null | undefined;
}

export interface ChannelStore {
  /**
   * Points a channel at an image, making it when it is new; not `changed` when it pointed there already.
   * Throws `refused` for an image without a passing verdict and for a deleted one, `conflict` when the channel is not
   * where it was expected.
   */
  promote(name: string, image: string, mover: Mover): Promise<{ channel: Channel; changed: boolean }>;
  /**
   * Takes back the newest move that was not taken back yet, a deletion too. So a second undo goes one move further
   * back, and not to what the first one left.
   */
  undo(name: string, mover: Mover): Promise<{ channel: Channel; move: ChannelMove }>;
  /** Its history stays. */
  remove(name: string, mover: Mover): Promise<ChannelMove>;
  find(name: string): Promise<Channel | undefined>;
  /** Sorted by name. */
  list(page: Page): Promise<Channel[]>;
  /** Newest first; `after` is a number. */
  history(name: string, page: Page): Promise<ChannelMove[]>;
  /**
   * The images that the last `depth` moves of each channel came from: what undoing them needs. Of a channel that was
   * deleted only when that was after `since`.
   */
  undoable(depth: number, since: string): Promise<{ channel: string; image: string }[]>;
}

const namePattern = /^[a-z0-9][a-z0-9._-]{0,99}:[a-z0-9][a-z0-9._-]{0,99}$/;

export function openChannelStore(database: Database): ChannelStore {
  const db = database.withTables<Tables>();
  const find = async (name: string, within: Kysely<Tables> = db) =>
    (await channelsOf(within).where("channel.name", "=", name).executeTakeFirst()) ?? undefined;
  const found = async (name: string, within: Kysely<Tables>) => {
    const row = await find(name, within);
    if (row === undefined) throw missing(name);
    return toChannel(row);
  };

  return {
    promote: (name, image, mover) =>
      db.transaction().execute(async (trx) => {
        requireName(name);
        const target = await liveImage(trx, image);
        requirePassed(target);
        const current = await find(name, trx);
        requireExpected(name, current?.image ?? null, mover);
        if (current?.image === image) return { channel: toChannel(current), changed: false };
        if (current === undefined) await refuseImageName(trx, name);
        await point(trx, name, image);
        await addMove(trx, { channel: name, kind: "move", from_image: current?.image ?? null, to_image: image }, mover);
        return { channel: await found(name, trx), changed: true };
      }),
    undo: (name, mover) =>
      db.transaction().execute(async (trx) => {
        const current = (await find(name, trx))?.image ?? null;
        const moves = trx.selectFrom("channel_move").selectAll().where("channel", "=", name);
        const last = await moves
          .where("kind", "!=", "undo")
          .where("undone", "=", 0)
          .orderBy("number", "desc")
          .executeTakeFirst();
        if (last === undefined && current === null) throw missing(name);
        requireExpected(name, current, mover);
        const back = last?.from_image ?? null;
        if (last === undefined || back === null) throw nothingBefore(name);
        await undoTarget(trx, name, back);
        await point(trx, name, back);
        await trx.updateTable("channel_move").set({ undone: 1 }).where("number", "=", last.number).execute();
        const move = await addMove(trx, { channel: name, kind: "undo", from_image: current, to_image: back }, mover);
        return { channel: await found(name, trx), move };
      }),
    remove: (name, mover) =>
      db.transaction().execute(async (trx) => {
        const { image } = await found(name, trx);
        requireExpected(name, image, mover);
        await trx.deleteFrom("channel").where("name", "=", name).execute();
        return addMove(trx, { channel: name, kind: "delete", from_image: image, to_image: null }, mover);
      }),
    find: async (name) => {
      const row = await find(name);
      return row === undefined ? undefined : toChannel(row);
    },
    list: async ({ limit, after = "" }) => {
      const rows = channelsOf(db).where("channel.name", ">", after).orderBy("channel.name").limit(limit);
      return (await rows.execute()).map(toChannel);
    },
    history: async (name, { limit, after }) => {
      const rows = db.selectFrom("channel_move").selectAll().where("channel", "=", name).orderBy("number", "desc");
      const older = rows.$if(after !== undefined, (query) => query.where("number", "<", Number(after)));
      return (await older.limit(limit).execute()).map(toMove);
    },
    undoable: async (depth, since) => {
      const numbered = sql<{ channel: string; image: string }>`
        select channel, from_image as image from (
          select channel, from_image, row_number() over (partition by channel order by number desc) as place,
            first_value(kind = 'delete' and time < ${since}) over (partition by channel order by number desc) as over
          from channel_move where kind != 'undo' and undone = 0
        ) where place <= ${depth} and from_image is not null and not over`;
      return (await numbered.execute(db)).rows;
    },
  };
}

/** Channels with their images' names and the moves that brought them there. */
function channelsOf(db: Kysely<Tables>) {
  const newest = sql<number>`(select max(number) from channel_move where channel_move.channel = channel.name)`;
  return db
    .selectFrom("channel")
    .innerJoin("image", "image.id", "channel.image")
    .innerJoin("channel_move as move", (join) => join.on("move.number", "=", newest))
    .select(["channel.name", "channel.image", "image.name as imageName", "move.time", "move.who", "move.comment"]);
}

type ChannelRow = Awaited<ReturnType<ReturnType<typeof channelsOf>["execute"]>>[number];

function toChannel({ name, image, imageName, time, who, comment }: ChannelRow): Channel {
  return { name, image, imageName, moved: time, by: who, ...(comment !== null && { comment }) };
}

function toMove(row: Selectable<Tables["channel_move"]>): ChannelMove {
  const { number, channel, kind, time, comment } = row;
  const move = { number, channel, kind, time, by: row.who, from: row.from_image, to: row.to_image };
  return { ...move, undone: row.undone !== 0, ...(comment !== null && { comment }) };
}

async function point(db: Kysely<Tables>, name: string, image: string): Promise<void> {
  const row = db.insertInto("channel").values({ name, image });
  await row.onConflict((conflict) => conflict.column("name").doUpdateSet({ image })).execute();
}

async function addMove(
  db: Kysely<Tables>,
  move: Pick<Tables["channel_move"], "channel" | "kind" | "from_image" | "to_image">,
  { by, comment }: Mover,
): Promise<ChannelMove> {
  const row = await db
    .insertInto("channel_move")
    .values({ ...move, time: timestamp(), who: by, comment: comment ?? null })
    .returningAll()
    .executeTakeFirstOrThrow();
  return toMove(row);
}

/** The image, when it is there and not deleted. */
async function liveImage(db: Kysely<Tables>, id: string): Promise<Image> {
  const row = await db
    .selectFrom("image")
    .select(["data", "deleted", "content"])
    .where("id", "=", id)
    .executeTakeFirst();
  if (row === undefined || row.content === 0) throw new NetkilnError("not_found", `there is no image ${id}`);
  if (row.deleted === null) return JSON.parse(row.data) as Image;
  throw new NetkilnError("refused", `image ${id} is deleted, so no channel can point at it`, {
    hint: `bring it back first: netkiln images undelete ${id}`,
  });
}

async function undoTarget(db: Kysely<Tables>, name: string, id: string): Promise<void> {
  await liveImage(db, id).catch((error: unknown) => {
    if (!(error instanceof NetkilnError) || error.code !== "not_found") throw error;
    throw new NetkilnError("refused", `${name} pointed at image ${id} before, and that is gone for good`, {
      hint: `choose another one: netkiln images promote IMAGE ${name}`,
    });
  });
}

function requirePassed({ id, name, verdict }: Image): void {
  const word: string = verdict;
  if (word === "passed") return;
  const missing =
    word === "none"
      ? "the gate never ran on it, as no checks came with its recipe or its layers"
      : `its verdict is "${word}"`;
  throw new NetkilnError("refused", `image ${name} (${id}) has no passing verdict: ${missing}`, {
    hint: "build it with checks that it passes (docs/gates.md), then promote the image that comes of it",
  });
}

function requireExpected(name: string, current: string | null, { expected }: Mover): void {
  if (expected === undefined || expected === current) return;
  const where = current === null ? "is not there" : `points at image ${current}`;
  const wanted = expected === null ? "not to be there" : `to point at ${expected}`;
  throw new NetkilnError("conflict", `${name} ${where}, and was expected ${wanted}`, {
    hint: `somebody else has moved it: netkiln channels history ${name}`,
  });
}

function requireName(name: string): void {
  if (namePattern.test(name)) return;
  throw new NetkilnError("invalid_input", `"${name}" is no name of a channel`, {
    hint: "it is two words with a colon, of lower-case letters, digits and . _ -, such as compute:stable",
  });
}

/** A name can mean only one of them. */
async function refuseImageName(db: Kysely<Tables>, name: string): Promise<void> {
  const images = db.selectFrom("image").select("id").where("name", "=", name).where("content", "=", 1);
  const image = await images.executeTakeFirst();
  if (image === undefined) return;
  throw new NetkilnError("conflict", `there is an image named ${name} (${image.id})`, { hint: "use another channel" });
}

function missing(name: string): NetkilnError {
  return new NetkilnError("not_found", `there is no channel "${name}"`, {
    hint: `netkiln images promote IMAGE ${namePattern.test(name) ? name : "NAME:CHANNEL"} makes one`,
  });
}

function nothingBefore(name: string): NetkilnError {
  return new NetkilnError("refused", `there is nothing before this in the history of ${name}`, {
    hint: `netkiln channels delete ${name} takes it away`,
  });
}
