import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { migrations as bootMigrations, openBootEntries } from "../boot/index.ts";
import type { Image } from "../image/index.ts";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../node/index.ts";
import { migrations as powerMigrations, openPower, reservedPower, type PowerDriver } from "../power/index.ts";
import { migrations as telemetryMigrations, openBootRecords, openEventStore } from "../telemetry/index.ts";
import {
  migrations,
  openBootComponents,
  openBootOptions,
  openSessionStore,
  parseSession,
  parseTemplate,
  reconcile,
  startReconciler,
  type ReconcilerParts,
} from "./index.ts";

const digests = { sha256: "ab12", md5: "", size: 1 };
const image = {
  id: "img-1",
  arch: "x86_64",
  buildId: "build-1",
  kernelParameters: "console=ttyS0",
  artifacts: { rootfs: digests, kernel: digests, initrd: digests, manifest: digests },
} as unknown as Image;

/** The files of that image, as somebody says them who knows no image. */
const byHand = {
  kernel: "s3://boot-images/img-1/kernel",
  initrd: "s3://boot-images/img-1/initrd",
  kernelParameters: "q",
};

const one = "x1000c0s0b0n0";
const two = "x1000c0s1b0n0";

let time = Date.parse("2026-01-02T03:04:05Z");
let restore = () => {};
beforeEach(() => {
  restore = useClock({ now: () => new Date(time) });
});
afterEach(() => restore());
const pass = (seconds: number) => (time += seconds * 1000);

/** Two nodes, one template for both; every step is done by a server that starts anew over the same database. */
async function openHouse(change: { power?: (power: PowerDriver) => Partial<PowerDriver> } = {}) {
  const db = openDatabase(":memory:");
  await migrate(db, {
    ...telemetryMigrations,
    ...nodeMigrations,
    ...bootMigrations,
    ...powerMigrations,
    ...migrations,
  });
  const { locks } = openInventory(db);
  const open = (): ReconcilerParts => {
    const events = openEventStore(db);
    const power = reservedPower(openPower({ database: db, dataDir: "/nowhere", doorPort: () => 1 }), locks);
    return {
      sessions: openSessionStore(db),
      nodes: openNodeStore(db),
      entries: openBootEntries(db),
      boots: openBootRecords(db, events),
      events,
      power: { ...power, ...change.power?.(power) },
      findImage: async (id) => (id === image.id ? image : undefined),
    };
  };
  const parts = open();
  await parts.nodes.put(parseNode({ xname: one, nid: 1, groups: ["green"] }));
  await parts.nodes.put(parseNode({ xname: two, nid: 2 }));
  await parts.sessions.putTemplate(
    parseTemplate({
      name: "compute",
      boot_sets: {
        all: {
          type: "s3",
          path: "s3://boot-images/img-1/manifest.json",
          node_roles_groups: ["Compute"],
          kernel_parameters: "quiet",
        },
      },
    }),
  );
  const begin = (request: object) =>
    parts.sessions.createSession(parseSession({ name: "s", operation: "boot", template_name: "compute", ...request }));
  /** The node reports the end of its newest boot. */
  const report = async (xname: string, buildId: string | undefined) => {
    const boot = await parts.boots.latest(xname);
    assert.ok(boot);
    await parts.boots.record(boot.id, "ready", "node", buildId === undefined ? {} : { buildId });
  };
  const step = async (xname = one) => {
    await reconcile(open());
    const component = await parts.sessions.getComponent(xname);
    return component?.status;
  };
  const session = async (name = "s") => {
    const found = await parts.sessions.getSession(name);
    assert.ok(found);
    return found;
  };
  const powerOf = async (xname: string) => {
    const node = await parts.nodes.get(xname);
    assert.ok(node);
    return parts.power.status(node);
  };
  const bos = { components: openBootComponents(db), options: openBootOptions(db) };
  return { parts, locks, ...bos, begin, report, step, session, powerOf };
}

