import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Key, LockFailure, LockStore, Node } from "../node/index.ts";
import type { TransitionStore } from "./transition-store.ts";
import { isOver, type TransitionTask } from "./transition-types.ts";
import type { PowerDriver, Ready } from "./types.ts";

/** Longer than any driver takes. */
const minutes = 5;
const holder = "power";

/** Why the power of a component is somebody else's. */
export const reasons: Readonly<Record<LockFailure, string>> = {
  NotFound: "is not in the inventory",
  Locked: "is locked",
  Unlocked: "is not locked",
  Disabled: "is closed for reservations",
  Reserved: "is reserved by somebody else",
};

const hints: Partial<Record<LockFailure, string>> = {
  Locked: "unlock it first if nothing needs it",
  Reserved: "try again when it is released, or show the reservation's deputy key",
  Disabled: "repair its lock first",
};

/**
 * Does the work while the component is reserved for it: by a reservation whose deputy key is shown, or by one of its
 * own. Throws `refused` when there can be none, and does nothing then. A reservation may end while the work waits for
 * its turn: `ready` sees to it again.
 */
export async function whileReserved<T>(
  locks: LockStore,
  xname: string,
  deputyKey: string | undefined,
  work: (ready: Ready) => Promise<T>,
): Promise<T> {
  const isShown = async () =>
    deputyKey !== undefined && (await locks.check([{ xname, key: deputyKey }])).done.length > 0;
  if (await isShown()) {
    return work(async () => {
      if (!(await isShown()))
        throw new NetkilnError("refused", `the reservation of ${xname} ended before its turn came`);
    });
  }
  let keys = await reserveOne(locks, xname);
  try {
    return await work(async () => {
      const { failed } = await locks.renew(keys, minutes, "flexible");
      if (failed.length > 0) keys = await reserveOne(locks, xname);
    });
  } finally {
    await locks.release(keys, "flexible");
  }
}

async function reserveOne(locks: LockStore, xname: string): Promise<Key[]> {
  const { done, failed } = await locks.reserve({ xnames: [xname] }, minutes, "flexible", holder);
  const reason = failed[0]?.reason;
  if (reason !== undefined) {
    throw new NetkilnError("refused", `${xname} ${reasons[reason]}`, { hint: hints[reason] });
  }
  return done.map(({ reservationKey }) => ({ xname, key: reservationKey }));
}

/** Power that is switched under a reservation only. */
export function reservedPower(power: PowerDriver, locks: LockStore): PowerDriver {
  const reserved = ({ xname }: Node, ready: Ready | undefined, work: (ready: Ready) => Promise<void>) =>
    whileReserved(locks, xname, undefined, (isReserved) =>
      work(async () => {
        await isReserved();
        await ready?.();
      }),
    );
  return {
    status: (node) => power.status(node),
    on: (node, ready) => reserved(node, ready, (both) => power.on(node, both)),
    off: (node, how, ready) => reserved(node, ready, (both) => power.off(node, how, both)),
  };
}

/** What a server that died left reserved is free again, but for what unfinished tasks go on with. */
export async function freeLeftReservations({ transitions, inventory: { locks } }: ReservationParts): Promise<void> {
  const kept = new Set<string | undefined>();
  for (const id of await transitions.unfinished()) {
    for (const task of await transitions.tasks(id)) if (!isOver(task)) kept.add(task.reservationKey);
  }
  const left = (await locks.heldBy(holder)).filter(({ key }) => !kept.has(key));
  if (left.length > 0) await locks.release(left, "flexible");
}

export interface ReservationParts {
  readonly transitions: TransitionStore;
  readonly inventory: { readonly locks: LockStore };
}

/**
 * Sees to it that each task's component is reserved for it for some time to come. Its deputy key counts as long as it
 * is good; otherwise it is given a reservation of its own. Of those that get none, the reason.
 */
export async function holdReservations(
  locks: LockStore,
  tasks: readonly TransitionTask[],
): Promise<{ held: TransitionTask[]; refused: { task: TransitionTask; reason: LockFailure }[] }> {
  const shown = tasks.flatMap(({ xname, deputyKey: key }) => (key === undefined ? [] : [{ xname, key }]));
  const good = shown.length === 0 ? [] : (await locks.check(shown)).done;
  const expiryOf = new Map(good.map(({ xname, expires }) => [xname, expires]));
  await renew(
    locks,
    tasks.filter(({ xname }) => endsSoon(expiryOf.get(xname))),
  );
  const loose = tasks.filter(({ xname }) => !expiryOf.has(xname));
  if (loose.length === 0) return { held: [...tasks], refused: [] };
  const names = loose.map(({ xname }) => xname);
  const { done, failed } = await locks.reserve({ xnames: names }, minutes, "flexible", holder);
  const made = new Map(done.map((reservation) => [reservation.xname, reservation]));
  const reasonOf = new Map(failed.map(({ xname, reason }) => [xname, reason]));
  const held: TransitionTask[] = [];
  const refused: { task: TransitionTask; reason: LockFailure }[] = [];
  for (const task of tasks) {
    const reservation = made.get(task.xname);
    const reason = reasonOf.get(task.xname);
    if (reason !== undefined) refused.push({ task, reason });
    else if (reservation === undefined) held.push(task);
    else held.push({ ...task, deputyKey: reservation.deputyKey, reservationKey: reservation.reservationKey });
  }
  return { held, refused };
}

function endsSoon(expires: string | undefined): boolean {
  return expires !== undefined && Date.parse(expires) - clock.now().getTime() < (minutes * 60_000) / 2;
}

async function renew(locks: LockStore, tasks: readonly TransitionTask[]): Promise<void> {
  const keys = ownKeys(tasks);
  if (keys.length > 0) await locks.renew(keys, minutes, "flexible");
}

/** Ends the tasks' own reservations. */
export async function releaseReservations(locks: LockStore, tasks: readonly TransitionTask[]): Promise<void> {
  const keys = ownKeys(tasks);
  if (keys.length > 0) await locks.release(keys, "flexible");
}

function ownKeys(tasks: readonly TransitionTask[]): { xname: string; key: string }[] {
  return tasks.flatMap(({ xname, reservationKey: key }) => (key === undefined ? [] : [{ xname, key }]));
}
