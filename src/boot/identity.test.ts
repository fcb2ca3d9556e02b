import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import { NetkilnError } from "../lib/errors.ts";
import { migrations as nodeMigrations, openInventory, openNodeStore, parseNode } from "../node/index.ts";
import {
  migrations as telemetryMigrations,
  openBootRecords,
  openBootTokens,
  openEventStore,
} from "../telemetry/index.ts";
import { openNodeIdentities } from "./index.ts";

const known = "x1000c0s0b0n0";
const other = "x1000c0s1b0n0";
/** In the inventory, but without an address. */
const far = "x1000c0s2b0n0";
const stranger = "10.9.9.9";

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, { ...telemetryMigrations, ...nodeMigrations });
  const nodes = openNodeStore(db);
  for (const [nid, xname] of [known, other, far].entries()) {
    const ip = xname === far ? {} : { ip: `10.1.0.${nid + 1}` };
    await nodes.put(parseNode({ xname, nid: nid + 1, interfaces: [{ mac: `52540000000${nid}`, ...ip }] }));
  }
  const { interfaces } = openInventory(db);
  const boots = openBootRecords(db, openEventStore(db));
  const bootTokens = openBootTokens(db, boots);
  const identities = openNodeIdentities({
    ...{ nodes, interfaces, bootTokens },
    sharedAddresses: ["10.2.0.0/16", "fd00::1"],
  });
  const give = (xname: string, mac: string, ip: string) =>
    interfaces.create({ mac, description: "", xname, addresses: [{ ip, network: "" }] });
  const begin = async (xname: string) =>
    (await boots.begin(xname, { imageId: undefined, expectedBuildId: undefined })).id;
  return { identities, give, begin, nodes };
}

test("an address is the node's of whose interfaces one has it", async () => {
  const { identities, give } = await open();
  const who = async (address: string | undefined) => (await identities.byAddress(address))?.xname;
  assert.equal(await who("10.1.0.1"), known);
  assert.equal(await who("::ffff:10.1.0.1"), known);
  await give(known, "52:54:00:00:01:00", "10.1.5.1");
  assert.equal(await who("10.1.5.1"), known);
  for (const nobody of [stranger, undefined, "", "10.1.0.1, 10.1.0.2", "' or 1=1 --", "unknown"]) {
    assert.equal(await who(nobody), undefined, nobody);
  }
});

test("an address of two, of a BMC, of nobody yet or of many behind it names no node", async () => {
  const { identities, give } = await open();
  await give("x1000c0s0b0", "52:54:00:00:02:00", "10.1.0.100");
  await give("", "52:54:00:00:02:01", "10.1.0.101");
  await give(other, "52:54:00:00:02:02", "10.1.0.1");
  await give(other, "52:54:00:00:02:03", "10.2.3.4");
  await give(other, "52:54:00:00:02:04", "fd00::1");
  for (const address of ["10.1.0.100", "10.1.0.101", "10.1.0.1", "10.2.3.4", "fd00::1"]) {
    assert.equal(await identities.byAddress(address), undefined, address);
  }
});

test("a token goes where the address says nothing, and never where it says something else", async () => {
  const { identities, begin, give } = await open();
  const goes = async (xname: string, address: string | undefined) =>
    (await identities.tokenFor(xname, await begin(xname), address)) !== undefined;
  // Its own address is enough.
  assert.equal(await goes(known, "10.1.0.1"), false);
  // Others' addresses, and an address that is not where the node is.
  assert.equal(await goes(known, "10.1.0.2"), false);
  assert.equal(await goes(far, "10.1.0.2"), false);
  await give("x1000c0s0b0", "52:54:00:00:03:00", "10.1.0.100");
  assert.equal(await goes(far, "10.1.0.100"), false);
  assert.equal(await goes(known, stranger), false);
  assert.equal(await goes(far, undefined), false);
  // A node of which no address is known, nodes behind one that is shared, and virtual nodes of this host.
  assert.equal(await goes(far, stranger), true);
  assert.equal(await goes(known, "10.2.0.7"), true);
  assert.equal(await goes(known, "127.0.0.1"), true);
});

test("a token names its boot's node, until that is removed", async () => {
  const { identities, begin, nodes } = await open();
  const token = (await identities.tokenFor(far, await begin(far), stranger)) ?? "";
  assert.equal((await identities.byToken(token)).xname, far);
  const isUnknown = (error: unknown) => error instanceof NetkilnError && error.code === "not_found";
  await assert.rejects(identities.byToken(await begin(far)), isUnknown);
  await nodes.remove(far);
  await assert.rejects(identities.byToken(token), isUnknown);
});
