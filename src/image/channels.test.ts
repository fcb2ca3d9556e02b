import assert from "node:assert/strict";
import { test } from "node:test";
import { migrate, openDatabase } from "../lib/db.ts";
import type { NetkilnError } from "../lib/errors.ts";
import { openChannelStore } from "./channels.ts";
import { migrations } from "./migrations.ts";
import { plantImage } from "./plant-image.ts";
import { openImageStore } from "./store.ts";
import type { Image } from "./types.ts";

const image = (id: string, name: string, verdict: Image["verdict"] = "passed") => plantImage(id, name, verdict);
const stable = "compute:stable";
const ann = { by: "ann" };
const [a, b, c] = ["aaaa-1", "bbbb-2", "cccc-3"] as const;

async function openStores() {
  const db = openDatabase(":memory:");
  await migrate(db, migrations);
  const images = openImageStore(db);
  for (const id of [a, b, c]) await images.publish(image(id, `compute-${id[0]}`));
  return { images, channels: openChannelStore(db) };
}

const refusal = (code: NetkilnError["code"], message: RegExp) => (error: NetkilnError) =>
  error.code === code && message.test(error.message);

test("a channel is moved from image to image, and names them wherever an image is named", async () => {
  const { images, channels } = await openStores();
  assert.equal((await channels.promote(stable, a, { by: "ann", comment: "first" })).changed, true);
  assert.equal((await channels.promote(stable, a, ann)).changed, false, "it is there already");
  await channels.promote(stable, b, { by: "bob" });
  assert.equal((await images.findImage(stable))?.id, b);
  assert.equal(await images.findImage("compute:candidate"), undefined);
  const { moved, ...rest } = (await channels.find(stable)) ?? { moved: "" };
  assert.match(moved, /^\d{4}-/);
  assert.deepEqual(rest, { name: stable, image: b, imageName: "compute-b", by: "bob" });
  assert.deepEqual(
    (await channels.history(stable, { limit: 9 })).map(({ by, from, to, comment }) => [by, from, to, comment]),
    [
      ["bob", a, b, undefined],
      ["ann", null, a, "first"],
    ],
  );
});

