/** When the reconciler switches power, and whose it is while it does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PowerDriver } from "../power/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { holdClock } from "../lib/plant-clock.ts";
import { byHand, one, openHouse, two } from "./plant-reconciler.ts";

const { pass } = holdClock();

test("a node that goes off while it boots fails after the power-on wait", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  const node = await house.parts.nodes.get(one);
  assert.ok(node);
  await house.parts.power.off(node, "forced");
  pass(120);
  assert.equal(await house.step(), "power_on_called");
  pass(1);
  assert.equal(await house.step(), "failed");
  assert.match((await house.session()).error ?? "", /is off 121 s after it was switched on; .*power switched on/);
});

test("shutdown asks first, forces later, and is done when the power is off", async () => {
  let listens = false;
  const house = await openHouse({
    power: (power) => ({ off: async (node, how) => (how === "forced" || listens ? power.off(node, how) : undefined) }),
  });
  await house.begin({});
  await house.step();
  await house.begin({ name: "down", operation: "shutdown" });
  assert.equal(await house.step(), "power_off_gracefully_called");
  assert.equal((await house.session()).status, "complete", "its nodes were taken over");
  pass(300);
  assert.equal(await house.step(), "power_off_gracefully_called");
  pass(1);
  assert.equal(await house.step(), "power_off_forcefully_called");
  assert.equal(await house.step(), "stable");
  assert.equal((await house.session("down")).status, "complete");
  assert.equal(await house.powerOf(two), "off");

  listens = true;
  await house.begin({ name: "up" });
  await house.step();
  await house.begin({ name: "down2", operation: "shutdown" });
  await house.step();
  assert.equal(await house.step(), "stable");
});

test("a crash before the power went on does not cost the try, and one after it does not repeat it", async () => {
  let crash: "before" | "after" | undefined = "before";
  const house = await openHouse({
    power: (power) => ({
      on: async (node) => {
        if (crash === "before") throw new Error("the server was killed");
        await power.on(node);
        if (crash === "after") throw new Error("the server was killed");
      },
    }),
  });
  await house.begin({ limit: one });
  await assert.rejects(house.step(), /was killed/);
  const boot = await house.parts.boots.latest(one);
  crash = "after";
  await assert.rejects(house.step(), /was killed/);
  crash = undefined;
  assert.equal(await house.step(), "power_on_called");
  const component = await house.parts.sessions.getComponent(one);
  assert.equal(component?.attempts, 1);
  assert.equal((await house.parts.boots.latest(one))?.id, boot?.id);
  await house.report(one, "build-1");
  assert.equal(await house.step(), "stable");
});

test("an unexpected error at one node does not keep the others waiting", async () => {
  const house = await openHouse({
    power: (power) => ({
      on: async (node) => {
        if (node.xname === one) throw new TypeError("a mistake of ours");
        await power.on(node);
      },
    }),
  });
  await house.begin({});
  await assert.rejects(house.step(), /a mistake of ours/);
  assert.equal(await house.powerOf(two), "on");
});

test("what a node is told to run while it is switched on is not overwritten", async () => {
  const other = { artifacts: { kernel: "", initrd: "", kernelParameters: "" } };
  let meddle: (() => Promise<unknown>) | undefined;
  const house = await openHouse({
    power: (power) => ({
      on: async (node) => {
        await power.on(node);
        await meddle?.();
      },
    }),
  });
  await house.components.change(new Map([[one, { active: true, desired: { artifacts: byHand } }]]));
  await house.step();
  meddle = () => house.components.change(new Map([[one, { desired: other }]]));
  await house.step();
  const component = await house.parts.sessions.getComponent(one);
  assert.deepEqual([component?.lastAction, component?.active], ["", true], "its work begins anew");
  meddle = undefined;
  assert.equal(await house.step(), "power_off_gracefully_called");
  assert.equal(await house.step(), "stable");
  assert.equal(await house.powerOf(one), "off");
});

/** A house in which something else happens while the power of a node is asked for. */
async function openMeddledHouse(power: Partial<PowerDriver> = {}) {
  const meddling: { now?: (() => Promise<unknown>) | undefined } = {};
  const house = await openHouse({
    power: (real) => ({
      status: async (node) => {
        const state = await real.status(node);
        await meddling.now?.();
        return state;
      },
      ...power,
    }),
  });
  const endings = async () => {
    const boots = await house.parts.boots.list({ xname: one, limit: 9 });
    return boots.map(({ phases }) => phases.at(-1)?.phase);
  };
  return { ...house, meddling, endings };
}

