import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openDatabase } from "../../src/lib/db.ts";
import { parseNode, type Node } from "../../src/node/index.ts";
import { findAccelerator, runsGuest } from "../../src/power/accelerator.ts";
import { openPower } from "../../src/power/index.ts";

const dataDir = await mkdtemp(join(tmpdir(), "nk-real-"));
after(() => rm(dataDir, { recursive: true }));

test("the try finds that emulation runs guests, and keeps its answer about KVM", { timeout: 90_000 }, async () => {
  assert.equal(await runsGuest("tcg", dataDir), true);
  const found = await findAccelerator(dataDir);
  const before = await readFile(join(dataDir, "accelerator.json"), "utf8");
  assert.equal((JSON.parse(before) as { accelerator: string }).accelerator, found);
  const started = performance.now();
  assert.equal(await findAccelerator(dataDir), found);
  assert.ok(performance.now() - started < 3000, "the second question is answered from the file");
});

test("a virtual node asks the door for its script, survives, and is switched off", { timeout: 120_000 }, async () => {
  let asked: (path: string) => void = () => undefined;
  const request = new Promise<string>((resolve) => (asked = resolve));
  const server = createServer((incoming, response) => {
    asked(incoming.url ?? "");
    response.end("#!ipxe\nsleep 600\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const node: Node = {
    ...parseNode({
      xname: "x1c0s0b0n0",
      nid: 1,
      interfaces: [{ mac: "52:54:00:00:00:01" }],
      power: { driver: "virtual", options: { memory: 256, cpus: 1 } },
    }),
    alias: "nid000001",
    state: "Unknown",
    locked: false,
  };
  const open = () =>
    openPower({
      database: openDatabase(":memory:"),
      dataDir,
      doorPort: () => (server.address() as AddressInfo).port,
    });
  try {
    await open().on(node);
    assert.equal(await open().status(node), "on");
    await open().on(node);
    assert.equal(await request, "/boot.ipxe");
    assert.match(await readFile(join(dataDir, "nodes/x1c0s0b0n0/console.log"), "utf8"), /iPXE/);
    await open().off(node, "graceful");
    assert.equal(await open().status(node), "on", "iPXE does not listen to the power button");
  } finally {
    await open().off(node, "forced");
    server.closeAllConnections();
    server.close();
  }
  assert.equal(await open().status(node), "off");
});
