import { clock, timestamp } from "../lib/clock.ts";
import { isKnownDead } from "../lib/process.ts";
import { sql, type Database, type Generated, type Migration } from "../lib/db.ts";
import type { ErrorRecord } from "../lib/errors.ts";
import type { Digests } from "../lib/files.ts";
import type { Observed } from "./output/observed.ts";
import type { Build, BuildOutcome, BuildStatus, BuildTask, ImageRequest, StepReport, StepResult } from "./types.ts";

type Tables = {
  build: {
    id: string;
    sequence: number;
    kind: BuildTask["kind"];
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
    result: string | null;
  };
  step_result: { key: string; slot: string; inputs: string; created: string; data: string };
  snapshot: { family: string; stamp: string; created: string };
  package_lock: { family: string; digest: string; created: string; pinned: number };
  step_claim: { key: string; owner: string };
  trace: { family: string; sequence: Generated<number>; data: string };
};

/** A file that was made from a tree, and what of the tree decided it. */
export interface Trace {
  readonly observed: Observed;
  readonly file: Digests;
}

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
  // Layers are named by their content since this one: results of before mean nothing to it.
  "0300-content": {
    up: async (db) => {
      await db.deleteFrom("step_result").execute();
      await db.schema
        .alterTable("build")
        .addColumn("kind", "text", (column) => column.notNull().defaultTo("image"))
        .execute();
      await db.schema.alterTable("build").addColumn("result", "text").execute();
      await db.schema
        .createTable("package_lock")
        .addColumn("family", "text", (column) => column.primaryKey())
        .addColumn("digest", "text", (column) => column.notNull())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("pinned", "integer", (column) => column.notNull())
        .execute();
      await db.schema
        .createTable("step_claim")
        .addColumn("key", "text", (column) => column.primaryKey())
        .addColumn("owner", "text", (column) => column.notNull())
        .execute();
    },
  },
};

/** What the steps of earlier builds left behind, by key. */
export interface StepStore {
  find(key: string): Promise<StepResult | undefined>;
  /** `slot` is the step's place in an image: what a later step at that place is compared with. */
  put(slot: string, inputs: Readonly<Record<string, string>>, result: StepResult): Promise<void>;
  /** Forgets the results that left this layer behind. */
  forgetLayer(layer: string): Promise<void>;
  /** The newest result at that place: what it was made of, and how long it took. */
  last(slot: string): Promise<{ inputs: Readonly<Record<string, string>>; seconds: number } | undefined>;
  /**
   * The time at which a step that reads the network is taken to have read it: an earlier one while it is younger than
   * `maxAgeSeconds`, else now. Kept, so that all who ask get the same answer.
   */
  snapshot(family: string, maxAgeSeconds: number): Promise<string>;
  /** The newest lock of a family, as the sha256 of its blob: a pinned one, or one younger than `maxAgeSeconds`. */
  freshLock(family: string, maxAgeSeconds: number): Promise<string | undefined>;
  /** The newest lock of a family, however old. */
  lock(family: string): Promise<{ digest: string; created: string; pinned: boolean } | undefined>;
  /** `created`: when it was looked up; now when not given. */
  putLock(family: string, digest: string, pinned: boolean, created?: string): Promise<void>;
  /**
   * Says that a process does the step of that key now; false when another living one does. What a process has claimed
   * is free again when it is gone, and for itself always: who may do the step within a process is not told here.
   */
  claim(key: string, owner: string): Promise<boolean>;
  disclaim(key: string, owner: string): Promise<void>;
  /** What was looked at when files of this family were made, newest first. */
  traces(family: string): Promise<Trace[]>;
  putTrace(family: string, trace: Trace): Promise<void>;
}

