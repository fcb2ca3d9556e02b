import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { useClock } from "../../lib/clock.ts";
import { parseNode } from "../../node/index.ts";
import { readConfig } from "../config.ts";
import { openHouse, type House } from "../open.ts";
import { gcHandler, startGc } from "./collect.ts";
import { lifecycleParts } from "./index.ts";

const xname = "x1c0s0b0n0";
const files = { kernel: "s3://boot-images/i/kernel", initrd: "s3://boot-images/i/initrd", kernelParameters: "" };
let house: House;
let folder: string;
let restore = () => {};
const at = (day: number) => {
  restore = useClock({ now: () => new Date(Date.parse("2026-01-01T00:00:00Z") + day * 86_400_000) });
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "netkiln-history-"));
  house = await openHouse(readConfig({ data: folder }, { NETKILN_CONFIG: undefined }));
});
afterEach(async () => {
  restore();
  await house.db.destroy();
  await rm(folder, { recursive: true });
});

/** What is known of a token is what a node becomes that reports it. */
async function isKnown(token: string): Promise<boolean> {
  await house.bootComponents.change(new Map([[xname, { actual: { bssToken: token } }]]));
  const component = await house.sessions.getComponent(xname);
  await house.bootComponents.change(new Map([[xname, { actual: { bssToken: "" } }]]));
  return component?.actual?.kernel === files.kernel;
}

test("a garbage collection ends old boots, tokens, accesses and events, and its plan counts them", async () => {
  at(0);
  await house.nodes.put(parseNode({ xname, nid: 1 }));
  await house.bootComponents.change(new Map([[xname, { active: true, desired: { artifacts: files } }]]));
  const component = await house.sessions.getComponent(xname);
  assert.ok(component);
  const names = { hosts: [xname], macs: [], nids: [] };
  const used = await house.entries.put(names, { ...files, params: "", cloudInit: undefined });
  for (const token of ["gone", used]) await house.sessions.noteToken(component, token, files);
  await house.bootComponents.change(new Map([[xname, { desired: { bssToken: "" }, actual: { artifacts: {} } }]]));
  house.accesses.note(xname, "bootscript");
  await house.accesses.flush();
  const ids: string[] = [];
  for (let count = 0; count < 12; count += 1) {
    ids.push((await house.boots.begin(xname, { imageId: "i", expectedBuildId: "b" })).id);
  }
  await house.boots.record(ids[0] as string, "ready", "node");

  at(40);
  const plan = await lifecycleParts(house).planGc();
  assert.deepEqual(plan.history, { boot: 1, "boot token": 1, "boot access": 1, event: 0 });
  assert.equal((await house.boots.list({ limit: 99 })).length, 12, "a plan changes nothing");
  at(91);
  const { id } = await startGc(house);
  await gcHandler(house).run({ id: "job", kind: "gc", subject: id, attempt: 1 }, AbortSignal.timeout(20_000));
  const run = await house.gcRuns.find(id);
  assert.deepEqual(run?.report.history, { boot: 1, "boot token": 1, "boot access": 1, event: 1 });
  assert.equal((await house.boots.list({ limit: 99 })).length, 11, "the last ten, and the one that the node is in");
  assert.equal((await house.boots.current(xname))?.id, ids[0]);
  assert.deepEqual(await house.accesses.list({}, { limit: 9 }), []);
  assert.deepEqual([await isKnown("gone"), await isKnown(used)], [false, true]);
});

test("the boot that a component was seen in stays", async () => {
  at(0);
  await house.nodes.put(parseNode({ xname, nid: 1 }));
  await house.bootComponents.change(new Map([[xname, { active: true, desired: { artifacts: files } }]]));
  const target = { imageId: "i", expectedBuildId: "b" };
  const { id } = await house.boots.begin(xname, target);
  for (let count = 0; count < 11; count += 1) await house.boots.begin(xname, target);
  const component = await house.sessions.getComponent(xname);
  assert.ok(component?.desired);
  await house.sessions.finish(component, { actual: { ...component.desired, bootId: id } });
  at(40);
  assert.equal((await lifecycleParts(house).planGc()).history?.boot, 1);
});
