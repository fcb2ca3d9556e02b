import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import fastify from "fastify";
import { rawManifest } from "../../artifact/index.ts";
import { sha256 } from "../../lib/files.ts";
import { answerProblems } from "../problem.ts";
import { registerOciRegistry } from "./routes.ts";

const blob = "0123456789";
const blobDigest = `sha256:${sha256(blob)}`;
const type = "application/vnd.oci.image.manifest.v1+json";
const manifest = rawManifest(Buffer.from('{"schemaVersion":2}'), type);
const referrer = { mediaType: type, digest: blobDigest, size: 10, artifactType: "application/spdx+json" };
const name = "site/nested/compute";

const app = fastify();
// As at the node door.
answerProblems(app);
registerOciRegistry(app, {
  tags: async (asked) => (asked === name ? ["b", "A", "a", "c"] : undefined),
  manifest: async (asked, reference) =>
    asked === name && (reference === "a" || reference === manifest.digest) ? manifest : undefined,
  blob: async (asked, digest) => {
    if (digest === `sha256:${"f".repeat(64)}`) throw new Error("secret path of the store");
    if (asked !== name || digest !== blobDigest) return undefined;
    return { size: 10, read: (range) => Readable.from([Buffer.from(blob.slice(range?.start, (range?.end ?? 9) + 1))]) };
  },
  referrers: async (_asked, digest) => (digest === manifest.digest ? [referrer] : []),
});

const ask = (url: string, method: "GET" | "HEAD" | "PUT" | "POST" = "GET", headers: Record<string, string> = {}) =>
  app.inject({ method, url, headers });
const codeOf = (answer: { json: () => unknown }) => (answer.json() as { errors: { code: string }[] }).errors[0]?.code;

test("the version check, with and without the last slash", async () => {
  for (const url of ["/v2", "/v2/"]) {
    const answer = await ask(url);
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers["docker-distribution-api-version"], "registry/2.0");
  }
});

test("a manifest by tag and by digest, as it is", async () => {
  for (const reference of ["a", manifest.digest]) {
    const answer = await ask(`/v2/${name}/manifests/${reference}`);
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.body, '{"schemaVersion":2}');
    assert.equal(answer.headers["content-type"], type);
    assert.equal(answer.headers["docker-content-digest"], manifest.digest);
    const head = await ask(`/v2/${name}/manifests/${reference}`, "HEAD");
    assert.deepEqual([head.statusCode, head.body, head.headers["content-length"]], [200, "", "19"]);
    assert.equal(head.headers["content-type"], type);
  }
  const again = await ask(`/v2/${name}/manifests/a`, "GET", { "if-none-match": `"${manifest.digest}"` });
  assert.equal(again.statusCode, 304);
});

test("a blob, whole, in part, and only said", async () => {
  const url = `/v2/${name}/blobs/${blobDigest}`;
  assert.equal((await ask(url)).body, blob);
  const part = await ask(url, "GET", { range: "bytes=2-4" });
  assert.deepEqual([part.statusCode, part.body, part.headers["content-range"]], [206, "234", "bytes 2-4/10"]);
  assert.equal((await ask(url, "GET", { range: "bytes=10-" })).statusCode, 416);
  const head = await ask(url, "HEAD");
  assert.deepEqual([head.statusCode, head.headers["content-length"], head.body], [200, "10", ""]);
});

test("tags in the order of the specification, in pages that end", async () => {
  assert.deepEqual((await ask(`/v2/${name}/tags/list`)).json(), { name, tags: ["A", "a", "b", "c"] });
  let url: string | undefined = `/v2/${name}/tags/list?n=3`;
  const pages: unknown[] = [];
  while (url !== undefined) {
    const answer = await ask(url);
    pages.push((answer.json() as { tags: unknown }).tags);
    url = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers.link))?.[1];
  }
  assert.deepEqual(pages, [["A", "a", "b"], ["c"]]);
  assert.deepEqual((await ask(`/v2/${name}/tags/list?n=0`)).json(), { name, tags: [] });
  assert.deepEqual((await ask(`/v2/${name}/tags/list?last=b`)).json(), { name, tags: ["c"] });
  assert.equal(codeOf(await ask(`/v2/${name}/tags/list?n=x`)), "PAGINATION_NUMBER_INVALID");
  assert.equal(codeOf(await ask("/v2/other/tags/list")), "NAME_UNKNOWN");
});

test("referrers are an index, also when there are none", async () => {
  const all = await ask(`/v2/${name}/referrers/${manifest.digest}`);
  assert.equal(all.headers["content-type"], "application/vnd.oci.image.index.v1+json");
  assert.deepEqual((all.json() as { manifests: unknown }).manifests, [referrer]);
  const filtered = await ask(`/v2/${name}/referrers/${manifest.digest}?artifactType=other`);
  assert.deepEqual((filtered.json() as { manifests: unknown }).manifests, []);
  assert.equal(filtered.headers["oci-filters-applied"], "artifactType");
  const none = await ask(`/v2/${name}/referrers/sha256:${"0".repeat(64)}`);
  assert.deepEqual([none.statusCode, (none.json() as { manifests: unknown }).manifests], [200, []]);
});

test("failures have the specification's codes", async () => {
  const table: readonly (readonly [string, number, string])[] = [
    [`/v2/${name}/manifests/other`, 404, "MANIFEST_UNKNOWN"],
    [`/v2/${name}/manifests/sha256:abc`, 404, "MANIFEST_UNKNOWN"],
    [`/v2/${name}/blobs/sha256:${"0".repeat(64)}`, 404, "BLOB_UNKNOWN"],
    [`/v2/other/blobs/${blobDigest}`, 404, "BLOB_UNKNOWN"],
    [`/v2/${name}/blobs/md5:abc`, 400, "DIGEST_INVALID"],
    [`/v2/${name}/referrers/x`, 400, "DIGEST_INVALID"],
    ["/v2/UPPER/manifests/a", 400, "NAME_INVALID"],
    ["/v2/..%2f..%2fetc/manifests/passwd", 400, "NAME_INVALID"],
    ["/v2/nothing", 404, "NAME_UNKNOWN"],
    ["/v2/_catalog", 404, "NAME_UNKNOWN"],
  ];
  for (const [url, status, code] of table) {
    const answer = await ask(url);
    assert.deepEqual([answer.statusCode, codeOf(answer)], [status, code], url);
  }
});

test("what changes something is refused, whatever it sends", async () => {
  const answers = [
    await ask(`/v2/${name}/blobs/uploads/`, "POST"),
    await app.inject({
      method: "PUT",
      url: `/v2/${name}/manifests/a`,
      payload: "{",
      headers: { "content-type": type },
    }),
    await app.inject({ method: "PUT", url: `/v2/${name}/manifests/a`, payload: "{", headers: { "content-type": "?" } }),
    await app.inject({ method: "PATCH", url: `/v2/${name}/blobs/uploads/1`, payload: Buffer.alloc(2 << 20) }),
  ];
  for (const answer of answers) {
    assert.deepEqual([answer.statusCode, codeOf(answer)], [405, "UNSUPPORTED"]);
    assert.match(answer.body, /this registry can only be read/);
  }
});

test("an unexpected failure says nothing of the inside", async () => {
  const answer = await ask(`/v2/${name}/blobs/sha256:${"f".repeat(64)}`);
  assert.deepEqual([answer.statusCode, codeOf(answer)], [500, "UNKNOWN"]);
  assert.doesNotMatch(answer.body, /secret/);
});
