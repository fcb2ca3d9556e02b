import { clock } from "../lib/clock.ts";
import { sql, type Database, type Kysely } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { amongTexts, select, type Page } from "./components.ts";
import type { ComponentRow, Tables } from "./tables.ts";
import type { ComponentFilter } from "./types.ts";

/** Why something could not be done to a component. */
export type LockFailure = "NotFound" | "Locked" | "Unlocked" | "Disabled" | "Reserved";

export interface LockResult<Done> {
  readonly done: readonly Done[];
  readonly failed: readonly { readonly xname: string; readonly reason: LockFailure }[];
}

/** `rigid`: all or nothing, with an `invalid_input` that says why; `flexible`: what can be done. */
export type ProcessingModel = "rigid" | "flexible";

export interface Reservation {
  readonly xname: string;
  /** Renews and releases it. */
  readonly reservationKey: string;
  /** Shows a third that it is held. */
  readonly deputyKey: string;
  readonly created: string;
  /** Without one it lasts until it is released. */
  readonly expires: string | undefined;
}

export interface LockStatus {
  readonly xname: string;
  readonly locked: boolean;
  readonly reservationDisabled: boolean;
  readonly reservation: Reservation | undefined;
}

export interface Key {
  readonly xname: string;
  readonly key: string;
}

/** Locks are set by operators and stay; reservations are for a service that works on a component for a while. */
export interface LockStore {
  status(filter: ComponentFilter, page: Page): Promise<LockStatus[]>;
  /** A locked component is left out of sessions, and services cannot reserve it. */
  setLocked(filter: ComponentFilter, locked: boolean, model: ProcessingModel): Promise<LockResult<string>>;
  /** While disabled none can be made, and those that there are end. */
  setDisabled(filter: ComponentFilter, disabled: boolean, model: ProcessingModel): Promise<LockResult<string>>;
  /**
   * With `minutes` for a service, of components that are not locked; without for an operator, of locked ones.
   * A part of netkiln itself says its name as `holder`, and finds them by it after its server died.
   */
  reserve(
    filter: ComponentFilter,
    minutes: number | undefined,
    model: ProcessingModel,
    holder?: string,
  ): Promise<LockResult<Reservation>>;
  /** The reservation keys of that part of netkiln. */
  heldBy(holder: string): Promise<Key[]>;
  /** Makes them last for so many minutes from now. */
  renew(keys: readonly Key[], minutes: number, model: ProcessingModel): Promise<LockResult<string>>;
  release(keys: readonly Key[], model: ProcessingModel): Promise<LockResult<string>>;
  /** Ends reservations whoever has them; of all components when the filter names none. */
  removeReservations(filter: ComponentFilter, model: ProcessingModel): Promise<LockResult<string>>;
  check(deputyKeys: readonly Key[]): Promise<LockResult<Reservation>>;
}

const everyOne = Number.MAX_SAFE_INTEGER;