export function openStepStore(database: Database): StepStore {
  const db = database.withTables<Tables>();
  const findLock = (family: string) =>
    db.selectFrom("package_lock").selectAll().where("family", "=", family).executeTakeFirst();
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
    forgetLayer: async (layer) => {
      await db
        .deleteFrom("step_result")
        .where(sql<boolean>`json_extract(data, '$.layer') = ${layer}`)
        .execute();
    },
    last: async (slot) => {
      const newest = db.selectFrom("step_result").selectAll().where("slot", "=", slot).orderBy("created", "desc");
      const row = await newest.limit(1).executeTakeFirst();
      if (row === undefined) return undefined;
      const { seconds } = JSON.parse(row.data) as StepResult;
      return { inputs: JSON.parse(row.inputs) as Record<string, string>, seconds };
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
    freshLock: async (family, maxAgeSeconds) => {
      const oldest = timestamp(new Date(clock.now().getTime() - maxAgeSeconds * 1000));
      const row = await findLock(family);
      return row !== undefined && (row.pinned === 1 || row.created >= oldest) ? row.digest : undefined;
    },
    lock: async (family) => {
      const row = await findLock(family);
      return row && { digest: row.digest, created: row.created, pinned: row.pinned === 1 };
    },
    putLock: async (family, digest, pinned, created = timestamp()) => {
      const row = { family, digest, created, pinned: pinned ? 1 : 0 };
      await db
        .insertInto("package_lock")
        .values(row)
        .onConflict((conflict) => conflict.column("family").doUpdateSet(row))
        .execute();
    },
    claim: async (key, owner) =>
      db.transaction().execute(async (transaction) => {
        const held = await transaction
          .selectFrom("step_claim")
          .select("owner")
          .where("key", "=", key)
          .executeTakeFirst();
        // Its own is left from a time when it could not be taken back, as on a full disk.
        if (held !== undefined && held.owner !== owner && !isKnownDead(held.owner)) return false;
        await transaction
          .insertInto("step_claim")
          .values({ key, owner })
          .onConflict((conflict) => conflict.column("key").doUpdateSet({ owner }))
          .execute();
        return true;
      }),
    disclaim: async (key, owner) => {
      await db.deleteFrom("step_claim").where("key", "=", key).where("owner", "=", owner).execute();
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
  /** Adds a build; an unfinished one of the same task is returned instead (`joined`). */
  create(task: BuildTask, fingerprint: string): Promise<{ build: Build; joined: boolean }>;
  /** The unfinished build of an image, if there is one. */
  findUnfinished(image: string): Promise<{ build: Build; fingerprint: string } | undefined>;
  task(id: string): Promise<BuildTask | undefined>;
  /** What the newest build of an image was asked to make. */
  lastRequest(image: string): Promise<ImageRequest | undefined>;
  /** By id or unique prefix of it, or by the image's name (then the newest). */
  find(name: string): Promise<Build | undefined>;
  /** Newest first; `after` is the id of the last one seen. */
  list(page: { limit: number; after?: string | undefined; image?: string | undefined }): Promise<Build[]>;
  start(id: string): Promise<void>;
  setSteps(id: string, steps: readonly StepReport[]): Promise<void>;
  finish(id: string, outcome: BuildOutcome): Promise<void>;
}

export function openBuildStore(database: Database): BuildStore {
  const db = database.withTables<Tables>();
  const newest = () => db.selectFrom("build").selectAll().orderBy("sequence", "desc");
  const update = (id: string) => db.updateTable("build").where("id", "=", id);
  const unfinished = (image: string, kind: BuildTask["kind"]) =>
    newest()
      .where("image", "=", image)
      .where("kind", "=", kind)
      .where("status", "in", ["pending", "running"])
      .executeTakeFirst();

  return {
    create: async (task, fingerprint) => {
      const image = subjectOf(task);
      const existing = await unfinished(image, task.kind);
      if (existing?.fingerprint === fingerprint) return { build: toBuild(existing), joined: true };
      const row = {
        id: clock.uuid(),
        kind: task.kind,
        image,
        fingerprint,
        status: "pending" as const,
        created: timestamp(),
        request: JSON.stringify(task.kind === "image" ? task.request : task),
        steps: "[]",
      };
      const sequence = sql<number>`(select coalesce(max(sequence), 0) + 1 from build)`;
      await db
        .insertInto("build")
        .values({ ...row, sequence })
        .execute();
      return {
        build: { id: row.id, kind: row.kind, image, status: row.status, created: row.created, steps: [] },
        joined: false,
      };
    },
    findUnfinished: async (image) => {
      const row = await unfinished(image, "image");
      return row === undefined ? undefined : { build: toBuild(row), fingerprint: row.fingerprint };
    },
    task: async (id) => {
      const row = await db.selectFrom("build").selectAll().where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : toTask(row);
    },
    lastRequest: async (image) => {
      const row = await newest().where("image", "=", image).where("kind", "=", "image").executeTakeFirst();
      return row === undefined ? undefined : (JSON.parse(row.request) as ImageRequest);
    },
    find: async (name) => {
      const byImage = await newest().where("image", "=", name).where("kind", "=", "image").executeTakeFirst();
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
      const done = !("error" in outcome);
      await update(id)
        .set({
          status: done ? "succeeded" : "failed",
          finished: timestamp(),
          image_id: "imageId" in outcome ? outcome.imageId : null,
          result: "result" in outcome ? JSON.stringify(outcome.result) : null,
          error: "error" in outcome ? JSON.stringify(outcome.error) : null,
        })
        .execute();
    },
  };
}

function subjectOf(task: BuildTask): string {
  switch (task.kind) {
    case "image":
      return task.request.name;
    case "verify":
      return task.image.name;
    case "lock":
      return `recipe ${task.recipe.name}`;
  }
}

function toTask(row: Pick<Tables["build"], "kind" | "request">): BuildTask {
  const stored = JSON.parse(row.request) as unknown;
  return row.kind === "image" ? { kind: "image", request: stored as ImageRequest } : (stored as BuildTask);
}

function toBuild(row: Tables["build"]): Build {
  return {
    id: row.id,
    kind: row.kind,
    image: row.image,
    status: row.status,
    created: row.created,
    ...(row.started !== null && { started: row.started }),
    ...(row.finished !== null && { finished: row.finished }),
    steps: JSON.parse(row.steps) as StepReport[],
    ...(row.error !== null && { error: JSON.parse(row.error) as ErrorRecord }),
    ...(row.image_id !== null && { imageId: row.image_id }),
    ...(row.result !== null && { result: JSON.parse(row.result) as NonNullable<Build["result"]> }),
  };
}
