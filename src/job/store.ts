import { clock, timestamp } from "../lib/clock.ts";
import { prepareRead, sql, watchChanges, type ChangeWatch, type Database, type Migration } from "../lib/db.ts";
import type { ErrorRecord } from "../lib/errors.ts";
import { isKnownDead } from "../lib/process.ts";

type State = "ready" | "active" | "done" | "failed";

type Tables = {
  job: {
    id: string;
    kind: string;
    /** At most one unfinished job of a kind has a given subject. */
    subject: string;
    state: State;
    owner: string | null;
    lease_until: string | null;
    attempt: number;
    error: string | null;
    created: string;
    finished: string | null;
  };
};

export const migrations: Record<string, Migration> = {
  "0020-job": {
    up: async (db) => {
      await db.schema
        .createTable("job")
        .addColumn("id", "text", (column) => column.primaryKey())
        .addColumn("kind", "text", (column) => column.notNull())
        .addColumn("subject", "text", (column) => column.notNull())
        .addColumn("state", "text", (column) => column.notNull())
        .addColumn("owner", "text")
        .addColumn("lease_until", "text")
        .addColumn("attempt", "integer", (column) => column.notNull())
        .addColumn("error", "text")
        .addColumn("created", "text", (column) => column.notNull())
        .addColumn("finished", "text")
        .execute();
      await sql`create unique index job_unfinished on job (kind, subject) where state in ('ready', 'active')`.execute(
        db,
      );
      await db.schema.createIndex("job_state").on("job").columns(["state", "kind", "created"]).execute();
    },
  },
};

export interface Job {
  readonly id: string;
  readonly kind: string;
  /** What the job is about, such as a build's id; the work itself is described there. */
  readonly subject: string;
  /** 1 for the first try; more when an owner died on it. */
  readonly attempt: number;
}

/** A job whose owner shows no life for this long is taken over. */
const leaseSeconds = 15;
/** A job that has killed its owner this often is not tried again. */
const maxAttempts = 50;

/** A durable queue: jobs survive their owners, and go to another one from where their records say they stand. */
export interface JobStore {
  /** Adds a job; nothing happens when an unfinished one with the same kind and subject is there. */
  enqueue(kind: string, subject: string): Promise<void>;
  /** Takes the oldest ready job, or one whose owner is gone. `owner` is a process name of lib/process. */
  claim(kind: string, owner: string): Promise<Job | undefined>;
  /** Renews the lease; false when the job is not this owner's any more, and the work must stop. */
  heartbeat(id: string, owner: string): Promise<boolean>;
  finish(id: string, owner: string, error?: ErrorRecord): Promise<void>;
  /** Gives a job back unfinished, as on an orderly stop. */
  release(id: string, owner: string): Promise<void>;
  countUnfinished(kind: string): Promise<number>;
  /** Of all that is in the database. */
  changes(): ChangeWatch;
}

export function openJobStore(database: Database): JobStore {
  const db = database.withTables<Tables>();
  const leaseEnd = () => timestamp(new Date(clock.now().getTime() + leaseSeconds * 1000));
  const owned = (id: string, owner: string) =>
    db.updateTable("job").where("id", "=", id).where("owner", "=", owner).where("state", "=", "active");

  const unfinished = prepareRead(database, "select 1 from job where kind = ? and state in ('ready', 'active') limit 1");
  const freeAbandoned = async (kind: string) => {
    const active = await db
      .selectFrom("job")
      .selectAll()
      .where("kind", "=", kind)
      .where("state", "=", "active")
      .execute();
    const now = timestamp();
    for (const job of active) {
      const abandoned = (job.lease_until ?? "") < now || isKnownDead(job.owner ?? "");
      if (!abandoned || job.owner === null) continue;
      const spent = job.attempt >= maxAttempts;
      const error: ErrorRecord = {
        code: "work_failed",
        message: `given up: the worker died ${job.attempt} times on it`,
      };
      await owned(job.id, job.owner)
        .set(
          spent
            ? { state: "failed", owner: null, finished: now, error: JSON.stringify(error) }
            : { state: "ready", owner: null, lease_until: null },
        )
        .execute();
    }
  };

  return {
    enqueue: async (kind, subject) => {
      await db
        .insertInto("job")
        .values({ id: clock.uuid(), kind, subject, state: "ready", attempt: 0, created: timestamp() })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    claim: async (kind, owner) => {
      // Workers ask whenever something has changed, and even an update of nothing takes the lock that writers need.
      if (unfinished(kind).length === 0) return undefined;
      await freeAbandoned(kind);
      const oldest = db
        .selectFrom("job")
        .select("id")
        .where("kind", "=", kind)
        .where("state", "=", "ready")
        .orderBy(sql.ref("created"))
        .orderBy(sql.ref("id"))
        .limit(1);
      return db
        .updateTable("job")
        .set((eb) => ({ state: "active", owner, lease_until: leaseEnd(), attempt: eb("attempt", "+", 1) }))
        .where("id", "=", oldest)
        .where("state", "=", "ready")
        .returning(["id", "kind", "subject", "attempt"])
        .executeTakeFirst();
    },
    heartbeat: async (id, owner) => {
      const result = await owned(id, owner).set({ lease_until: leaseEnd() }).executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },
    finish: async (id, owner, error) => {
      await owned(id, owner)
        .set({
          state: error === undefined ? "done" : "failed",
          owner: null,
          lease_until: null,
          finished: timestamp(),
          error: error === undefined ? null : JSON.stringify(error),
        })
        .execute();
    },
    release: async (id, owner) => {
      await owned(id, owner)
        .set((eb) => ({ state: "ready", owner: null, lease_until: null, attempt: eb("attempt", "-", 1) }))
        .execute();
    },
    changes: () => watchChanges(database),
    countUnfinished: async (kind) => {
      const row = await db
        .selectFrom("job")
        .select((eb) => eb.fn.countAll<number>().as("count"))
        .where("kind", "=", kind)
        .where("state", "in", ["ready", "active"])
        .executeTakeFirstOrThrow();
      return row.count;
    },
  };
}