test("a session boots its nodes and completes when they report the image's build", async () => {
  const house = await openHouse();
  await house.begin({});
  assert.equal(await house.step(), "power_on_called");
  assert.equal((await house.session()).status, "running");
  assert.equal((await house.session()).components, `${one},${two}`);
  const entry = await house.parts.entries.get("host", one);
  assert.equal(entry?.kernel, "s3://boot-images/img-1/kernel");
  assert.equal(
    entry.params,
    "console=ttyS0 quiet root=live:s3://boot-images/img-1/rootfs rd.live.overlay.overlayfs=1 rd.neednet=1 ip=dhcp netkiln.rootfs_sha256=ab12",
  );
  await house.report(one, "build-1");
  assert.equal(await house.step(), "stable");
  assert.equal((await house.session()).status, "running", "the other node is not up yet");
  await house.report(two, "build-1");
  await house.step();
  const session = await house.session();
  assert.deepEqual([session.status, session.error], ["complete", undefined]);
  assert.equal((await house.parts.nodes.get(one))?.state, "Ready");
});

test("somebody else's fetch of a boot script does not hide that the node is up", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  const { boots } = house.parts;
  const own = await boots.latest(one);
  assert.ok(own);
  const target = { imageId: "img-1", expectedBuildId: "build-1" };
  assert.equal(await boots.forScript(one, { retry: 0, target }), own.id);
  assert.notEqual(await boots.forScript(one, { retry: 0, target }), own.id);
  await boots.record(own.id, "ready", "node", { buildId: "build-1" });
  assert.equal(await house.step(), "stable");
  assert.equal((await house.session()).status, "complete");
});

test("somebody else's fetch of a boot script makes a node that is up not boot again", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-1");
  await house.step();
  const target = { imageId: "img-1", expectedBuildId: "build-1" };
  await house.parts.boots.forScript(one, { retry: 0, target });
  await house.begin({ name: "again", limit: one });
  assert.equal(await house.step(), "stable");
  assert.equal(await house.powerOf(one), "on");
  // The node itself was started anew: it loads its kernel.
  const anew = await house.parts.boots.forScript(one, { retry: 0, target });
  await house.parts.boots.record(anew, "kernel", "server");
  await house.begin({ name: "anew", limit: one });
  assert.equal(await house.step(), "power_off_gracefully_called");
});

test("what was seen of a node that does not report is not hidden by somebody else's fetch", async () => {
  const house = await openHouse();
  await house.begin({ limit: one, options: { max_boot_wait_time: 600 } });
  await house.step();
  const { boots } = house.parts;
  const target = { imageId: "img-1", expectedBuildId: "build-1" };
  const own = await boots.forScript(one, { retry: 0, target });
  await boots.record(own, "root", "server");
  const stray = await boots.forScript(one, { retry: 0, target });
  pass(601);
  assert.equal(await house.step(), "failed");
  assert.match((await house.session()).error ?? "", /the last thing seen was: root file system there/);
  assert.equal((await boots.get(own))?.phases.at(-1)?.phase, "failed");
  assert.deepEqual(
    (await boots.get(stray))?.phases.map(({ phase }) => phase),
    ["script"],
  );
});

test("work ends also when its session was removed meanwhile", async () => {
  const house = await openHouse();
  const { sessions } = house.parts;
  await house.begin({ limit: one });
  await house.step();
  await sessions.removeSession("s");
  await house.components.change(new Map([[one, { active: true, session: "s" }]]));
  const again = await sessions.getComponent(one);
  assert.equal(again?.active, true);
  await sessions.finish(again, { error: "no answer" });
  const ended = await sessions.getComponent(one);
  assert.deepEqual([ended?.active, ended?.error], [false, "no answer"]);
});

test("a node that already runs the image is left alone by boot, and not by reboot", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-1");
  await house.step();
  const before = await house.parts.boots.latest(one);

  await house.begin({ name: "again", limit: one });
  assert.equal(await house.step(), "stable");
  assert.equal((await house.parts.boots.latest(one))?.id, before?.id);

  await house.begin({ name: "anew", limit: one, operation: "reboot" });
  assert.equal(await house.step(), "power_off_gracefully_called");
  assert.equal(await house.powerOf(one), "off");
  assert.equal(await house.step(), "power_on_called");
  assert.notEqual((await house.parts.boots.latest(one))?.id, before?.id);
});

test("a node that reports another build fails, with both ids in the message", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-0");
  assert.equal(await house.step(), "failed");
  const { status, error } = await house.session();
  assert.equal(status, "complete");
  assert.equal(error, `1 of 1 node failed: ${one} runs build build-0, but was given image img-1 of build build-1`);
});

test("a node that does not say its build is not taken for booted", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, undefined);
  assert.equal(await house.step(), "failed");
  assert.match((await house.session()).error ?? "", /does not say which build it runs/);
});

