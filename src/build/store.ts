import { clock, timestamp } from "../lib/clock.ts";
import { sql, type Database, type Generated, type Migration } from "../lib/db.ts";
import type { ErrorRecord } from "../lib/errors.ts";
import type { Trace } from "./output/reuse.ts";
import type { Build, BuildStatus, ImageRequest, StepReport, StepResult } from "./types.ts";

type Tables = {
  build: {
    id: string;
    sequence: number;
    image: string;
    fingerprint: string;
    status: BuildStatus;
    created: string;
    started: string | null;
    finished: string | null;
    request: string;
    steps: string;
    error: string | null;
    image_id: string | null;
  };
  step_result: { key: string; slot: string; inputs: string; created: string; data: string };
  snapshot: { family: string; stamp: string; created: string };
  trace: { family: string; sequence: Generated<number>; data: string };
};

/** Older traces are for trees that nobody builds any more. */
const keptTraces = 4;

export const migrations: Record<string, Migration> = {
  "0110-build": {
    up: async (db) => {
      await db.schema
        .createTable("build")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("sequence", "integer", (column) => column.notNull().unique())
        .addColumn("image", "text", (column) => column.notNull())
        .addColumn("fingerprint", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("started", "text")
        .addColumn("finished", "text")
        .addColumn("request", "text", (column) => column.notNull())
        .addColumn("steps", "text", (column) => column.notNull())
        .addColumn("error", "text")
        .addColumn("image_id", "text")
        .execute();
      await db.schema.createIndex("build_image").on("build").columns(["image", "sequence"]).execute();
      await db.schema
        .createTable("step_result")
        .addColumn("key", "text", (column) => column.primaryKey())
        .addColumn("slot", "text", (column) => column.notNull())
        .addColumn("inputs", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("step_result_slot").on("step_result").columns(["slot", "created"]).execute();
      await db.schema
        .createTable("snapshot")
        .addColumn("family", "text", (column) => column.primaryKey())
        .addColumn("stamp", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("trace")
        .addColumn("family", "text", (column) => column.notNull())
        .addColumn("sequence", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("trace_family").on("trace").columns(["family", "sequence"]).execute();
    },
  },
};

/** What the steps of earlier builds left behind, by key. */
export interface StepStore {
  find(key: string): Promise<StepResult | undefined>;
  /** `slot` is the step's place in an image: what a later step at that place is compared with. */
  put(slot: string, inputs: Readonly<Record<string, string>>, result: StepResult): Promise<void>;
  forget(key: string): Promise<void>;
  /** The inputs of the newest result at that place. */
  lastInputs(slot: string): Promise<Readonly<Record<string, string>> | undefined>;
  /**
   * The time at which a step that reads the network is taken to have read it: an earlier one while it is younger than
   * `maxAgeSeconds`, else now. Kept, so that all who ask get the same answer.
   */
  snapshot(family: string, maxAgeSeconds: number): Promise<string>;
  /** What was looked at when files of this family were made, newest first. */
  traces(family: string): Promise<Trace[]>;
  putTrace(family: string, trace: Trace): Promise<void>;
}

export function openStepStore(database: Database): StepStore {
  const db = database.withTables<Tables>();
  return {
    find: async (key) => {
      const row = await db.selectFrom("step_result").select("data").where("key", "=", key).executeTakeFirst();
      return row === undefined ? undefined : (JSON.parse(row.data) as StepResult);
    },
    put: async (slot, inputs, result) => {
      const row = { key: result.key, slot, inputs: JSON.stringify(inputs), created: result.created };
      const data = JSON.stringify(result);
      await db
        .insertInto("step_result")
        .values({ ...row, data })
        .onConflict((conflict) => conflict.column("key").doUpdateSet({ ...row, data }))
        .execute();
    },
    forget: async (key) => {
      await db.deleteFrom("step_result").where("key", "=", key).execute();
    },
    lastInputs: async (slot) => {
      const newest = db.selectFrom("step_result").select("inputs").where("slot", "=", slot).orderBy("created", "desc");
      const row = await newest.limit(1).executeTakeFirst();
      return row === undefined ? undefined : (JSON.parse(row.inputs) as Record<string, string>);
    },
    snapshot: async (family, maxAgeSeconds) => {
      const now = clock.now();
      const oldest = timestamp(new Date(now.getTime() - maxAgeSeconds * 1000));
      const stamp = timestamp(now);
      return db.transaction().execute(async (transaction) => {
        const existing = await transaction
          .selectFrom("snapshot")
          .select("stamp")
          .where("family", "=", family)
          .where("created", ">=", oldest)
          .executeTakeFirst();
        if (existing !== undefined) return existing.stamp;
        const row = { family, stamp, created: stamp };
        await transaction
          .insertInto("snapshot")
          .values(row)
          .onConflict((conflict) => conflict.column("family").doUpdateSet(row))
          .execute();
        return stamp;
      });
    },
    traces: async (family) => {
      const newest = db.selectFrom("trace").select("data").where("family", "=", family).orderBy("sequence", "desc");
      return (await newest.limit(keptTraces).execute()).map((row) => JSON.parse(row.data) as Trace);
    },
    putTrace: async (family, trace) => {
      await db
        .insertInto("trace")
        .values({ family, data: JSON.stringify(trace) })
        .execute();
      const kept = db.selectFrom("trace").select("sequence").where("family", "=", family).orderBy("sequence", "desc");
      await db
        .deleteFrom("trace")
        .where("family", "=", family)
        .where("sequence", "not in", kept.limit(keptTraces))
        .execute();
    },
  };
}

export interface BuildStore {
  /** Adds a build; an unfinished one of the same request is returned instead (`joined`). */
  create(request: ImageRequest, fingerprint: string): Promise<{ build: Build; joined: boolean }>;
  /** The unfinished build of an image, if there is one. */
  findUnfinished(image: string): Promise<{ build: Build; fingerprint: string } | undefined>;
  request(id: string): Promise<ImageRequest | undefined>;
  /** By id or unique prefix of it, or by the image's name (then the newest). */
  find(name: string): Promise<Build | undefined>;
  /** Newest first; `after` is the id of the last one seen. */
  list(page: { limit: number; after?: string | undefined; image?: string | undefined }): Promise<Build[]>;
  start(id: string): Promise<void>;
  setSteps(id: string, steps: readonly StepReport[]): Promise<void>;
  finish(id: string, outcome: { imageId: string } | { error: ErrorRecord }): Promise<void>;
}

export function openBuildStore(database: Database): BuildStore {
  const db = database.withTables<Tables>();
  const newest = () => db.selectFrom("build").selectAll().orderBy("sequence", "desc");
  const update = (id: string) => db.updateTable("build").where("id", "=", id);
  const unfinished = (image: string) =>
    newest().where("image", "=", image).where("status", "in", ["pending", "running"]).executeTakeFirst();

  return {
    create: async (request, fingerprint) => {
      const existing = await unfinished(request.name);
      if (existing?.fingerprint === fingerprint) return { build: toBuild(existing), joined: true };
      const row = {
        id: clock.uuid(),
        image: request.name,
        fingerprint,
        status: "pending" as const,
        created: timestamp(),
        request: JSON.stringify(request),
        steps: "[]",
      };
      const sequence = sql<number>`(select coalesce(max(sequence), 0) + 1 from build)`;
      await db
        .insertInto("build")
        .values({ ...row, sequence })
        .execute();
      return {
        build: { id: row.id, image: row.image, status: row.status, created: row.created, steps: [] },
        joined: false,
      };
    },
    findUnfinished: async (image) => {
      const row = await unfinished(image);
      return row === undefined ? undefined : { build: toBuild(row), fingerprint: row.fingerprint };
    },
    request: async (id) => {
      const row = await db.selectFrom("build").select("request").where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : (JSON.parse(row.request) as ImageRequest);
    },
    find: async (name) => {
      const byImage = await newest().where("image", "=", name).executeTakeFirst();
      if (byImage !== undefined) return toBuild(byImage);
      if (!/^[0-9a-f][0-9a-f-]{3,}$/.test(name)) return undefined;
      const rows = await newest().where("id", "like", `${name}%`).limit(2).execute();
      return rows.length === 1 && rows[0] !== undefined ? toBuild(rows[0]) : undefined;
    },
    list: async ({ limit, after, image }) => {
      const older = sql<boolean>`sequence < (select sequence from build where id = ${after ?? ""})`;
      const rows = await newest()
        .$if(image !== undefined, (query) => query.where("image", "=", image ?? ""))
        .$if(after !== undefined, (query) => query.where(older))
        .limit(limit)
        .execute();
      return rows.map(toBuild);
    },
    start: async (id) => {
      await update(id).set({ status: "running", started: timestamp(), error: null }).execute();
    },
    setSteps: async (id, steps) => {
      await update(id)
        .set({ steps: JSON.stringify(steps) })
        .execute();
    },
    finish: async (id, outcome) => {
      const done = "imageId" in outcome;
      await update(id)
        .set({
          status: done ? "succeeded" : "failed",
          finished: timestamp(),
          image_id: done ? outcome.imageId : null,
          error: done ? null : JSON.stringify(outcome.error),
        })
        .execute();
    },
  };
}

function toBuild(row: Tables["build"]): Build {
  return {
    id: row.id,
    image: row.image,
    status: row.status,
    created: row.created,
    ...(row.started !== null && { started: row.started }),
    ...(row.finished !== null && { finished: row.finished }),
    steps: JSON.parse(row.steps) as StepReport[],
    ...(row.error !== null && { error: JSON.parse(row.error) as ErrorRecord }),
    ...(row.image_id !== null && { imageId: row.image_id }),
  };
}
