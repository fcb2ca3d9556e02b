import assert from "node:assert/strict";
import { after, test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openInventory, openNodeStore, parseNode } from "./index.ts";

const [one, two] = ["x1c0s0b0n0", "x1c0s0b0n1"] as const;
let now = Date.parse("2026-01-01T00:00:00Z");
after(useClock({ now: () => new Date(now) }));

async function openAll() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const nodes = openNodeStore(db);
  await nodes.put(parseNode({ xname: one, nid: 1 }));
  await nodes.put(parseNode({ xname: two, nid: 2 }));
  return { nodes, ...openInventory(db) };
}

test("a lock is the node's own, and rigid changes nothing when one fails", async () => {
  const { nodes, locks } = await openAll();
  await locks.setLocked({ xnames: [one] }, true, "rigid");
  assert.equal((await nodes.get(one))?.locked, true);
  await assert.rejects(locks.setLocked({ xnames: [one, two] }, true, "rigid"), /x1c0s0b0n0 is locked/);
  assert.equal((await nodes.get(two))?.locked, false);
  assert.deepEqual(await locks.setLocked({ xnames: [one, two] }, true, "flexible"), {
    done: [two],
    failed: [{ xname: one, reason: "Locked" }],
  });
});

test("a service's reservation ends by itself, and is renewed with its key only", async () => {
  const { locks } = await openAll();
  const { done } = await locks.reserve({ xnames: [one] }, 1, "rigid");
  const [made] = done;
  assert.ok(made);
  const again = await locks.reserve({ xnames: [one, two] }, 1, "flexible");
  assert.deepEqual(again.failed, [{ xname: one, reason: "Reserved" }]);
  assert.deepEqual((await locks.setLocked({ xnames: [one] }, true, "flexible")).failed, [
    { xname: one, reason: "Reserved" },
  ]);
  const wrong = await locks.renew([{ xname: one, key: made.deputyKey }], 15, "flexible");
  assert.deepEqual(wrong, { done: [], failed: [{ xname: one, reason: "NotFound" }] });
  await locks.renew([{ xname: one, key: made.reservationKey }], 15, "rigid");
  now += 14 * 60_000;
  const deputies = [{ xname: one, key: made.deputyKey }];
  assert.equal((await locks.check(deputies)).done[0]?.expires, "2026-01-01T00:15:00.000Z");
  assert.deepEqual((await locks.check([...deputies, { xname: two, key: made.deputyKey }])).failed, [
    { xname: two, reason: "NotFound" },
  ]);
  assert.equal((await locks.status({ reserved: ["true"] }, { limit: 9 })).length, 1);
  now += 60_000;
  assert.deepEqual((await locks.check(deputies)).done, []);
  assert.equal((await locks.status({ reserved: ["true"] }, { limit: 9 })).length, 0);
});

test("an operator's reservation needs a lock and lasts; disabling ends it and closes the component", async () => {
  const { locks } = await openAll();
  await assert.rejects(locks.reserve({ xnames: [one] }, undefined, "rigid"), /x1c0s0b0n0 is not locked/);
  await locks.setLocked({ xnames: [one] }, true, "rigid");
  const { done } = await locks.reserve({ xnames: [one] }, undefined, "rigid");
  assert.equal(done[0]?.expires, undefined);
  await locks.setDisabled({ xnames: [one] }, true, "rigid");
  assert.deepEqual((await locks.status({ xnames: [one] }, { limit: 1 }))[0], {
    ...{ xname: one, locked: true, reservationDisabled: true, reservation: undefined },
  });
  assert.deepEqual((await locks.reserve({ xnames: [one] }, undefined, "flexible")).failed, [
    { xname: one, reason: "Disabled" },
  ]);
});