test("a ready report of an earlier boot does not count", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-1");
  await house.step();
  await house.begin({ name: "anew", limit: one, operation: "reboot" });
  await house.step();
  assert.equal(await house.step(), "power_on_called");
  assert.equal(await house.step(), "power_on_called");
});

test("a node that does not report in time fails with what was seen of it last", async () => {
  const house = await openHouse();
  await house.begin({ limit: one, options: { max_boot_wait_time: 600 } });
  await house.step();
  const boot = await house.parts.boots.latest(one);
  assert.ok(boot);
  await house.parts.boots.record(boot.id, "script", "server");
  await house.parts.boots.record(boot.id, "kernel", "server");
  pass(600);
  assert.equal(await house.step(), "power_on_called");
  pass(1);
  assert.equal(await house.step(), "failed");
  const message = `${one} did not report within 600 s; the last thing seen was: kernel fetched`;
  assert.equal((await house.parts.sessions.getComponent(one))?.error, message);
  const phases = (await house.parts.boots.get(boot.id))?.phases;
  assert.deepEqual(phases?.at(-1)?.detail, { message });
});

test("the retry policy gives a node more tries", async () => {
  const house = await openHouse();
  await house.begin({ limit: one, options: { max_boot_wait_time: 10, default_retry_policy: 2 } });
  await house.step();
  pass(11);
  assert.equal(await house.step(), "power_off_pending");
  assert.equal(await house.step(), "power_off_gracefully_called");
  assert.equal(await house.step(), "power_on_called");
  assert.equal((await house.parts.boots.list({ xname: one, limit: 9 })).length, 2);
  pass(11);
  assert.equal(await house.step(), "failed");
});

test("a node has tries of its own where BOS's clients said so", async () => {
  const house = await openHouse();
  await house.begin({ limit: one, options: { max_boot_wait_time: 10 } });
  await house.step();
  await house.components.change(new Map([[one, { retryPolicy: 2 }]]));
  pass(11);
  assert.equal(await house.step(), "power_off_pending");
  assert.equal((await house.parts.sessions.getComponent(one))?.told.failed, true);
});

test("a staged session waits until its nodes are told to apply it", async () => {
  const house = await openHouse();
  await house.begin({ stage: true });
  assert.equal(await house.step(), "stable");
  assert.equal(await house.powerOf(one), "off");
  assert.deepEqual([(await house.session()).status, (await house.session()).components], ["running", `${one},${two}`]);
  await house.options.set({ clear_stage: true });
  await house.parts.sessions.applyStaged([one]);
  assert.equal(await house.step(), "power_on_called");
  assert.equal(await house.powerOf(two), "off");
  await house.report(one, "build-1");
  await house.step();
  assert.equal((await house.session()).status, "running", "the other node still waits");
  await house.begin({ name: "down", operation: "shutdown", stage: true });
  await house.step();
  assert.equal((await house.session()).status, "complete", "another session is staged there now");
  await house.parts.sessions.applyStaged([one, two]);
  await house.step();
  await house.step();
  assert.equal(await house.powerOf(one), "off");
  assert.equal((await house.session("down")).status, "complete");
});

test("a node is booted that somebody enables by hand, and fails when its files are of no image", async () => {
  const house = await openHouse();
  const enable = (artifacts: object) =>
    house.components.change(new Map([[one, { active: true, desired: { artifacts } }]]));
  await enable(byHand);
  assert.equal((await house.components.find(one))?.status, "on_hold");
  assert.equal(await house.step(), "power_on_pending", "its image was looked up");
  assert.equal(await house.step(), "power_on_called");
  const token = (await house.parts.entries.get("host", one))?.referralToken;
  assert.equal((await house.parts.sessions.getComponent(one))?.desired?.bssToken, token);
  await house.report(one, "build-1");
  assert.equal(await house.step(), "stable");
  assert.equal((await house.parts.sessions.getComponent(one))?.actual?.bssToken, token);

  await enable({ kernel: "http://elsewhere/kernel" });
  assert.equal(await house.step(), "failed");
  assert.match(
    (await house.parts.sessions.getComponent(one))?.error ?? "",
    /http:\/\/elsewhere\/kernel, which is of no image/,
  );
});

