import assert from "node:assert/strict";
import { test } from "node:test";
import { readS3Link } from "./s3-link.ts";

test("a link has a bucket and a key", () => {
  assert.deepEqual(readS3Link("s3://boot-images/a-b_c/kernel.img"), { bucket: "boot-images", key: "a-b_c/kernel.img" });
  assert.deepEqual(readS3Link("S3://b/..a/b../a%20b/100%"), { bucket: "b", key: "..a/b../a%20b/100%" });
});

test("what can be taken for another place is no link", () => {
  for (const key of [
    "",
    "/a",
    "a//b",
    "a/",
    ".",
    "a/../b",
    "a/%2E%2e/b",
    "a%2f..%2fb",
    "a\\..\\b",
    "%5c..",
    "a\u0000",
  ]) {
    assert.equal(readS3Link(`s3://bucket/${key}`), undefined, key);
  }
  for (const link of [
    "s3://bucket",
    "s3:///a/b",
    "s3://../a",
    "s3://%2e%2e/a",
    "s3://a:b@c/d",
    "s3:a/b",
    " s3://a/b",
  ]) {
    assert.equal(readS3Link(link), undefined, link);
  }
});
