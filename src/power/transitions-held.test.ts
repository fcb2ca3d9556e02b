/** Whose power a transition may switch, and what becomes of it when it is aborted or the server dies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { holdClock } from "../lib/plant-clock.ts";
import { freeLeftReservations, whileReserved } from "./index.ts";
import { one, openHouse, openParts, two } from "./plant-machines.ts";
import { advanceTransition, type TransitionParts } from "./transitions.ts";
import type { PowerDriver } from "./types.ts";

const clock = holdClock();
const pass = (minutes: number) => clock.pass(minutes * 60);

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
      const left = Date.parse(reservation?.expires ?? "") - clock.now();
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
