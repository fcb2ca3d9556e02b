import assert from "node:assert/strict";
import { test } from "node:test";
import { NetkilnError } from "../lib/errors.ts";
import { holdClock } from "../lib/plant-clock.ts";
import { useClock } from "../lib/clock.ts";
import { parseNode } from "../node/index.ts";
import { startReconciler, parseSession, parseTemplate } from "./index.ts";
import { byHand, one, openHouse, two } from "./plant-reconciler.ts";

const { now, pass } = holdClock();

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
  await house.bootUp();
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
  await house.bootUp();
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
  await house.bootUp();
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
    now: () => new Date(now()),
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
