import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { nodeKey } from "./ssh-key.ts";

test("the key of the nodes is made once, and only its owner can read it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "netkiln-key-"));
  try {
    const keys = await Promise.all([1, 2, 3].map(() => nodeKey(join(folder, "nodes"))));
    const [key] = keys;
    assert.match(key?.publicKey ?? "", /^ssh-ed25519 [A-Za-z0-9+/=]+ netkiln$/);
    for (const other of keys) assert.deepEqual(other, key);
    assert.equal((await stat(key?.file ?? "")).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(join(folder, "nodes")), ["key", "key.pub"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