test("a node that fails by its own word is not waited for", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  const boot = await house.parts.boots.latest(one);
  assert.ok(boot);
  await house.parts.boots.record(boot.id, "failed", "node", { message: "wrong checksum" });
  assert.equal(await house.step(), "failed");
  assert.match((await house.session()).error ?? "", /failed to boot: wrong checksum/);
});

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
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-1");
  await house.step();
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
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-1");
  await house.step();
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

test("locked, disabled and other nodes are left out", async () => {
  const house = await openHouse();
  await house.locks.setLocked({ xnames: [one] }, true, "rigid");
  await house.begin({});
  await house.step();
  assert.equal((await house.session()).components, two);
  await house.parts.nodes.put(parseNode({ xname: two, nid: 2, enabled: false }));
  await house.begin({ name: "none" });
  await house.step();
  assert.match((await house.session("none")).error ?? "", /^No nodes were found to act upon\. .* all of them locked/);
  await house.begin({ name: "disabled", include_disabled: true });
  await house.step();
  assert.equal((await house.session("disabled")).components, two);
  await house.parts.nodes.put(parseNode({ xname: two, nid: 2, arch: "ARM" }));
  await house.begin({ name: "arm" });
  await house.step();
  assert.match((await house.session("arm")).error ?? "", /^No nodes were found to act upon\. /);
});

test("a node that is locked after the session began is not switched", async () => {
  const house = await openHouse();
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-1");
  await house.step();
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
  await house.begin({ limit: one });
  await house.step();
  await house.report(one, "build-1");
  await house.step();
  await house.locks.reserve({ xnames: [one] }, 15, "rigid");
  await house.begin({ name: "down", operation: "shutdown", limit: one });
  await house.step();
  pass(301);
  assert.equal(await house.step(), "failed");
  assert.equal(await house.powerOf(one), "on");
  assert.match((await house.session("down")).error ?? "", /x1000c0s0b0n0 is reserved by somebody else/);
});

test("what makes a session impossible is its error", async () => {
  const house = await openHouse();
  const set = { type: "s3", path: "s3://boot-images/gone/manifest.json", node_list: [one] };
  await house.parts.sessions.putTemplate(parseTemplate({ name: "gone", boot_sets: { a: set } }));
  await house.begin({ name: "gone", template_name: "gone" });
  const twice = { ...set, path: "s3://boot-images/img-1/manifest.json" };
  await house.parts.sessions.putTemplate(parseTemplate({ name: "twice", boot_sets: { a: twice, b: twice } }));
  await house.begin({ name: "twice", template_name: "twice" });
  const odd = { ...twice, rootfs_provider: "sbps" };
  await house.parts.sessions.putTemplate(parseTemplate({ name: "odd", boot_sets: { a: odd } }));
  await house.begin({ name: "odd", template_name: "odd" });
  await house.step();
  assert.match((await house.session("gone")).error ?? "", /there is no image gone, which boot set "a" of gone wants/);
  assert.match((await house.session("twice")).error ?? "", /x1000c0s0b0n0 is in two boot sets of twice: a and b/);
  assert.match((await house.session("odd")).error ?? "", /there is no root provider "sbps"/);
});

test("names are checked when a session is made", async () => {
  const house = await openHouse();
  await house.begin({});
  const isCode = (code: string) => (error: unknown) => error instanceof NetkilnError && error.code === code;
  await assert.rejects(house.begin({}), isCode("conflict"));
  await assert.rejects(house.begin({ name: "t", template_name: "none" }), isCode("not_found"));
  assert.throws(() => parseSession({ operation: "boot", template_name: "t", limit: "a,,b" }), isCode("invalid_input"));
  assert.throws(
    () => parseTemplate({ name: "t", boot_sets: { a: { type: "s3", path: "x" } } }),
    isCode("invalid_input"),
  );
});

test("the reconciler acts when it is woken and stops with its signal", { timeout: 10_000 }, async () => {
  const house = await openHouse();
  // A sleep that only ends when it is woken.
  useClock({
    now: () => new Date(time),
    sleep: (_milliseconds, signal) =>
      new Promise((_resolve, reject) => {
        if (signal?.aborted === true) reject(new Error("woken"));
        signal?.addEventListener("abort", () => reject(new Error("woken")));
      }),
  });
  const stop = new AbortController();
  const reconciler = startReconciler(house.parts, { signal: stop.signal });
  await house.begin({ limit: one });
  reconciler.wake();
  while ((await house.powerOf(one)) === "off") await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  await reconciler.stopped;
});
