import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fastify from "fastify";
import { openFileBlobs } from "../../artifact/index.ts";
import { openLayerStore } from "../../build/index.ts";
import { openClient } from "../../cli/client.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { answerProblems } from "../problem.ts";
import { registerBlobs } from "./blobs.ts";
import { imageImportSchema } from "./image-import-schema.ts";

const data = await mkdtemp(join(tmpdir(), "netkiln-blobs-"));
const blobs = openFileBlobs(join(data, "blobs"));
const app = fastify({ forceCloseConnections: true });
const socket = join(data, "socket");
const client = openClient(`unix:${socket}`, undefined);
const file = join(data, "file");
const content = Buffer.alloc(3_000_000, "some bytes ");
const sha256 = createHash("sha256").update(content).digest("hex");

before(async () => {
  await mkdir(join(data, "blobs"));
  await writeFile(file, content);
  answerProblems(app);
  registerBlobs(app, { blobs, layers: await openLayerStore(data) });
  await app.listen({ path: socket });
});
after(async () => {
  await app.close();
  await rm(data, { recursive: true });
});

/** A folder that goes while it is listed is there. */
const left = async () => {
  const found = await readdir(join(data, "work"), { recursive: true }).catch(() => ["a/folder"]);
  return found.filter((path) => path.includes("/"));
};

test("a file becomes a blob as it is sent, and is found by its sha256", async () => {
  await assert.rejects(client.get(`/blobs/${sha256}`), ({ code }: NetkilnError) => code === "not_found");
  const sent: number[] = [];
  const options = { sha256, size: content.length, onProgress: (bytes: number) => void sent.push(bytes) };
  assert.deepEqual(await client.uploadFile("/blobs", file, options), { sha256, size: content.length });
  assert.equal(sent.at(-1), content.length);
  assert.ok(sent.length > 5, "not all at once");
  assert.deepEqual(await readFile(blobs.path(sha256)), content);
  assert.deepEqual(await client.get(`/blobs/${sha256}`), { sha256, size: content.length });
  assert.deepEqual(await left(), []);
});

test("a file that is not what was announced is refused, and nothing of it is kept", async () => {
  const other = "0".repeat(64);
  await assert.rejects(
    client.uploadFile("/blobs", file, { sha256: other, size: 1000 }),
    /1000 bytes came with the sha256 [0-9a-f]{64}, not 0{64}/,
  );
  await assert.rejects(client.upload("/blobs", "application/json", Buffer.from("{}")), /a file is sent as it is/);
  assert.deepEqual(await left(), []);
});

test("a sender that stops midway leaves nothing", async () => {
  const connection = connect(socket);
  connection.write(
    "POST /apis/netkiln/v1/blobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 100\r\n\r\nhalf",
  );
  while ((await left()).length < 2) await new Promise(setImmediate);
  connection.destroy();
  while ((await left()).length > 0) await new Promise(setImmediate);
  assert.deepEqual(await readdir(join(data, "blobs")), ["sha256"]);
});

test("a request to import names digests, and nothing that it does not know", () => {
  const request = { name: "rocky9", archive: sha256 };
  assert.deepEqual(imageImportSchema.parse(request), { ...request, arch: "x86_64", kernelParameters: "" });
  for (const wrong of [{ name: "a b" }, { archive: "abc" }, { kernelParameters: "a\nb" }, { format: "tar" }]) {
    assert.equal(imageImportSchema.safeParse({ ...request, ...wrong }).success, false);
  }
});
