import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../../lib/db.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Node } from "../../node/index.ts";
import { metaDataOf, groupConfigOf, instanceIdOf, printCloudConfig, vendorDataOf } from "./node-data.ts";
import { cloudInitMigrations, openCloudInitStore, type NodeSettings } from "./store.ts";

const node = {
  ...{ xname: "x3000c0s7b0n1", nid: 42, alias: "nid000042", role: "Compute", subRole: undefined },
  interfaces: [
    { mac: "52:54:00:00:00:01", ip: undefined },
    { mac: "52:54:00:00:00:02", ip: "10.1.0.42" },
  ],
  groups: ["compute", "gpu"],
} as unknown as Node;

const nothing: NodeSettings = { defaults: {}, instance: {}, groups: new Map() };
const base = "http://door:8077/cloud-init";

test("a node's meta-data without any settings", () => {
  const id = instanceIdOf(node.xname);
  assert.match(id, /^i-[0-9a-f]{16}$/);
  assert.deepEqual(metaDataOf(node, nothing, base), {
    "instance-id": id,
    "local-hostname": "nid000042",
    hostname: "nid000042",
    "cluster-name": "",
    instance_data: {
      v1: {
        ...{ instance_id: id, local_hostname: "nid000042", hostname: "nid000042", local_ipv4: "10.1.0.42" },
        public_keys: [],
        vendor_data: {
          ...{ version: "1.0", cloud_init_base_url: base, nid: 42, role: "Compute" },
          ...{ cabinet: "x3000", location: node.xname },
          groups: { compute: { Description: "No description Found" }, gpu: { Description: "No description Found" } },
        },
      },
    },
  });
});

test("host names are the short name, or how the cluster's begins, and the nid with zeros", () => {
  const hostname = (defaults: NodeSettings["defaults"]) => metaDataOf(node, { ...nothing, defaults }, base)["hostname"];
  assert.equal(hostname({ clusterName: "demo" }), "de0042");
  assert.equal(hostname({ clusterName: "demo", shortName: "nid", nidLength: 3 }), "nid042");
  assert.equal(hostname({ shortName: "n", nidLength: 1 }), "n42");
});

test("what is said of the node wins over the cluster's defaults, and keys come together", () => {
  const settings: NodeSettings = {
    defaults: { clusterName: "demo", region: "north", cloudProvider: "own", publicKeys: ["a"] },
    instance: { instanceId: "i-1", hostname: "login.demo", localHostname: "login", region: "south", publicKeys: ["b"] },
    groups: new Map([["gpu", { name: "gpu", description: "With GPUs", metaData: { driver: { version: 5 } } }]]),
  };
  const { instance_data: data, ...top } = metaDataOf(node, settings, base) as { instance_data: { v1: object } };
  assert.deepEqual(top, {
    "instance-id": "i-1",
    "local-hostname": "login",
    hostname: "login.demo",
    "cluster-name": "demo",
  });
  const v1 = data.v1 as Record<string, unknown> & { vendor_data: { groups: Record<string, unknown> } };
  assert.deepEqual([v1["region"], v1["cloud_provider"], v1["public_keys"]], ["south", "own", ["a", "b"]]);
  assert.deepEqual(v1.vendor_data.groups["gpu"], { Description: "With GPUs", driver: { version: 5 } });
});

test("vendor-data is one link for each group, and a group's file is never empty", () => {
  assert.equal(vendorDataOf(node.groups, base), `#include\n${base}/compute.yaml\n${base}/gpu.yaml\n`);
  const file = { filename: "", encoding: "plain" as const };
  assert.equal(groupConfigOf({ ...file, content: "#!/bin/sh\n" }).toString(), "#!/bin/sh\n");
  assert.equal(
    groupConfigOf({ ...file, content: btoa("#cloud-config\na: 1\n"), encoding: "base64" }).toString(),
    "#cloud-config\na: 1\n",
  );
  const packed = Buffer.from([0x1f, 0x8b, 0xff]);
  assert.deepEqual(groupConfigOf({ ...file, content: packed.toString("base64"), encoding: "base64" }), packed);
  for (const none of [undefined, { ...file, content: " \n" }]) {
    assert.equal(groupConfigOf(none).toString(), "#cloud-config\n");
  }
});

test("a printed configuration begins with its kind, and its long lines are not folded", () => {
  assert.equal(printCloudConfig({}), "#cloud-config\n");
  assert.equal(printCloudConfig({ runcmd: ["x".repeat(200)] }), `#cloud-config\n"runcmd":\n  - "${"x".repeat(200)}"\n`);
});

test("what was set is there after a restart, and a group is made once", async () => {
  const db = openDatabase(":memory:");
  await migrate(db, cloudInitMigrations);
  const store = openCloudInitStore(db);
  await store.changeDefaults({ clusterName: "demo", region: "north" });
  await store.changeDefaults({ region: "south", publicKeys: undefined });
  await store.createGroup({ name: "gpu", description: "one" });
  await assert.rejects(
    store.createGroup({ name: "gpu" }),
    (error: unknown) => error instanceof NetkilnError && error.code === "conflict",
  );
  await store.putInstance(node.xname, { instanceId: "i-1", hostname: "a" });
  await store.putInstance(node.xname, { hostname: "b" });
  const again = openCloudInitStore(db);
  assert.deepEqual(await again.forNode(node.xname, ["gpu", "compute"]), {
    defaults: { clusterName: "demo", region: "south" },
    instance: { instanceId: "i-1", hostname: "b" },
    groups: new Map([["gpu", { name: "gpu", description: "one" }]]),
  });
  assert.equal(await again.removeGroup("gpu"), true);
  assert.equal(await again.removeGroup("gpu"), false);
  assert.deepEqual(await again.groups(), []);
});
