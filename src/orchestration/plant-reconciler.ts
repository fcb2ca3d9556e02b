/** The reconciler over its real stores, with two nodes and one template; for tests. */
import assert from "node:assert/strict";
import { migrations as bootMigrations, openBootEntries } from "../boot/index.ts";
import type { Image } from "../image/index.ts";
import { migrate, openDatabase } from "../lib/db.ts";
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
export const byHand = {
  kernel: "s3://boot-images/img-1/kernel",
  initrd: "s3://boot-images/img-1/initrd",
  kernelParameters: "q",
};

export const one = "x1000c0s0b0n0";
export const two = "x1000c0s1b0n0";

/** Two nodes, one template for both; every step is done by a server that starts anew over the same database. */
export async function openHouse(change: { power?: (power: PowerDriver) => Partial<PowerDriver> } = {}) {
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
  /** A session boots the first node, which then runs what it was to run. */
  const bootUp = async () => {
    await begin({ limit: one });
    await step();
    await report(one, "build-1");
    await step();
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
  return { parts, locks, ...bos, begin, report, step, bootUp, session, powerOf };
}
