import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations as nodeMigrations, openNodeStore, parseNode } from "../node/index.ts";
import {
  migrations,
  openBootComponents,
  openSessionStore,
  parseSession,
  parseTemplate,
  requireReportable,
  type ComponentChange,
} from "./index.ts";

const [one, two, three] = ["x1c0s1b0n0", "x1c0s2b0n0", "x1c0s3b0n0"] as const;
const files = {
  kernel: "s3://boot-images/img-1/kernel",
  initrd: "s3://boot-images/img-1/initrd",
  kernelParameters: "quiet",
};

let restore = () => {};
beforeEach(() => {
  restore = useClock({ now: () => new Date("2026-01-02T03:04:05Z") });
});
afterEach(() => restore());

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...nodeMigrations, ...migrations });
  const nodes = openNodeStore(db);
  for (const [index, xname] of [one, two, three].entries()) await nodes.put(parseNode({ xname, nid: index + 1 }));
  const components = openBootComponents(db);
  const sessions = openSessionStore(db);
  const change = async (xname: string, change: ComponentChange) => {
    const [component] = await components.change(new Map([[xname, change]]));
    assert.ok(component);
    return component;
  };
  /** A session that has the nodes. */
  const begin = async (name: string, xnames: readonly string[], more: object = {}) => {
    const set = { type: "s3", path: "s3://boot-images/img-1/manifest.json", node_list: [one] };
    await sessions.putTemplate(parseTemplate({ name: "t", boot_sets: { a: set } }));
    await sessions.createSession(parseSession({ name, operation: "boot", template_name: "t", ...more }));
    const target = { ...files, imageId: "img-1", buildId: "build-1", configuration: "c" };
    await sessions.setUp(name, new Map(xnames.map((xname) => [xname, target])));
    return target;
  };
  const names = async (filter: Parameters<typeof components.list>[0]) =>
    (await components.list(filter)).map(({ xname }) => xname);
  return { nodes, components, sessions, change, begin, names };
}

test("every node is a component, whether anything was said about it or not, page by page", async () => {
  const { nodes, components, change, begin, names } = await open();
  await begin("s", [two]);
  await components.put(new Map([["x0c0s0b0n0", { error: "no node" }]]));
  assert.deepEqual(await names({ limit: 9 }), ["x0c0s0b0n0", one, two, three]);
  assert.deepEqual(await names({ limit: 2 }), ["x0c0s0b0n0", one]);
  assert.deepEqual(await names({ limit: 2, after: one }), [two, three]);
  assert.deepEqual(await names({ limit: 1, after: one, active: false }), [three]);
  assert.deepEqual(await names({ limit: 9, active: true }), [two]);
  assert.deepEqual(await names({ limit: 9, session: "s" }), [two]);
  assert.deepEqual(await names({ limit: 9, phase: "powering_on" }), [two]);
  assert.deepEqual(await names({ limit: 9, status: ["power_on_pending"] }), [two]);
  assert.deepEqual(await names({ limit: 9, status: ["stable", "failed"], ids: [one, two, "x9"] }), [one]);
  await nodes.remove(three);
  assert.deepEqual(await names({ limit: 9, after: two }), []);
  await change(one, { statusOverride: "failed" });
  assert.deepEqual(await names({ limit: 9, status: ["failed"] }), [one]);
});

test("what is removed is as new, and what was never there is missed", async () => {
  const { components, change } = await open();
  await change(one, { error: "odd" });
  assert.equal(await components.remove(one), true);
  assert.equal((await components.find(one))?.error, undefined);
  assert.equal(await components.remove("x9"), false);
  await assert.rejects(
    components.change(
      new Map([
        [one, { error: "a" }],
        ["x9", {}],
      ]),
    ),
    { code: "not_found" },
  );
  assert.equal((await components.find(one))?.error, undefined, "nothing was changed");
  assert.equal((await components.change(new Map([["x9", {}]]), { skipMissing: true })).length, 0);
});

test("a component that is enabled is on hold until the reconciler looks at it", async () => {
  const { components, sessions, change } = await open();
  const held = await change(one, { active: true, desired: { artifacts: files } });
  assert.deepEqual([held.status, held.statusOverride, held.active], ["on_hold", "on_hold", true]);
  assert.deepEqual([held.desired?.imageId, held.desired?.buildId], ["img-1", ""]);
  await change(two, { active: true });
  await sessions.endHolds();
  assert.equal((await components.find(one))?.status, "power_on_pending");
  assert.equal((await components.find(two))?.status, "power_off_pending", "nothing is to run there");
});

test("what a node is to run, said by hand, belongs to no session and counts its tries anew", async () => {
  const { sessions, change, begin, components } = await open();
  await begin("s", [one]);
  const component = (await components.find(one)) ?? assert.fail();
  await sessions.recordAction(component, { lastAction: "power_on", attempts: 2, bootId: "b" });
  assert.deepEqual([(await change(one, { error: "x" })).session, (await change(one, {})).attempts], ["s", 2]);
  const changed = await change(one, { desired: { artifacts: { kernelParameters: "debug" } } });
  assert.deepEqual(
    [changed.session, changed.attempts, changed.lastAction, changed.bootId, changed.desired?.kernel],
    ["", 0, "", undefined, files.kernel],
  );
  const kept = await change(two, { desired: { configuration: "c" }, session: "s" });
  assert.equal(kept.session, "s");
});