test("a node whose work is ended while its power is asked for is not switched on", async () => {
  const house = await openMeddledHouse();
  await house.begin({ limit: one });
  house.meddling.now = () => house.components.change(new Map([[one, { active: false }]]));
  await house.step();
  assert.equal(await house.powerOf(one), "off");
  assert.equal(await house.parts.entries.get("host", one), undefined, "no boot parameters either");
  assert.deepEqual(await house.endings(), ["failed"]);
});

/** A house in which something else happens after a driver's turn is waited for, and before it has come. */
async function openBusyHouse() {
  const meddling: { now?: (() => Promise<unknown>) | undefined } = {};
  const house = await openHouse({
    power: (real) => ({
      on: async (node, ready) => {
        await meddling.now?.();
        await real.on(node, ready);
      },
      off: async (node, how, ready) => {
        await meddling.now?.();
        await real.off(node, how, ready);
      },
    }),
  });
  return { ...house, meddling };
}

test("a node whose work is ended before the driver's turn comes is not switched on", async () => {
  const house = await openBusyHouse();
  await house.begin({ limit: one });
  house.meddling.now = () => house.components.change(new Map([[one, { active: false }]]));
  await house.step();
  assert.equal(await house.powerOf(one), "off");
  const boot = await house.parts.boots.latest(one);
  assert.equal(boot?.phases.at(-1)?.phase, "failed");
  assert.match(JSON.stringify(boot?.phases.at(-1)), /was ended or replaced before its power was switched/);
});

test("a node that is taken before the driver's turn comes is not switched off for whom it was taken from", async () => {
  const house = await openBusyHouse();
  await house.bootUp();
  await house.begin({ name: "down", operation: "shutdown", limit: one });
  house.meddling.now = () => house.components.change(new Map([[one, { active: false }]]));
  await house.step();
  assert.equal(await house.powerOf(one), "on");
  house.meddling.now = undefined;
  await house.step();
  assert.equal((await house.session("down")).status, "complete");
});

test("a node that is taken after a crash is not switched on for whom it was taken from", async () => {
  let crash = true;
  const house = await openMeddledHouse({
    on: async () => {
      if (crash) throw new Error("the server was killed");
    },
  });
  await house.begin({ limit: one });
  await assert.rejects(house.step(), /was killed/);
  crash = false;
  house.meddling.now = () => house.components.change(new Map([[one, { active: false }]]));
  await house.step();
  assert.deepEqual(await house.endings(), ["failed"]);
  assert.equal((await house.parts.nodes.get(one))?.state, "Off");
});

for (const code of ["work_failed", "refused"] as const) {
  test(`a node that is taken while the driver works ends its own boot only (${code})`, async () => {
    const house = await openHouse({
      power: () => ({
        on: async () => {
          const { sessions, boots } = house.parts;
          const { desired } = (await sessions.getComponent(one)) ?? {};
          await house.begin({ name: "other", limit: one });
          await sessions.setUp("other", new Map([[one, desired]]));
          const taken = await sessions.getComponent(one);
          assert.ok(taken);
          const { id: bootId } = await boots.begin(one, { imageId: "img-1", expectedBuildId: "build-1" });
          await sessions.recordAction(taken, { lastAction: "power_on_pending", bootId, attempts: 1 });
          throw new NetkilnError(code, "the node did not start");
        },
      }),
    });
    await house.begin({ limit: one });
    await house.step();
    const [others, own] = await house.parts.boots.list({ xname: one, limit: 9 });
    assert.deepEqual([own?.phases.at(-1)?.phase, others?.phases], ["failed", []]);
    const component = await house.parts.sessions.getComponent(one);
    assert.deepEqual([component?.session, component?.active, component?.bootId], ["other", true, others?.id]);
  });
}

