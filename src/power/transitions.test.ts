import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase, type Database } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore } from "../node/index.ts";
import { freeLeftReservations, migrations, openTransitionStore, startTransitions, whileReserved } from "./index.ts";
import { boundPower } from "./open.ts";
import type { PowerOperation } from "./transition-types.ts";
import { advanceTransition, type TransitionParts } from "./transitions.ts";
import type { PowerDriver } from "./types.ts";

const one = "x1c0s0b0n0";
const two = "x1c0s0b0n1";

let time = Date.parse("2026-01-02T03:04:05Z");
let restore = () => {};
beforeEach(() => {
  restore = useClock({ now: () => new Date(time) });
});
afterEach(() => restore());
const pass = (minutes: number) => (time += minutes * 60_000);

/** Machines that do what they are told at once, but for those that do not listen to the power button. */
function openMachines() {
  const on = new Set<string>();
  const stubborn = new Set<string>();
  const calls: string[] = [];
  const driver: PowerDriver = {
    status: async ({ xname }) => (on.has(xname) ? "on" : "off"),
    on: async ({ xname }) => {
      calls.push(`on ${xname}`);
      on.add(xname);
    },
    off: async ({ xname }, how) => {
      calls.push(`${how} ${xname}`);
      if (how === "forced" || !stubborn.has(xname)) on.delete(xname);
    },
  };
  return { on, stubborn, calls, driver };
}

function openParts(db: Database, driver: PowerDriver) {
  const parts = {
    transitions: openTransitionStore(db),
    nodes: openNodeStore(db),
    inventory: openInventory(db),
    power: boundPower(driver),
  } satisfies TransitionParts;
  return parts;
}

async function openHouse(count = 2) {
  const db = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...migrations });
  const machines = openMachines();
  const parts = openParts(db, machines.driver);
  const names = Array.from({ length: count }, (_, number) => `x1c0s0b0n${number}`);
  const unsaid = {
    flag: "OK",
    softwareStatus: undefined,
    role: undefined,
    subRole: undefined,
    nid: undefined,
  } as const;
  await parts.inventory.components.create(
    names.map((xname) => ({
      ...{ xname, state: "Off", enabled: true, ...unsaid, subtype: undefined },
      ...{ netType: undefined, class: undefined, arch: undefined },
    })),
    { force: false },
  );
  const { locks } = parts.inventory;
  const start = async (
    operation: PowerOperation,
    given: readonly (string | { xname: string; deputyKey: string })[] = [one],
    deadlineMinutes = 5,
  ) => {
    const components = given.map((each) => (typeof each === "string" ? { xname: each, deputyKey: undefined } : each));
    return (await parts.transitions.create({ operation, deadlineMinutes, components })).id;
  };
  /** What became of it, one line for each task. */
  const told = async (id: string) => {
    const transition = await parts.transitions.get(id);
    const lines = (await parts.transitions.tasks(id)).map(({ xname, status, description, error }) =>
      [xname, status, description, error].filter((part) => part !== undefined).join(" | "),
    );
    return [transition?.status, ...lines];
  };
  const step = async (id: string) => {
    await advanceTransition(parts, id);
    return told(id);
  };
  const reserved = async () => (await locks.status({ reserved: ["true"] }, { limit: 99 })).map(({ xname }) => xname);
  const reserve = async (xname: string) => {
    const { done } = await locks.reserve({ xnames: [xname] }, 15, "rigid");
    return done[0]?.deputyKey ?? "";
  };
  const stateOf = async (xname: string) => (await parts.nodes.get(xname))?.state;
  return { db, parts, locks, machines, names, start, step, told, reserved, reserve, stateOf };
}

