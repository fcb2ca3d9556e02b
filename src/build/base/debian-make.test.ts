import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { requireInstalled } from "./debian-make.ts";
import type { Lock } from "./types.ts";

const tree = await mkdtemp(join(tmpdir(), "netkiln-tree-"));
after(() => rm(tree, { recursive: true }));
await mkdir(join(tree, "var/lib/dpkg"), { recursive: true });

const lock: Lock = {
  family: "deb",
  packages: ["attr", "zstd"].map((name) => ({ name, version: "1:2", arch: "amd64", sha256: "", size: 0 })),
  files: {},
};
const stanza = (name: string, more: { version?: string; status?: string } = {}) =>
  `Package: ${name}\nStatus: ${more.status ?? "install ok installed"}\nArchitecture: amd64\nVersion: ${more.version ?? "1:2"}\n`;
const check = async (...stanzas: string[]) => {
  await writeFile(join(tree, "var/lib/dpkg/status"), stanzas.join("\n"));
  await requireInstalled(tree, lock);
};

test("a tree with exactly the packages of its lock is good", () => check(stanza("zstd"), stanza("attr")));

test("a tree with others is refused, and they are named", async () => {
  const refused = (output: string[], ...stanzas: string[]) =>
    assert.rejects(check(...stanzas), {
      code: "work_failed",
      message: `mmdebstrap installed other packages than those of the lock: ${output[0]}`,
      output,
    });
  await refused(["not installed: zstd 1:2 amd64"], stanza("attr"));
  await refused(["not installed: zstd 1:2 amd64"], stanza("attr"), stanza("zstd", { status: "install ok unpacked" }));
  await refused(["not in the lock: more 1:2 amd64"], stanza("attr"), stanza("more"), stanza("zstd"));
  await refused(
    ["not installed: zstd 1:2 amd64", "not in the lock: zstd 1:3 amd64"],
    ...[stanza("attr"), stanza("zstd", { version: "1:3" })],
  );
});
