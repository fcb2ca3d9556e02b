import assert from "node:assert/strict";
import { hash, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writeParts } from "./write-parts.ts";

const folder = await mkdtemp(join(tmpdir(), "netkiln-parts-"));
after(() => rm(folder, { recursive: true }));

const source = join(folder, "source");
const content = randomBytes(9 << 20);
await writeFile(source, content);

/** More than is written without a thread. */
const parts = [
  { bytes: Buffer.from("before") },
  { file: source, start: 5, length: content.length - 5 },
  { bytes: Buffer.from("behind") },
];

test("a large file is written by a thread, as its parts say", async () => {
  const output = join(folder, "large");
  const { size, sha256, md5 } = await writeParts({ output, parts });
  const expected = Buffer.concat([Buffer.from("before"), content.subarray(5), Buffer.from("behind")]);
  assert.ok(readFileSync(output).equals(expected));
  assert.deepEqual([size, sha256, md5], [expected.length, hash("sha256", expected), hash("md5", expected)]);
});

test("what is wrong in the thread is told", async () => {
  const missing = [...parts, { file: source, start: content.length - 1, length: 2 }];
  await assert.rejects(writeParts({ output: join(folder, "short"), parts: missing }), {
    code: "internal",
    message: `${source} ends before its content`,
  });
  await assert.rejects(writeParts({ output: source, parts }), /EEXIST/);
});

test("it can be stopped", async () => {
  const stop = new AbortController();
  const writing = writeParts({ output: join(folder, "stopped"), parts }, stop.signal);
  stop.abort();
  await assert.rejects(writing, { name: "AbortError" });
});

test("threads are used again, also by several at once", async () => {
  const names = ["one", "two", "three", "four"].map((name) => join(folder, name));
  const digests = await Promise.all(names.map((output) => writeParts({ output, parts })));
  const again = await writeParts({ output: join(folder, "five"), parts });
  assert.equal(new Set([...digests, again].map(({ sha256, md5, size }) => `${sha256} ${md5} ${size}`)).size, 1);
  assert.ok(names.every((name) => readFileSync(name).equals(readFileSync(join(folder, "five")))));
});