test("nodes are switched on, and what cannot be switched is told for each", async () => {
  const house = await openHouse();
  house.machines.on.add(two);
  const id = await house.start("On", [one, two, one, "x9c0s0b0n0", "x1c0"]);
  assert.deepEqual(await house.told(id), [
    "new",
    ...[one, two, "x9c0s0b0n0", "x1c0"].map((xname) => `${xname} | new | Gathering data`),
  ]);
  assert.deepEqual(await house.step(id), [
    "completed",
    `${one} | succeeded | Transition confirmed, on`,
    `${two} | succeeded | Component already in desired state`,
    "x9c0s0b0n0 | failed | Failed to achieve transition | Missing xname",
    "x1c0 | unsupported | Failed to achieve transition | No power control for component type Chassis",
  ]);
  assert.deepEqual(house.machines.calls, [`on ${one}`]);
  assert.deepEqual((await house.parts.transitions.get(id))?.counts, {
    ...{ new: 0, "in-progress": 0, failed: 1, succeeded: 2, unsupported: 1 },
  });
  assert.deepEqual([await house.stateOf(one), await house.stateOf(two)], ["On", "Off"], "the other was not switched");
  assert.deepEqual(await house.reserved(), []);
});

test("off asks politely first and forces when the time is over; soft-off does not force", async () => {
  const house = await openHouse();
  const { machines } = house;
  machines.on.add(one).add(two);
  machines.stubborn.add(one).add(two);
  const off = await house.start("Off", [one]);
  const soft = await house.start("Soft-Off", [two]);
  const confirming = "in-progress | Confirming successful transition, gracefulshutdown";
  assert.deepEqual(await house.step(off), ["in-progress", `${one} | ${confirming}`]);
  assert.deepEqual(await house.step(soft), ["in-progress", `${two} | ${confirming}`]);
  assert.deepEqual(await house.reserved(), [one, two]);
  pass(4);
  await house.step(off);
  assert.deepEqual(machines.calls, [`graceful ${one}`, `graceful ${two}`], "nothing is asked for twice");
  pass(1);
  assert.deepEqual(await house.step(off), ["completed", `${one} | succeeded | Transition confirmed, forceoff`]);
  assert.deepEqual(await house.step(soft), [
    "completed",
    `${two} | failed | Failed to achieve transition | Timeout waiting for transition, gracefulshutdown.`,
  ]);
  assert.deepEqual(machines.calls.slice(2), [`forced ${one}`]);
  assert.deepEqual([...machines.on], [two]);
  assert.deepEqual(await house.reserved(), []);
});

test("restarts need a node that is on; init takes it as it is", async () => {
  const house = await openHouse();
  house.machines.on.add(one);
  assert.deepEqual(await house.step(await house.start("Hard-Restart", [one, two])), [
    "completed",
    `${one} | succeeded | Transition confirmed, on`,
    `${two} | failed | Component must be in the On state for Hard-Restart | Component is in the wrong power state`,
  ]);
  assert.deepEqual(house.machines.calls.splice(0), [`graceful ${one}`, `on ${one}`]);
  await house.step(await house.start("Init", [one, two]));
  assert.deepEqual(house.machines.calls.splice(0).sort(), [`graceful ${one}`, `on ${one}`, `on ${two}`]);
  await house.step(await house.start("Force-Off", [one]));
  assert.deepEqual(house.machines.calls, [`forced ${one}`]);
});

test("without waiting a command that was given is enough, and a restart forces", async () => {
  const house = await openHouse();
  house.machines.on.add(one).add(two);
  house.machines.stubborn.add(one).add(two);
  assert.deepEqual(await house.step(await house.start("Off", [one], 0)), [
    "completed",
    `${one} | succeeded | Transition applied, gracefulshutdown. Not confirming.`,
  ]);
  assert.deepEqual(await house.step(await house.start("Soft-Restart", [two], 0)), [
    "completed",
    `${two} | succeeded | Transition applied, on. Not confirming.`,
  ]);
  assert.deepEqual(house.machines.calls, [`graceful ${one}`, `graceful ${two}`, `forced ${two}`, `on ${two}`]);
});