test("a move happens only from where it was expected, so that of two at once one is told", async () => {
  const { channels } = await openStores();
  await channels.promote(stable, a, { by: "ann", expected: null });
  const taken = refusal("conflict", /compute:stable points at image aaaa-1, and was expected not to be there/);
  await assert.rejects(channels.promote(stable, b, { by: "bob", expected: null }), taken);
  const both = await Promise.allSettled([
    channels.promote(stable, b, { by: "bob", expected: a }),
    channels.promote(stable, c, { by: "cat", expected: a }),
  ]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  await assert.rejects(channels.undo(stable, { by: "bob", expected: a }), /was expected to point at aaaa-1/);
  await assert.rejects(channels.remove(stable, { by: "bob", expected: a }), /was expected to point at aaaa-1/);
});

test("no channel points at an image without a passing verdict, and what is missing is said", async () => {
  const { images, channels } = await openStores();
  await images.publish(image("dddd-4", "unchecked", "none"));
  const never = refusal("refused", /image unchecked \(dddd-4\) has no passing verdict: the gate never ran on it/);
  await assert.rejects(channels.promote(stable, "dddd-4", ann), never);
  await images.publish(image("eeee-5", "bad", "failed" as Image["verdict"]));
  await assert.rejects(channels.promote(stable, "eeee-5", ann), refusal("refused", /: its verdict is "failed"$/));
  await assert.rejects(channels.promote(stable, "ffff-6", ann), refusal("not_found", /there is no image ffff-6/));
  await images.deleteImage(a);
  await assert.rejects(channels.promote(stable, a, ann), refusal("refused", /image aaaa-1 is deleted/));
  assert.equal(await channels.find(stable), undefined);
});

test("names that are no channel's are refused", async () => {
  const { images, channels } = await openStores();
  for (const name of ["compute", "Compute:stable", "a:b:c", ":stable", "compute:", "../x:y", `${"x".repeat(101)}:y`]) {
    await assert.rejects(channels.promote(name, a, ann), refusal("invalid_input", /is no name of a channel/), name);
  }
  await images.publish(image("dddd-4", "odd:name"));
  await assert.rejects(channels.promote("odd:name", a, ann), refusal("conflict", /there is an image named odd:name/));
});

test("undo goes back move by move, and what was taken back is not taken back again", async () => {
  const { channels } = await openStores();
  for (const id of [a, b, c]) await channels.promote(stable, id, ann);
  const at = async () => (await channels.find(stable))?.image;
  assert.equal((await channels.undo(stable, { by: "bob", comment: "no network" })).channel.image, b);
  assert.equal((await channels.undo(stable, ann)).move.to, a);
  await assert.rejects(channels.undo(stable, ann), refusal("refused", /nothing before this in the history/));
  assert.equal(await at(), a);
  await channels.promote(stable, c, ann);
  await channels.undo(stable, ann);
  assert.equal(await at(), a, "to where it was before that move, not to what was undone earlier");
  const history = await channels.history(stable, { limit: 3 });
  assert.deepEqual(
    history.map(({ kind, from, to, undone }) => [kind, from, to, undone]),
    [
      ["undo", c, a, false],
      ["move", a, c, true],
      ["undo", b, a, false],
    ],
  );
  const older = await channels.history(stable, { limit: 9, after: String(history.at(-1)?.number) });
  assert.deepEqual(older[0]?.comment, "no network");
  assert.equal(older.length, 4);
});

test("a deleted channel keeps its history and comes back with undo", async () => {
  const { images, channels } = await openStores();
  await channels.promote(stable, a, ann);
  await channels.remove(stable, ann);
  assert.equal(await images.findImage(stable), undefined);
  assert.deepEqual(await channels.list({ limit: 9 }), []);
  assert.equal((await channels.undo(stable, ann)).channel.image, a);
  await assert.rejects(channels.undo("compute:none", ann), refusal("not_found", /there is no channel "compute:none"/));
  await assert.rejects(channels.remove("compute:none", ann), refusal("not_found", /there is no channel/));
});

test("undo refuses to go back to an image that is deleted or gone for good", async () => {
  const { images, channels } = await openStores();
  await channels.promote(stable, a, ann);
  await channels.promote(stable, b, ann);
  await images.deleteImage(a);
  await assert.rejects(channels.undo(stable, ann), refusal("refused", /image aaaa-1 is deleted/));
  await images.undeleteImage(a);
  await images.deleteImage(a);
  await images.destroyImage(a);
  const gone = refusal("refused", /compute:stable pointed at image aaaa-1 before, and that is gone for good/);
  await assert.rejects(channels.undo(stable, ann), gone);
  assert.equal((await channels.find(stable))?.image, b);
});

test("what the last moves came from is told, for keeping it", async () => {
  const { channels } = await openStores();
  for (const id of [a, b, c]) await channels.promote(stable, id, ann);
  await channels.promote("compute:candidate", c, ann);
  const since = "2026-01-01T00:00:00Z";
  const pairs = async () => (await channels.undoable(1, since)).map(({ channel, image }) => [channel, image]);
  assert.deepEqual(await pairs(), [[stable, b]]);
  assert.deepEqual((await channels.undoable(5, since)).map(({ image }) => image).sort(), [a, b]);
  await channels.undo(stable, ann);
  assert.deepEqual(await pairs(), [[stable, a]]);
  assert.deepEqual(await channels.undoable(0, since), []);
  await channels.remove(stable, ann);
  assert.deepEqual((await channels.undoable(5, since)).map(({ image }) => image).sort(), [a, b]);
  assert.deepEqual(await channels.undoable(5, "2999-01-01T00:00:00Z"), [], "it was deleted long ago");
});

test("channels are listed in pages", async () => {
  const { channels } = await openStores();
  for (const name of ["x:b", "x:c", "x:a"]) await channels.promote(name, a, ann);
  const first = await channels.list({ limit: 2 });
  assert.deepEqual(
    [...first, ...(await channels.list({ limit: 2, after: first.at(-1)?.name }))].map(({ name }) => name),
    ["x:a", "x:b", "x:c"],
  );
});
