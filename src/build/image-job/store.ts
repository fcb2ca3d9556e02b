import { clock, timestamp } from "../../lib/clock.ts";
import type { Database, Generated, Migration } from "../../lib/db.ts";
import { jobStatuses, type ImageJob, type JobKind, type JobStatus } from "./types.ts";

type Tables = {
  image_job: {
    sequence: Generated<number>;
    id: string;
    created: string;
    kind: JobKind;
    status: JobStatus;
    data: string;
  };
};

export const imageJobMigrations: Record<string, Migration> = {
  "0431-image-job": {
    up: async (db) => {
      await db.schema
        .createTable("image_job")
        .addColumn("sequence", "integer", (column) => column.primaryKey().autoIncrement())
        .addColumn("id", "text", (column) => column.notNull().unique())
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("status", "text", (column) => column.notNull())
        .addColumn("data", "text", (column) => column.notNull())
        .execute();
      await db.schema.createIndex("image_job_status").on("image_job").columns(["status", "sequence"]).execute();
    },
  },
};

export interface JobFilter {
  /** Empty for all. */
  readonly statuses: readonly JobStatus[];
  /** Empty for all. */
  readonly kinds: readonly JobKind[];
  readonly olderThanSeconds: number | undefined;
}

export type JobChange = Partial<
  Pick<ImageJob, "status" | "build" | "resultantImage" | "sshContainers" | "tree" | "byHand">
>;

export interface ImageJobStore {
  create(job: Omit<ImageJob, "id" | "created" | "status">): Promise<ImageJob>;
  /** By its whole id. */
  find(id: string): Promise<ImageJob | undefined>;
  /** Oldest first. */
  list(): Promise<ImageJob[]>;
  /** Those that go on by themselves, oldest first. */
  underWay(): Promise<ImageJob[]>;
  /** Undefined when there is no such job. */
  change(id: string, change: JobChange): Promise<ImageJob | undefined>;
  /** False when there is no such job. A build that was started for it goes on. */
  remove(id: string): Promise<boolean>;
  removeAll(filter: JobFilter): Promise<void>;
}

const atRest: ReadonlySet<JobStatus> = new Set(["success", "error", "waiting_on_user"]);
/** Named one by one, so that the index finds them among all that have ended. */
const moving = jobStatuses.filter((status) => !atRest.has(status));

export function openImageJobs(database: Database): ImageJobStore {
  const db = database.withTables<Tables>();
  const jobs = () => db.selectFrom("image_job").selectAll().orderBy("sequence");
  const find = async (id: string, from = db) => {
    const row = await from.selectFrom("image_job").selectAll().where("id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : toJob(row);
  };
  return {
    create: async (wanted) => {
      const job: ImageJob = { id: clock.uuid(), created: timestamp(), status: "creating", ...wanted };
      const { id, created, kind, status } = job;
      await db
        .insertInto("image_job")
        .values({ id, created, kind, status, data: JSON.stringify(job) })
        .execute();
      return job;
    },
    find: (id) => find(id),
    list: async () => (await jobs().execute()).map(toJob),
    underWay: async () => (await jobs().where("status", "in", moving).execute()).map(toJob),
    change: async (id, change) =>
      db.transaction().execute(async (trx) => {
        const job = await find(id, trx);
        if (job === undefined) return undefined;
        // One that has ended stays so, whoever looked at it before.
        const status = hasEnded(job) ? job.status : (change.status ?? job.status);
        const changed = { ...job, ...change, status };
        const row = { status: changed.status, data: JSON.stringify(changed) };
        await trx.updateTable("image_job").set(row).where("id", "=", id).execute();
        return changed;
      }),
    remove: async (id) =>
      (await db.deleteFrom("image_job").where("id", "=", id).executeTakeFirst()).numDeletedRows > 0n,
    removeAll: async ({ statuses, kinds, olderThanSeconds }) => {
      const before = timestamp(new Date(clock.now().getTime() - (olderThanSeconds ?? 0) * 1000));
      await db
        .deleteFrom("image_job")
        .$if(statuses.length > 0, (query) => query.where("status", "in", statuses))
        .$if(kinds.length > 0, (query) => query.where("kind", "in", kinds))
        .$if(olderThanSeconds !== undefined, (query) => query.where("created", "<", before))
        .execute();
    },
  };
}

function hasEnded({ status }: ImageJob): boolean {
  return status === "success" || status === "error";
}

function toJob({ data }: { data: string }): ImageJob {
  return JSON.parse(data) as ImageJob;
}
