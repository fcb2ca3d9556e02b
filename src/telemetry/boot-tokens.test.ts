import assert from "node:assert/strict";
import { test } from "node:test";
import { useClock } from "../lib/clock.ts";
import { migrate, openDatabase } from "../lib/db.ts";
import { migrations, openBootRecords, openBootTokens, openEventStore } from "./index.ts";

const node = "x1000c0s0b0n0";
const nothing = { imageId: undefined, expectedBuildId: undefined };

async function open() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const boots = openBootRecords(db, openEventStore(db));
  return { db, boots, tokens: openBootTokens(db, boots) };
}

test("a boot has one token, also after a restart, and only that one is good", async () => {
  const { db, boots, tokens } = await open();
  const boot = await boots.begin(node, nothing);
  const token = await tokens.of(boot.id);
  assert.equal((await tokens.find(token))?.xname, node);
  assert.equal(await openBootTokens(db, boots).of(boot.id), token);
  assert.equal((await openBootTokens(db, boots).find(token))?.id, boot.id);

  const other = await boots.begin("x1000c0s1b0n0", nothing);
  const mixed = `${other.id}-${token.split("-")[1]}`;
  for (const bad of [boot.id, `${boot.id}-`, mixed, `${token}0`, "", "../..", await tokens.of("0".repeat(32))]) {
    assert.equal(await tokens.find(bad), undefined, bad);
  }
  // Another house has another key.
  assert.notEqual(await (await open()).tokens.of(boot.id), token);
});

test("a token outlives a newer boot by a day, and is good as long as there is none", async (t) => {
  const { boots, tokens } = await open();
  const boot = await boots.begin(node, nothing);
  const token = await tokens.of(boot.id);
  const hoursLater = (hours: number) => {
    const then = new Date(Date.parse(boot.started) + hours * 3_600_000);
    t.after(useClock({ now: () => then }));
  };
  hoursLater(1000);
  assert.ok(await tokens.find(token));
  hoursLater(23);
  await boots.record(boot.id, "ready", "node");
  const target = { imageId: "image-1", expectedBuildId: "build-1" };
  for (const retry of [0, 0]) await boots.forScript(node, { retry, target });
  hoursLater(1000);
  assert.ok(await tokens.find(token), "also when somebody else fetches a script");
  hoursLater(23);
  await boots.begin(node, nothing);
  assert.ok(await tokens.find(token));
  hoursLater(25);
  assert.equal(await tokens.find(token), undefined);
});