test("nobody's power is taken who has it locked or reserved", async () => {
  const house = await openHouse(5);
  const [locked, reserved, closed, mine, other] = house.names as [string, string, string, string, string];
  await house.locks.setLocked({ xnames: [locked] }, true, "rigid");
  await house.reserve(reserved);
  await house.locks.setDisabled({ xnames: [closed] }, true, "rigid");
  const deputyKey = await house.reserve(mine);
  const id = await house.start("On", [
    ...[locked, reserved, closed, { xname: mine, deputyKey }],
    { xname: other, deputyKey: "good for nothing" },
  ]);
  const failed = "failed | Failed to achieve transition";
  assert.deepEqual(await house.step(id), [
    "completed",
    `${locked} | ${failed} | Unable to reserve component: it is locked`,
    `${reserved} | ${failed} | Unable to reserve component: it is reserved by somebody else`,
    `${closed} | ${failed} | Unable to reserve component: it is closed for reservations`,
    `${mine} | succeeded | Transition confirmed, on`,
    `${other} | succeeded | Transition confirmed, on`,
  ]);
  assert.deepEqual([...house.machines.on].sort(), [mine, other].sort());
  assert.deepEqual(await house.reserved(), [reserved, mine], "reservations of others stay");
  const stolen = await house.start("Off", [{ xname: reserved, deputyKey }, mine]);
  assert.deepEqual((await house.step(stolen)).slice(1), [
    `${reserved} | succeeded | Component already in desired state`,
    `${mine} | ${failed} | Unable to reserve component: it is reserved by somebody else`,
  ]);
  house.machines.on.add(reserved);
  const again = await house.start("Off", [
    { xname: reserved, deputyKey },
    { xname: mine, deputyKey },
  ]);
  assert.deepEqual((await house.step(again)).slice(1), [
    `${reserved} | ${failed} | Invalid deputy key and unable to reserve component: it is reserved by somebody else`,
    `${mine} | succeeded | Transition confirmed, gracefulshutdown`,
  ]);
});

test("a reservation lasts as long as the task, and a task that loses it fails", async () => {
  const house = await openHouse();
  house.machines.on.add(one).add(two);
  house.machines.stubborn.add(one).add(two);
  const id = await house.start("Soft-Off", [one, two], -1);
  await house.step(id);
  for (let minute = 0; minute < 20; minute += 1) {
    pass(1);
    await house.step(id);
    for (const { reservation } of await house.locks.status({ xnames: [one, two] }, { limit: 2 })) {
      const left = Date.parse(reservation?.expires ?? "") - time;
      assert.ok(left >= 2.5 * 60_000, `after ${minute + 1} minutes ${left} ms are left of the reservation`);
    }
  }
  await house.locks.removeReservations({ xnames: [one] }, "rigid");
  await house.reserve(one);
  house.machines.stubborn.delete(two);
  house.machines.on.delete(two);
  assert.deepEqual(await house.step(id), [
    "completed",
    `${one} | failed | Failed to achieve transition | Reservation expired: it is reserved by somebody else`,
    `${two} | succeeded | Transition confirmed, gracefulshutdown`,
  ]);
  assert.deepEqual(await house.reserved(), [one]);
});

test("a task that loses its reservation while its turn is waited for does not switch the node", async () => {
  const house = await openHouse();
  const { power } = house.parts;
  const late: PowerDriver = {
    ...power,
    on: async (node, ready) => {
      await house.locks.removeReservations({ xnames: [one] }, "rigid");
      await house.reserve(one);
      await power.on(node, ready);
    },
  };
  const id = await house.start("On", [one]);
  await advanceTransition({ ...house.parts, power: late }, id);
  assert.deepEqual(await house.told(id), [
    "completed",
    `${one} | failed | Failed to apply transition, on | Reservation expired: it is reserved by somebody else`,
  ]);
  assert.deepEqual(house.machines.calls, []);
  assert.deepEqual(await house.reserved(), [one]);
});