export function openLockStore(database: Database): LockStore {
  const db = database.withTables<Tables>();

  /** What the filter names is looked at, one by one, and what can be done is done; all in one transaction. */
  const act = async (
    filter: ComponentFilter,
    model: ProcessingModel,
    judge: (row: ComponentRow, reserved: boolean) => LockFailure | undefined,
    carryOut: (trx: Kysely<Tables>, xnames: readonly string[]) => Promise<void>,
  ): Promise<LockResult<string>> =>
    db.transaction().execute(async (trx) => {
      await endExpired(trx);
      const rows = await select(trx, filter, { limit: everyOne });
      const found = new Set(rows.map(({ xname }) => xname));
      const reserved = new Set((await reservations(trx, [...found])).map(({ xname }) => xname));
      const failed: { xname: string; reason: LockFailure }[] = (filter.xnames ?? [])
        .filter((xname) => !found.has(xname))
        .map((xname) => ({ xname, reason: "NotFound" }));
      const done: string[] = [];
      for (const row of rows) {
        const reason = judge(row, reserved.has(row.xname));
        if (reason === undefined) done.push(row.xname);
        else failed.push({ xname: row.xname, reason });
      }
      refuse(model, failed);
      if (rows.length === 0 && failed.length === 0) throw new NetkilnError("invalid_input", "no component fits");
      await carryOut(trx, done);
      return { done, failed };
    });

  const byKeys = async (
    keys: readonly Key[],
    model: ProcessingModel,
    carryOut: (trx: Kysely<Tables>, xnames: readonly string[]) => Promise<void>,
  ): Promise<LockResult<string>> =>
    db.transaction().execute(async (trx) => {
      await endExpired(trx);
      const held = new Map(
        (
          await reservations(
            trx,
            keys.map(({ xname }) => xname),
          )
        ).map((one) => [one.xname, one]),
      );
      const fits = ({ xname, key }: Key) => held.get(xname)?.reservationKey === key;
      const done = keys.filter(fits).map(({ xname }) => xname);
      const failed = keys.filter((key) => !fits(key)).map(({ xname }) => ({ xname, reason: "NotFound" as const }));
      refuse(model, failed);
      await carryOut(trx, done);
      return { done, failed };
    });

  return {
    status: async (filter, page) => {
      const rows = await select(db, filter, page);
      const now = timeOf(clock.now());
      const held = await reservations(
        db,
        rows.map(({ xname }) => xname),
      );
      const lasting = held.filter(({ expires }) => expires === undefined || expires > now);
      const of = new Map(lasting.map((one) => [one.xname, one]));
      return rows.map((row) => ({
        xname: row.xname,
        locked: row.locked !== 0,
        reservationDisabled: row.reservation_disabled !== 0,
        reservation: of.get(row.xname),
      }));
    },
    setLocked: async (filter, locked, model) =>
      act(
        filter,
        model,
        (row, reserved) => {
          if ((row.locked !== 0) === locked) return locked ? "Locked" : "Unlocked";
          if (row.reservation_disabled !== 0) return "Disabled";
          return reserved ? "Reserved" : undefined;
        },
        async (trx, xnames) => {
          const changed = trx.updateTable("inventory_component").set({ locked: Number(locked) });
          await changed.where("xname", "in", amongTexts(xnames)).execute();
        },
      ),
    setDisabled: async (filter, disabled, model) =>
      act(
        filter,
        model,
        () => undefined,
        async (trx, xnames) => {
          if (disabled) await end(trx, xnames);
          const changed = trx.updateTable("inventory_component").set({ reservation_disabled: Number(disabled) });
          await changed.where("xname", "in", amongTexts(xnames)).execute();
        },
      ),
    reserve: async (filter, minutes, model, holder) => {
      const made: Reservation[] = [];
      const { failed } = await act(
        filter,
        model,
        (row, reserved) => {
          if (row.reservation_disabled !== 0) return "Disabled";
          if (row.locked !== 0 && minutes !== undefined) return "Locked";
          if (row.locked === 0 && minutes === undefined) return "Unlocked";
          return reserved ? "Reserved" : undefined;
        },
        async (trx, xnames) => {
          made.push(...xnames.map((xname) => newReservation(xname, minutes)));
          await sql`
            insert into inventory_reservation (xname, created, expires, deputy_key, reservation_key, holder)
            select value ->> '$.xname', value ->> '$.created', value ->> '$.expires', value ->> '$.deputyKey',
              value ->> '$.reservationKey', ${holder ?? null}
            from json_each(${JSON.stringify(made)})`.execute(trx);
        },
      );
      return { done: made, failed };
    },
    heldBy: async (holder) => {
      const rows = db.selectFrom("inventory_reservation").select(["xname", "reservation_key"]);
      return (await rows.where("holder", "=", holder).execute()).map((row) => ({
        xname: row.xname,
        key: row.reservation_key,
      }));
    },
    renew: async (keys, minutes, model) =>
      byKeys(keys, model, async (trx, xnames) => {
        const changed = trx.updateTable("inventory_reservation").set({ expires: after(minutes) });
        await changed.where("xname", "in", amongTexts(xnames)).execute();
      }),
    release: async (keys, model) => byKeys(keys, model, end),
    removeReservations: async (filter, model) => {
      const isOfAll = Object.values(filter).every((values) => values === undefined);
      return act(filter, isOfAll ? "flexible" : model, (_, reserved) => (reserved ? undefined : "NotFound"), end).then(
        (result) => (isOfAll ? { ...result, failed: [] } : result),
      );
    },
    check: async (deputyKeys) => {
      await endExpired(db);
      const held = new Map(
        (
          await reservations(
            db,
            deputyKeys.map(({ xname }) => xname),
          )
        ).map((one) => [one.deputyKey, one]),
      );
      const found = deputyKeys.map(({ xname, key }) => {
        const reservation = held.get(key);
        return { xname, reservation: reservation?.xname === xname ? reservation : undefined };
      });
      return {
        done: found.flatMap(({ reservation }) => reservation ?? []),
        failed: found
          .filter(({ reservation }) => reservation === undefined)
          .map(({ xname }) => ({ xname, reason: "NotFound" as const })),
      };
    },
  };
}

/** RFC 3339 with milliseconds: what is compared as text has to be of one form. */
function timeOf(date: Date): string {
  return date.toISOString();
}

function after(minutes: number): string {
  return timeOf(new Date(clock.now().getTime() + minutes * 60_000));
}

function newReservation(xname: string, minutes: number | undefined): Reservation {
  return {
    xname,
    reservationKey: `${xname}:rk:${clock.uuid()}`,
    deputyKey: `${xname}:dk:${clock.uuid()}`,
    created: timeOf(clock.now()),
    expires: minutes === undefined ? undefined : after(minutes),
  };
}

const because: Readonly<Record<LockFailure, string>> = {
  NotFound: "not found",
  Locked: "locked",
  Unlocked: "not locked",
  Disabled: "closed for reservations",
  Reserved: "reserved",
};

function refuse(model: ProcessingModel, failed: LockResult<string>["failed"]): void {
  if (model === "flexible" || failed.length === 0) return;
  const some = failed.slice(0, 10).map(({ xname, reason }) => `${xname} is ${because[reason]}`);
  throw new NetkilnError("invalid_input", `${some.join(", ")}: nothing was changed`, {
    hint: "the processing model flexible does what can be done",
  });
}

async function endExpired(db: Kysely<Tables>): Promise<void> {
  await db.deleteFrom("inventory_reservation").where("expires", "<=", timeOf(clock.now())).execute();
}

async function end(db: Kysely<Tables>, xnames: readonly string[]): Promise<void> {
  await db.deleteFrom("inventory_reservation").where("xname", "in", amongTexts(xnames)).execute();
}

async function reservations(db: Kysely<Tables>, xnames: readonly string[]): Promise<Reservation[]> {
  const rows = await db
    .selectFrom("inventory_reservation")
    .selectAll()
    .where("xname", "in", amongTexts(xnames))
    .execute();
  return rows.map((row) => ({
    xname: row.xname,
    reservationKey: row.reservation_key,
    deputyKey: row.deputy_key,
    created: row.created,
    expires: row.expires ?? undefined,
  }));
}
