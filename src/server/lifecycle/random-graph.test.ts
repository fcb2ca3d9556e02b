/** A garbage collection over images, documents and layers that lead to each other at random. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Image } from "../../image/index.ts";
import { useClock } from "../../lib/clock.ts";
import { parseNode } from "../../node/index.ts";
import {
  ago,
  blobsStored,
  collect,
  day,
  holdStock,
  layersStored,
  linkTo,
  makeLayer,
  publish,
  rootOf,
  template,
} from "./plant-stock.ts";

const stock = holdStock();

/** Numbers that look random and are the same for the same seed (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

for (let seed = 1; seed <= 5; seed += 1) {
  test(`random graph ${seed}: what is reachable stays, and everything else goes`, async () => {
    const random = randomOf(seed);
    const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
    const layers = await Promise.all(Array.from({ length: 12 }, () => makeLayer(stock)));
    // Documents that name blobs and documents before them, some of them at once from several images.
    const documents: { digest: string; reaches: Set<string> }[] = [];
    for (let count = 0; count < 15; count += 1) {
      const leaf = await stock.house.blobs.putBytes(`leaf ${seed} ${count}`);
      const inner = documents.length === 0 || random(3) === 0 ? [] : [pick(documents), pick(documents)];
      const names = [leaf.sha256, ...inner.map(({ digest }) => digest)];
      const { sha256: digest } = await stock.house.blobs.putBytes(JSON.stringify({ count, names }));
      documents.push({ digest, reaches: new Set([digest, leaf.sha256, ...inner.flatMap((one) => [...one.reaches])]) });
    }
    const images: { image: Image; reaches: Set<string>; age: number; deletedFor?: number }[] = [];
    for (let count = 0; count < 14; count += 1) {
      const [document, age] = [pick(documents), random(60)];
      const chain = layers.slice(random(8), 8 + random(4));
      const checks = [{ file: "sbom", sha256: document.digest }];
      const image = await publish(stock, pick(["compute", "login", "gpu"]), {
        created: ago(age),
        layers: chain,
        checks,
      });
      const { manifest } = image.artifacts;
      const reaches = new Set([...document.reaches, ...chain, rootOf(image).sha256, manifest.sha256]);
      images.push({ image, reaches, age });
    }
    const kept = new Set<Image>();
    const use = (image: Image) => kept.add(image) && image;
    for (const name of ["compute:stable", "login:stable"]) {
      const moves = Array.from({ length: 1 + random(8) }, () => pick(images).image);
      for (const { id } of moves) await stock.house.channels.promote(name, id, { by: "test" });
      // Moves to where it was already are none.
      const real = moves.filter((image, index) => image !== moves[index - 1]);
      for (const image of real.slice(-stock.house.retention.channelHistory - 1)) use(image);
    }
    for (const name of ["a", "b"]) await stock.house.sessions.putTemplate(template(name, use(pick(images).image)));
    const kernel = linkTo(use(pick(images).image), "kernel");
    const names = { hosts: ["Compute"], macs: [], nids: [] };
    await stock.house.entries.put(names, { params: "", kernel, initrd: "", cloudInit: undefined });
    for (const nid of [1, 2]) {
      const { xname } = await stock.house.nodes.put(parseNode({ xname: `x1c0s${nid}b0n0`, nid }));
      const { id } = await stock.house.boots.begin(xname, { imageId: use(pick(images).image).id, expectedBuildId: "" });
      await stock.house.boots.record(id, "ready", "node");
    }
    for (const entry of images) {
      if (random(3) !== 0) continue;
      const deletedFor = random(28);
      const restore = useClock({ now: () => new Date(Date.now() - deletedFor * day) });
      const wasDeleted = await stock.house.images.deleteImage(entry.image.id).catch(() => false);
      restore();
      if (wasDeleted) entry.deletedFor = deletedFor;
    }

    await collect(stock);

    const staying = images.filter(({ image, deletedFor }) => kept.has(image) || !(deletedFor && deletedFor >= 14));
    const reachable = new Set(staying.flatMap(({ reaches }) => [...reaches]));
    const all = new Set([...(await blobsStored(stock)), ...(await layersStored(stock))]);
    assert.deepEqual(
      [...reachable].filter((name) => !all.has(name)),
      [],
      "nothing reachable was removed",
    );
    assert.deepEqual(
      [...all].filter((name) => !reachable.has(name)),
      [],
      "nothing else was left",
    );
    const live = new Set((await stock.house.images.listImages({ limit: 99 })).map(({ id }) => id));
    for (const { image, age, deletedFor } of images) {
      const namesakes = images.filter((other) => other.image.name === image.name && other.deletedFor === undefined);
      const newest = namesakes.slice(-stock.house.retention.keepLast).some((other) => other.image === image);
      const expected = deletedFor === undefined && (kept.has(image) || newest || age < 30);
      assert.equal(live.has(image.id), expected, `${image.name}, ${age} days`);
    }
  });
}