test("an abort ends what is not over, and leaves the rest", async () => {
  const house = await openHouse();
  house.machines.on.add(one).add(two);
  house.machines.stubborn.add(one);
  const id = await house.start("Off", [one, two]);
  await house.step(id);
  assert.equal((await house.parts.transitions.signalAbort(id))?.status, "abort-signaled");
  assert.deepEqual(await house.step(id), [
    "aborted",
    `${one} | failed | Aborted. Last status - Confirming successful transition, gracefulshutdown | Transition aborted`,
    `${two} | succeeded | Transition confirmed, gracefulshutdown`,
  ]);
  assert.equal((await house.parts.transitions.signalAbort(id))?.status, "aborted");
  assert.deepEqual(await house.reserved(), []);
  const done = await house.start("On", [two]);
  await house.step(done);
  assert.equal((await house.parts.transitions.signalAbort(done))?.status, "completed");
  const never = await house.start("On", [one]);
  await house.parts.transitions.signalAbort(never);
  assert.equal((await house.step(never))[0], "aborted");
});

for (const arrived of [true, false]) {
  test(`a server that dies while it switches: the command ${arrived ? "arrived" : "did not arrive"}`, async () => {
    const house = await openHouse();
    const { machines } = house;
    machines.on.add(one);
    const dying = openParts(house.db, {
      ...machines.driver,
      off: async (node, how) => {
        if (arrived) await machines.driver.off(node, how);
        return new Promise(() => {});
      },
    });
    const id = await house.start("Hard-Restart", [one]);
    void advanceTransition(dying, id);
    while (!(await house.told(id))[1]?.includes("Applying transition")) await new Promise(setImmediate);
    await new Promise((resolve) => setImmediate(resolve));
    await freeLeftReservations(house.parts);
    assert.deepEqual(await house.reserved(), [one], "the task goes on with its reservation");
    const before = machines.calls.length;
    assert.deepEqual(await house.step(id), ["completed", `${one} | succeeded | Transition confirmed, on`]);
    const after = machines.calls.slice(before);
    assert.deepEqual(after, arrived ? [`on ${one}`] : [`graceful ${one}`, `on ${one}`]);
  });
}

test("what is aborted while its turn is waited for is not switched", async () => {
  const house = await openHouse();
  const parts: TransitionParts = {
    ...house.parts,
    power: {
      ...house.parts.power,
      on: async (node, ready) => {
        await house.parts.transitions.signalAbort(id);
        await house.parts.power.on(node, ready);
      },
    },
  };
  const id = await house.start("On", [one, two]);
  await advanceTransition(parts, id);
  assert.deepEqual(house.machines.calls, []);
  assert.deepEqual(await house.told(id), [
    "aborted",
    `${one} | failed | Aborted. Last status - Applying transition, on | Transition aborted`,
    `${two} | failed | Aborted. Last status - Applying transition, on | Transition aborted`,
  ]);
  assert.deepEqual(await house.reserved(), []);
});

test("what a dead server left reserved without a task is free again", async () => {
  const house = await openHouse();
  await house.reserve(two);
  void whileReserved(house.locks, one, undefined, () => new Promise(() => {}));
  while ((await house.reserved()).length < 2) await new Promise(setImmediate);
  await freeLeftReservations(house.parts);
  assert.deepEqual(await house.reserved(), [two], "a client's stays");
});

test("a driver's failure is told in its words, and the others go on", async () => {
  const house = await openHouse();
  const parts = openParts(house.db, {
    ...house.machines.driver,
    on: async (node) => {
      if (node.xname === two) return house.machines.driver.on(node);
      throw new NetkilnError("work_failed", "it did not start", { output: ["no memory"] });
    },
  });
  const id = await house.start("On", [one, two]);
  await advanceTransition(parts, id);
  assert.deepEqual(await house.told(id), [
    "completed",
    `${one} | failed | Failed to apply transition, on | it did not start: no memory`,
    `${two} | succeeded | Transition confirmed, on`,
  ]);
  assert.deepEqual(await house.reserved(), []);
});

