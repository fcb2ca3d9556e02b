import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { openLockStore } from "./locks.ts";
import { parseNode } from "./schema.ts";
import { openNodeStore } from "./store.ts";
import { migrations } from "./tables.ts";

async function openNodes() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const nodes = openNodeStore(db);
  const put = (nid: number, more: object = {}) => nodes.put(parseNode({ xname: `x1c0s${nid}b0n0`, nid, ...more }));
  await put(1, { groups: ["green"] });
  await put(2, { groups: ["green", "gpu"], arch: "ARM" });
  await put(3, { enabled: false });
  await put(4, { role: "Application", subRole: "UAN", arch: "Unknown" });
  return { ...nodes, lock: (xname: string) => openLockStore(db).setLocked({ xnames: [xname] }, true, "rigid") };
}

const [one, two, three, four] = ["x1c0s1b0n0", "x1c0s2b0n0", "x1c0s3b0n0", "x1c0s4b0n0"] as const;

test("a name means nodes as xname, alias, group, role and role with sub-role", async () => {
  const nodes = await openNodes();
  const found = await nodes.named([one, "nid000002", "nid2", "green", "Application", "Application_UAN", "UAN", "none"]);
  assert.deepEqual(Object.fromEntries([...found].map(([name, xnames]) => [name, [...xnames].sort()])), {
    [one]: [one],
    nid000002: [two],
    green: [one, two],
    Application: [four],
    Application_UAN: [four],
  });
  assert.deepEqual((await nodes.named(["Compute"])).get("Compute"), new Set([one, two, three]));
  assert.equal((await nodes.named([])).size, 0);
});

test("locked nodes, other architectures and disabled nodes are not eligible", async () => {
  const nodes = await openNodes();
  const all = new Set([four, three, two, one, "x9c0s0b0n0"]);
  const usual = { archs: ["X86", "Unknown"], includeDisabled: false } as const;
  assert.deepEqual(await nodes.eligible(all, usual), [one, four]);
  assert.deepEqual(await nodes.eligible(all, { ...usual, includeDisabled: true }), [one, three, four]);
  assert.deepEqual(await nodes.eligible(all, { ...usual, archs: ["ARM"] }), [two]);
  await nodes.lock(one);
  assert.deepEqual(await nodes.eligible(all, usual), [four]);
  assert.deepEqual(await nodes.eligible(new Set(), usual), []);
});
