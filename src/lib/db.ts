import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { Kysely, SqliteAdapter, SqliteDialect } from "kysely";
import { Migrator, type Migration } from "kysely/migration";
import { clock } from "./clock.ts";
import { NetkilnError } from "./errors.ts";

export type { Kysely, Generated, RawBuilder, Selectable, SelectQueryBuilder } from "kysely";
export type { Migration } from "kysely/migration";
export { CompiledQuery, sql } from "kysely";

/** Milliseconds that a statement waits for another process's write; writes here take less than one. */
const busyTimeout = 10_000;

/** A database as the stores take it; each adds its own tables with `withTables`. */
// oxlint-disable-next-line typescript/no-empty-object-type -- the tables are the stores' own affair
export type Database = Kysely<{}>;

/** Opens (and makes) a SQLite database that several processes may use at once. */
export function openDatabase(file: string): Database {
  mkdirSync(dirname(file), { recursive: true });
  let database: DatabaseSync;
  let reading: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: busyTimeout });
    database.exec("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on;");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NetkilnError("unreachable", `cannot open the database ${file}: ${reason}`, {
      hint: "check that the folder is writable and that the disk is not full",
    });
  }
  const closeAll = () => {
    reading?.close();
    database.close();
  };
  const db: Database = new Kysely({ dialect: new Dialect({ database: adapt(database, closeAll) }) });
  connections.set(db, {
    writing: database,
    reading: () => {
      // A database in memory is there for its own connection alone.
      if (file === ":memory:") return database;
      reading ??= new DatabaseSync(file, { timeout: busyTimeout, readOnly: true });
      return reading;
    },
  });
  return db;
}

/**
 * Tables are made and changed in transactions like all else (https://sqlite.org/transactional.html). Kysely does not
 * count on that, and would let a migration that is cut short stand half done, which none could go on from.
 */
class Dialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new (class extends SqliteAdapter {
      override get supportsTransactionalDdl() {
        return true;
      }
    })();
  }
}

interface Connections {
  readonly writing: DatabaseSync;
  readonly reading: () => DatabaseSync;
}

const connections = new WeakMap<Database, Connections>();

/** A statement that is prepared once, and answered at once. */
export type Prepared<Row> = (...values: readonly SQLInputValue[]) => Row[];

/**
 * A read that is asked for thousands of times a second: prepared once, and answered at once. It has a connection of its
 * own, so it sees what is committed and nothing of a transaction that is under way.
 */
export function prepareRead<Row>(db: Database, query: string): Prepared<Row> {
  return prepareOnce(() => connectionsOf(db).reading().prepare(query));
}

/**
 * Reads of `prepareRead` that see the same, and lock the database once among them, which takes longer than a small read.
 * The work may not wait for anything.
 */
export function readTogether<Result>(db: Database, work: () => Result): Result {
  const reading = connectionsOf(db).reading();
  // That of a database in memory may be in one.
  if (reading.isTransaction) return work();
  reading.exec("begin");
  try {
    return work();
  } finally {
    // A failed read may have ended it.
    if (reading.isTransaction) reading.exec("commit");
  }
}

/**
 * A transaction of statements of `prepareInTransaction`, for what is written hundreds of times a second: Kysely makes
 * its own anew each time. The work may not wait for anything.
 */
export async function writeTogether<Result>(db: Database, work: () => Result): Promise<Result> {
  const { writing } = connectionsOf(db);
  return db.connection().execute(async () => {
    writing.exec("begin immediate");
    try {
      const result = work();
      writing.exec("commit");
      return result;
    } finally {
      // What has failed is undone; it may have ended the transaction itself.
      if (writing.isTransaction) writing.exec("rollback");
    }
  });
}

/** Only for within a transaction of this database, in which it takes part: some hundred rows cost one preparation. */
export function prepareInTransaction<Row>(db: Database, query: string): Prepared<Row> {
  return prepareOnce(() => connectionsOf(db).writing.prepare(query));
}

/** Not before it is needed: the tables may not be there yet. */
function prepareOnce<Row>(prepare: () => StatementSync): Prepared<Row> {
  let statement: StatementSync | undefined;
  return (...values) => {
    statement ??= prepare();
    return statement.all(...values) as Row[];
  };
}

function connectionsOf(db: Database): Connections {
  return connections.get(db) as Connections;
}

/** Tells who waits for what others write. */
export interface ChangeWatch {
  /** Waits until somebody, in whatever process, has committed something since the last call, or the time is over. */
  next(atMostMs: number, signal?: AbortSignal): Promise<void>;
}

/** A look costs some microseconds: it asks SQLite's counter of commits and no table (https://sqlite.org/pragma.html). */
const lookMs = 10;

export function watchChanges(db: Database): ChangeWatch {
  // The changes of its own connection, which the counter leaves out, matter in memory, where there is no other one.
  const counters = "select data_version + total_changes() as count from pragma_data_version()";
  const read = prepareRead<{ readonly count: number }>(db, counters);
  const look = () => read()[0]?.count;
  let seen = look();
  return {
    next: async (atMostMs, signal) => {
      // The time of day may be set back meanwhile.
      const deadline = performance.now() + atMostMs;
      for (;;) {
        await clock.sleep(lookMs, signal).catch(() => undefined);
        if (signal?.aborted === true) return;
        const count = look();
        if (count === seen && performance.now() < deadline) continue;
        seen = count;
        return;
      }
    },
  };
}

/**
 * Kysely's four-member view of node:sqlite. Transactions begin as writers: a deferred one that turns into a writer
 * later fails at once when another process wrote in between, whatever the busy timeout.
 */
function adapt(database: DatabaseSync, close: () => void) {
  return {
    close,
    prepare: (query: string) => {
      const statement = database.prepare(query === "begin" ? "begin immediate" : query);
      return {
        reader: statement.columns().length > 0,
        all: (parameters: readonly unknown[]) => statement.all(...(parameters as SQLInputValue[])),
        run: (parameters: readonly unknown[]) => statement.run(...(parameters as SQLInputValue[])),
        iterate: (parameters: readonly unknown[]) =>
          statement.iterate(...(parameters as SQLInputValue[])) as IterableIterator<unknown>,
      };
    },
  };
}

/**
 * Brings the schema up to date, wholly or not at all; the domains' migrations are merged by name, so names start with a
 * number.
 */
export async function migrate(db: Database, migrations: Record<string, Migration>): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => migrations },
    allowUnorderedMigrations: true,
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    throw new NetkilnError("internal", "the database could not be brought up to date", { detail: error });
  }
}
