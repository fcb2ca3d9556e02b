import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { holdClock } from "../lib/plant-clock.ts";
import { startTransitions } from "./index.ts";
import { boundPower } from "./open.ts";
import { one, openHouse, openParts, two } from "./plant-machines.ts";
import { advanceTransition } from "./transitions.ts";

const clock = holdClock();
const pass = (minutes: number) => clock.pass(minutes * 60);

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
    now: () => new Date(clock.now()),
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
  clock.pass(2);
  await power.recent(node);
  assert.equal(asked, 3);
});
