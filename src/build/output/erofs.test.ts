import assert from "node:assert/strict";
import { test } from "node:test";
import { derivedUuid } from "./derive.ts";
import { compressionFor } from "./erofs.ts";

test("the compression is what the tool can do", () => {
  assert.deepEqual(compressionFor("Available compressors are: lz4hc, lz4"), ["-zlz4hc,4", "-C65536"]);
  assert.deepEqual(compressionFor("  lz4\n  lz4hc\n  zstd\n"), ["-zzstd", "-C65536"]);
});

test("a derived UUID is one of version 8, the same for the same content and purpose", () => {
  const uuid = derivedUuid("erofs", "content");
  assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(derivedUuid("erofs", "content"), uuid);
  assert.notEqual(derivedUuid("verity", "content"), uuid);
  assert.notEqual(derivedUuid("erofs", "other"), uuid);
});
