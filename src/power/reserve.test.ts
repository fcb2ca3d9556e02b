import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../node/index.ts";
import { boundPower } from "./open.ts";
import { reservedPower, whileReserved } from "./reserve.ts";

const names = Array.from({ length: 33 }, (_, index) => `x1c0s${index}b0n0`);
const last = "x1c0s32b0n0";

/** As many nodes are being switched as can be, until `letGo`; the last one waits for its turn. */
async function openHouse() {
  const db = openDatabase(":memory:");
  await migrate(db, nodeMigrations);
  const store = openNodeStore(db);
  const nodes = await Promise.all(names.map((xname, nid) => store.put(parseNode({ xname, nid: nid + 1 }))));
  const { locks } = openInventory(db);
  const switched: string[] = [];
  let letGo = () => {};
  const held = new Promise<void>((resolve) => (letGo = resolve));
  const driver = boundPower({
    status: async () => "off",
    on: async ({ xname }) => {
      switched.push(xname);
      await held;
    },
    off: async () => undefined,
  });
  const others = nodes.slice(0, -1).map((node) => driver.on(node));
  const end = async () => {
    letGo();
    await Promise.all(others);
  };
  return { locks, driver, node: nodes[32] as (typeof nodes)[number], switched, end };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a node that somebody reserves while its turn is waited for is not switched", async (t) => {
  const { locks, driver, node, switched, end } = await openHouse();
  const done = assert.rejects(reservedPower(driver, locks).on(node), /x1c0s32b0n0 is reserved by somebody else/);
  await turn();
  t.after(useClock({ now: () => new Date(Date.now() + 6 * 60_000) }));
  await locks.reserve({ xnames: [last] }, 5, "rigid");
  await end();
  await done;
  assert.equal(switched.includes(last), false);
  assert.equal((await locks.status({ reserved: ["true"] }, { limit: 9 })).length, 1, "theirs is left to them");
});

test("a reservation that ended meanwhile is made again when nobody has taken the node", async (t) => {
  const { locks, driver, node, switched, end } = await openHouse();
  const done = reservedPower(driver, locks).on(node);
  await turn();
  t.after(useClock({ now: () => new Date(Date.now() + 6 * 60_000) }));
  await end();
  await done;
  assert.equal(switched.includes(last), true);
  assert.deepEqual(await locks.status({ reserved: ["true"] }, { limit: 9 }), []);
});

test("a deputy key that was good when it was shown has to be good when the turn comes", async (t) => {
  const { locks, driver, node, switched, end } = await openHouse();
  const { done } = await locks.reserve({ xnames: [last] }, 5, "rigid");
  const work = whileReserved(locks, last, done[0]?.deputyKey, (ready) => driver.on(node, ready));
  const refused = assert.rejects(work, /the reservation of x1c0s32b0n0 ended before its turn came/);
  await turn();
  t.after(useClock({ now: () => new Date(Date.now() + 6 * 60_000) }));
  await end();
  await refused;
  assert.equal(switched.includes(last), false);
});

test("what the caller looks at when the turn comes is looked at too", async () => {
  const { locks, driver, node, switched, end } = await openHouse();
  await end();
  const ready = async () => {
    throw new NetkilnError("refused", "not any more");
  };
  const power = reservedPower(driver, locks);
  await assert.rejects(power.on(node, ready), /not any more/);
  await assert.rejects(power.off(node, "forced", ready), /not any more/);
  assert.equal(switched.includes(last), false);
});