test("a node that went off since it was seen to run the image is not taken for booted", async () => {
  let broken = false;
  const house = await openHouse({
    power: (power) => ({
      on: async (node) => {
        await power.on(node);
        if (broken) throw new NetkilnError("work_failed", "the driver was cut off");
      },
    }),
  });
  await house.bootUp();
  const node = await house.parts.nodes.get(one);
  assert.ok(node);
  await house.parts.power.off(node, "forced");
  broken = true;
  await house.begin({ name: "again", limit: one, options: { default_retry_policy: 2 } });
  assert.equal(await house.step(), "power_off_pending", "the try has failed, but the power is on");
  broken = false;
  assert.equal(await house.step(), "power_off_gracefully_called");
  assert.equal(await house.step(), "power_on_called");
});

test("a failure of what a node was to run before is not one of what it is to run now", async () => {
  const again = { ...byHand, kernelParameters: "quiet" };
  const house = await openHouse({
    power: () => ({
      status: async () => {
        await house.components.change(new Map([[one, { desired: { artifacts: again } }]]));
        throw new NetkilnError("work_failed", "the node does not answer");
      },
    }),
  });
  await house.components.change(new Map([[one, { active: true, desired: { artifacts: byHand } }]]));
  await house.step();
  await house.step();
  const component = await house.parts.sessions.getComponent(one);
  assert.deepEqual([component?.active, component?.error], [true, undefined]);
  assert.deepEqual(
    (await house.parts.events.list({ subject: `node:${one}`, limit: 9 })).filter(
      ({ kind }) => kind === "component.failed",
    ),
    [],
  );
});

test("a driver that cannot switch a node on fails it with the driver's words", async () => {
  const house = await openHouse({
    power: () => ({
      on: async () => {
        throw new NetkilnError("work_failed", "the node did not start", { output: ["no memory"] });
      },
    }),
  });
  await house.begin({ limit: one });
  assert.equal(await house.step(), "failed");
  assert.equal((await house.session()).error, "1 of 1 node failed: the node did not start: no memory");
});

test("a node that is locked after the session began is not switched", async () => {
  const house = await openHouse();
  await house.bootUp();
  await house.begin({ name: "anew", limit: one, operation: "reboot" });
  // Set up by a server that stops before it acts.
  const { sessions } = house.parts;
  await sessions.setUp("anew", new Map([[one, (await sessions.getComponent(one))?.desired]]));
  await house.locks.setLocked({ xnames: [one] }, true, "rigid");
  assert.equal(await house.step(), "failed");
  assert.equal(await house.powerOf(one), "on");
  assert.match((await house.session("anew")).error ?? "", /was locked meanwhile/);
});

test("a node that somebody reserved is waited for, not switched", async () => {
  const house = await openHouse();
  const { done } = await house.locks.reserve({ xnames: [one] }, 15, "rigid");
  await house.begin({ limit: one });
  assert.equal(await house.step(), "power_on_pending");
  pass(100);
  assert.equal(await house.step(), "power_on_pending");
  assert.equal(await house.powerOf(one), "off");
  await house.locks.release([{ xname: one, key: done[0]?.reservationKey ?? "" }], "rigid");
  assert.equal(await house.step(), "power_on_called");
  assert.equal((await house.parts.sessions.getComponent(one))?.attempts, 1, "waiting costs no try");
  assert.deepEqual(
    await house.locks.status({ reserved: ["true"] }, { limit: 9 }),
    [],
    "the session keeps no reservation",
  );
});

test("a node that stays reserved by somebody else fails in the end, and keeps its power", async () => {
  const house = await openHouse();
  await house.bootUp();
  await house.locks.reserve({ xnames: [one] }, 15, "rigid");
  await house.begin({ name: "down", operation: "shutdown", limit: one });
  await house.step();
  pass(301);
  assert.equal(await house.step(), "failed");
  assert.equal(await house.powerOf(one), "on");
  assert.match((await house.session("down")).error ?? "", /x1000c0s0b0n0 is reserved by somebody else/);
});
