import type { z } from "zod";
import { NetkilnError } from "../../../lib/errors.ts";
import type { ComponentFilter, LockResult, LockStatus, LockStore, Reservation } from "../../../node/index.ts";
import { streamList } from "../../json-stream.ts";
import { answer, operation, type Operation } from "../../service.ts";
import {
  deputySchema,
  keysSchema,
  lockQuerySchema,
  lockSchema,
  lockStatusSchema,
  renewSchema,
  reserveSchema,
  toFilter,
} from "./schema.ts";

const base = "/locks";
/** What is called to change something, what it changes, and to what. */
const changes = [
  ["lock", "setLocked", true],
  ["unlock", "setLocked", false],
  ["disable", "setDisabled", true],
  ["repair", "setDisabled", false],
] as const;

export function lockOperations(locks: LockStore): Operation[] {
  return [
    ...changes.map(([verb, change, value]) =>
      operation({
        id: `POST ${base}/${verb}`,
        method: "POST",
        path: `${base}/${verb}`,
        body: lockSchema,
        run: async ({ body }) =>
          answer(200, printResult(await locks[change](filterOf(body), value, body.ProcessingModel))),
      }),
    ),
    operation({
      id: `POST ${base}/status`,
      method: "POST",
      path: `${base}/status`,
      body: lockStatusSchema,
      run: async ({ body }) => {
        const names = [...new Set(body.ComponentIDs)];
        const found = await locks.status({ xnames: names }, { limit: names.length });
        const known = new Set(found.map(({ xname }) => xname));
        const missing = names.filter((xname) => !known.has(xname));
        return answer(200, {
          Components: found.map(printStatus),
          ...(missing.length > 0 && { NotFound: missing }),
        });
      },
    }),
    operation({
      id: `GET ${base}/status`,
      method: "GET",
      path: `${base}/status`,
      query: lockQuerySchema,
      run: async ({ query }) =>
        streamList(
          (page) => locks.status({ ...toFilter(query), reserved: query.reserved }, page),
          ({ xname }) => xname,
          printStatus,
          [`{"Components":`, "}"],
        ),
    }),
    operation({
      id: `POST ${base}/reservations`,
      method: "POST",
      path: `${base}/reservations`,
      body: lockSchema,
      run: async ({ body }) =>
        answer(202, printReservations(await locks.reserve(filterOf(body), undefined, body.ProcessingModel))),
    }),
    operation({
      id: `POST ${base}/reservations/remove`,
      method: "POST",
      path: `${base}/reservations/remove`,
      body: lockSchema,
      run: async ({ body }) =>
        answer(202, printResult(await locks.removeReservations(anyFilterOf(body), body.ProcessingModel))),
    }),
    operation({
      id: `POST ${base}/service/reservations`,
      method: "POST",
      path: `${base}/service/reservations`,
      body: reserveSchema,
      run: async ({ body }) =>
        answer(
          202,
          printReservations(await locks.reserve(filterOf(body), body.ReservationDuration, body.ProcessingModel)),
        ),
    }),
    ...[`${base}/reservations/release`, `${base}/service/reservations/release`].map((path) =>
      operation({
        id: `POST ${path}`,
        method: "POST",
        path,
        body: keysSchema,
        run: async ({ body }) =>
          answer(202, printResult(await locks.release(keysOf(body.ReservationKeys), body.ProcessingModel))),
      }),
    ),
    operation({
      id: `POST ${base}/service/reservations/renew`,
      method: "POST",
      path: `${base}/service/reservations/renew`,
      body: renewSchema,
      run: async ({ body }) => {
        const keys = keysOf(body.ReservationKeys);
        return answer(202, printResult(await locks.renew(keys, body.ReservationDuration, body.ProcessingModel)));
      },
    }),
    operation({
      id: `POST ${base}/service/reservations/check`,
      method: "POST",
      path: `${base}/service/reservations/check`,
      body: deputySchema,
      run: async ({ body }) => {
        const { done, failed } = await locks.check(keysOf(body.DeputyKeys));
        return answer(202, {
          Success: done.map((reservation) => printReservation({ ...reservation, reservationKey: undefined })),
          Failure: printFailures(failed),
        });
      },
    }),
  ];
}

/** Without anything in it the filter would fit the whole system, which nobody means who mistypes a member's name. */
function filterOf(body: z.output<typeof lockSchema>): ComponentFilter {
  const filter = anyFilterOf(body);
  if (Object.values(filter).some((values) => values !== undefined)) return filter;
  throw new NetkilnError("invalid_input", "no components are named: give ComponentIDs or a filter");
}

function anyFilterOf(body: z.output<typeof lockSchema>): ComponentFilter {
  return { ...toFilter(body), xnames: body.ComponentIDs?.length === 0 ? undefined : body.ComponentIDs };
}

function keysOf(keys: readonly { readonly ID: string; readonly Key: string }[]) {
  return keys.map(({ ID, Key }) => ({ xname: ID, key: Key }));
}

function printFailures(failed: LockResult<unknown>["failed"]) {
  return failed.map(({ xname, reason }) => ({ ID: xname, Reason: reason }));
}

function printResult({ done, failed }: LockResult<string>) {
  return {
    Counts: { Total: done.length + failed.length, Success: done.length, Failure: failed.length },
    Success: { ComponentIDs: done },
    Failure: printFailures(failed),
  };
}

function printReservations({ done, failed }: LockResult<Reservation>) {
  return { Success: done.map(printReservation), Failure: printFailures(failed) };
}

/** Whoever shows a deputy key gets no reservation key. */
function printReservation(
  one: Pick<Reservation, "xname" | "deputyKey" | "expires"> & { readonly reservationKey: string | undefined },
) {
  return {
    ID: one.xname,
    DeputyKey: one.deputyKey,
    ReservationKey: one.reservationKey,
    ExpirationTime: one.expires,
  };
}

function printStatus({ xname, locked, reservationDisabled, reservation }: LockStatus) {
  return {
    ID: xname,
    Locked: locked,
    Reserved: reservation !== undefined,
    CreationTime: reservation?.created,
    ExpirationTime: reservation?.expires,
    ReservationDisabled: reservationDisabled,
  };
}