test("a token tells what a node runs, as it was written under it", async () => {
  const { sessions, components, change, begin } = await open();
  const target = await begin("s", [one]);
  await sessions.noteToken((await components.find(one)) ?? assert.fail(), "token-1", target);
  assert.equal((await components.find(one))?.desired?.bssToken, "token-1");
  const told = (await change(two, { actual: { bssToken: "token-1" } })).actual;
  assert.deepEqual(
    [told?.kernel, told?.kernelParameters, told?.imageId, told?.bootId],
    [files.kernel, "quiet", "img-1", ""],
  );
  const unknown = (await change(three, { actual: { bssToken: "other" } })).actual;
  assert.deepEqual([unknown?.bssToken, unknown?.kernel], ["other", ""]);
});

test("what we saw boot is believed as long as the node says the same", async () => {
  const { sessions, components, change, begin } = await open();
  const target = await begin("s", [one]);
  await sessions.finish((await components.find(one)) ?? assert.fail(), { actual: { ...target, bootId: "boot-1" } });
  assert.equal((await change(one, { actual: { artifacts: files, bssToken: "t" } })).actual?.bootId, "boot-1");
  assert.equal((await change(one, { actual: { artifacts: { kernel: "other" } } })).actual?.bootId, "");
});

test("a report is refused while the power is being switched", async () => {
  const { sessions, components, begin } = await open();
  const find = async () => (await components.find(one)) ?? assert.fail();
  requireReportable(await find());
  await begin("s", [one]);
  const pending = await find();
  assert.throws(() => requireReportable(pending), { code: "refused" });
  await sessions.recordAction(pending, { lastAction: "power_on" });
  requireReportable(await find());
});

test("thousands of components are changed alike, and those of a session", async () => {
  const { components, names } = await open();
  const ids = Array.from({ length: 2500 }, (_, index) => `x2c0s${index}b0n0`);
  await components.put(new Map(ids.map((id) => [id, { session: "s" }])));
  const changed = await components.changeOfSession("s", { error: "all" });
  assert.deepEqual(changed.map(({ xname }) => xname).sort(), [...ids].sort());
  assert.deepEqual(new Set(changed.map(({ error }) => error)), new Set(["all"]));
  assert.equal((await names({ session: "s", limit: 9999 })).length, 2500);
});

test("what is staged waits, is taken by its session, and is cleared when the option says so", async () => {
  const { sessions, components, begin } = await open();
  const find = async (xname: string) => (await components.find(xname)) ?? assert.fail();
  await begin("later", [one, two], { stage: true });
  assert.deepEqual([(await find(one)).active, (await find(one)).staged?.session], [false, "later"]);
  assert.equal(await sessions.isUnderWay("later"), true);
  assert.deepEqual(await sessions.applyStaged([one, three, one]), { succeeded: [one], failed: [], ignored: [three] });
  const taken = await find(one);
  assert.deepEqual([taken.session, taken.active, taken.desired?.kernel], ["later", true, files.kernel]);
  assert.equal(taken.staged?.session, "later", "it can be applied again");

  await sessions.removeSession("later");
  assert.deepEqual(await sessions.applyStaged([two]), { succeeded: [], failed: [two], ignored: [] });
  assert.deepEqual(
    [(await find(two)).status, (await find(two)).error],
    ["failed", "the staged session later is no longer there"],
  );
});

test("a session's progress counts its nodes, and stays as it was at its end", async () => {
  const { sessions, components, begin } = await open();
  await begin("s", [one, two]);
  await sessions.finish((await components.find(one)) ?? assert.fail(), { error: "no luck" });
  const session = (await sessions.getSession("s")) ?? assert.fail();
  const progress = await sessions.progress(session);
  assert.deepEqual(progress, {
    ...{ managed: 2, staged: 0, successful: 0, failed: 1, phases: { powering_on: 1 } },
    errors: [{ message: "no luck", count: 1, first: [one] }],
  });
  await sessions.complete("s", undefined);
  await begin("next", [one, two]);
  assert.deepEqual(await sessions.progress((await sessions.getSession("s")) ?? assert.fail()), progress);
});

test("complete sessions go when they are older than the option says", async () => {
  const { sessions, begin } = await open();
  await begin("old", [one]);
  await sessions.complete("old", undefined);
  restore();
  restore = useClock({ now: () => new Date("2026-01-08T03:04:05Z") });
  await begin("running", [two]);
  await sessions.removeOldSessions();
  assert.equal((await sessions.listSessions()).length, 2, "a week is not over");
  restore();
  restore = useClock({ now: () => new Date("2026-01-19T03:04:05Z") });
  await sessions.removeOldSessions();
  assert.deepEqual(
    (await sessions.listSessions()).map(({ name }) => name),
    ["running"],
  );
});