test("a power that cannot be told is no reason to switch", async () => {
  const house = await openHouse();
  const blind = openParts(house.db, {
    ...house.machines.driver,
    status: async () => {
      throw new NetkilnError("work_failed", "the controller does not answer");
    },
  });
  const id = await house.start("On");
  await advanceTransition(blind, id);
  assert.deepEqual(
    (await house.told(id))[1],
    `${one} | failed | Failed to achieve transition | the controller does not answer`,
  );
  assert.deepEqual(house.machines.calls, []);
});

test("a node that one transition works on is not another's", async () => {
  const house = await openHouse();
  house.machines.on.add(one);
  house.machines.stubborn.add(one);
  const first = await house.start("Off");
  await house.step(first);
  const second = await house.start("Force-Off");
  assert.match((await house.step(second))[1] ?? "", /failed .* it is reserved by somebody else/);
  assert.deepEqual([...house.machines.on], [one]);
});

test("5000 nodes in one transition, no more than 32 switched at a time", async () => {
  const house = await openHouse(5000);
  let switching = 0;
  let most = 0;
  const parts = openParts(house.db, {
    ...house.machines.driver,
    on: async (node) => {
      most = Math.max(most, (switching += 1));
      await new Promise((resolve) => setImmediate(resolve));
      switching -= 1;
      return house.machines.driver.on(node);
    },
  });
  const id = await house.start("On", house.names);
  await advanceTransition(parts, id);
  const transition = await parts.transitions.get(id);
  assert.equal(transition?.status, "completed");
  assert.equal(transition.counts.succeeded, 5000);
  assert.equal(house.machines.calls.length, 5000);
  assert.equal(most, 32);
  assert.deepEqual(await house.reserved(), []);
});

test("finished transitions go after a day, unfinished ones stay", async () => {
  const house = await openHouse();
  house.machines.on.add(one);
  house.machines.stubborn.add(one);
  const waiting = await house.start("Soft-Off", [one], -1);
  const done = await house.start("On", [two]);
  await house.step(waiting);
  await house.step(done);
  pass(24 * 60 - 1);
  await house.parts.transitions.removeExpired();
  assert.equal((await house.parts.transitions.list()).length, 2);
  pass(1);
  await house.parts.transitions.removeExpired();
  assert.deepEqual(
    (await house.parts.transitions.list()).map(({ id }) => id),
    [waiting],
  );
  assert.deepEqual(await house.parts.transitions.tasks(done), []);
});

test("transitions are carried on when it is woken, also those of an earlier server", { timeout: 10_000 }, async () => {
  const house = await openHouse();
  useClock({
    now: () => new Date(time),
    // A sleep that only ends when it is woken.
    sleep: (_milliseconds, signal) =>
      new Promise((_resolve, reject) => {
        if (signal?.aborted === true) reject(new Error("woken"));
        signal?.addEventListener("abort", () => reject(new Error("woken")));
      }),
  });
  const isDone = async (id: string) => (await house.parts.transitions.get(id))?.status === "completed";
  const earlier = await house.start("On", [two]);
  const stop = new AbortController();
  const running = startTransitions(house.parts, { signal: stop.signal });
  while (!(await isDone(earlier))) await new Promise(setImmediate);
  const later = await house.start("On", [one]);
  running.wake();
  while (!(await isDone(later))) await new Promise(setImmediate);
  stop.abort();
  await running.stopped;
});

test("a look at the power counts for a moment, and never across a switch", async () => {
  const house = await openHouse();
  let asked = 0;
  const power = boundPower({
    ...house.machines.driver,
    status: async (node) => {
      asked += 1;
      return house.machines.driver.status(node);
    },
  });
  const node = await house.parts.nodes.get(one);
  assert.ok(node);
  assert.equal((await power.recent(node)).state, "off");
  await power.recent(node);
  assert.equal(asked, 1);
  await power.on(node);
  assert.equal((await power.recent(node)).state, "on");
  assert.equal(asked, 2);
  time += 2000;
  await power.recent(node);
  assert.equal(asked, 3);
});
