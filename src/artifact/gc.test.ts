import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openFileBlobs } from "./fs.ts";
import { digestsIn, mark, openReferences, sort, type Root } from "./gc.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-gc-"));
after(() => rm(folder, { recursive: true }));
const blobs = openFileBlobs(folder);
const digest = (digit: string) => digit.repeat(64);
const root = (name: string, text: string): Root => ({ id: name, name, because: ["it is one"], text });

test("digests are found wherever they stand, and not within longer numbers", () => {
  const [a, b] = [digest("a"), digest("b")];
  assert.deepEqual(digestsIn(`{"x": "${a}", "y": ["sha256:${b}"]}`), [a, b]);
  assert.deepEqual(digestsIn(`${a}0 ${b.slice(1)} ${b.toUpperCase()}`), []);
});

test("a text leads to what it names, wherever the pieces end in which it is read; other files lead nowhere", async () => {
  const references = openReferences(blobs);
  const names = Array.from({ length: 9000 }, () => randomBytes(32).toString("hex"));
  const document = await blobs.putBytes(`[${names.map((name) => `"${name}"`).join(",")}]`);
  assert.deepEqual(await references(document.sha256), names);
  const last = await blobs.putBytes(`name ${names[0]}`);
  assert.deepEqual(await references(last.sha256), [names[0]], "at the very end");
  const program = await blobs.putBytes(`\x7fELF\0${names[0]} `);
  assert.deepEqual(await references(program.sha256), []);
  assert.deepEqual(await references(digest("e")), [], "a blob that is not there");
});

test("what a root leads to is kept, over any number of documents and through circles", async () => {
  const leads: Record<string, string[]> = {
    [digest("a")]: [digest("b")],
    [digest("b")]: [digest("c"), digest("a")],
    [digest("d")]: [digest("c")],
  };
  const roots = [root("one", digest("a")), root("two", `${digest("d")} ${digest("d")}`), root("three", "")];
  const marks = await mark(roots, async (name) => leads[name] ?? []);
  const keepers = Object.fromEntries([...marks].map(([name, by]) => [name[0], by.map(({ name }) => name).join(" ")]));
  assert.deepEqual(keepers, { a: "one", b: "one", d: "two", c: "one two" });
});

test("what nothing leads to goes when it is old enough", async () => {
  const place = {
    list: async function* () {
      for (const [name, modified] of Object.entries({ kept: 1, old: 1, edge: 5, young: 6 })) {
        yield { name, size: 1, modified };
      }
    },
  };
  const sorted = await sort(place, (name) => name === "kept", 5);
  const names = ({ kept, condemned, young }: typeof sorted) =>
    Object.entries({ kept, condemned, young }).map(([what, all]) => [what, all.map(({ name }) => name)]);
  assert.deepEqual(Object.fromEntries(names(sorted)), { kept: ["kept"], condemned: ["old"], young: ["edge", "young"] });
});
