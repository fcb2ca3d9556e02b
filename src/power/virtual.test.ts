import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { start, type Argv } from "../lib/exec.ts";
import { parseNode, type Node } from "../node/index.ts";
import { filesOf, qemuArgv, runningPid, virtualPower } from "./virtual.ts";

const dataDir = await mkdtemp(join(tmpdir(), "nk-power-"));
after(() => rm(dataDir, { recursive: true }));

const nodeWith = (options: Record<string, unknown>, mac = "52:54:00:00:00:01"): Node => ({
  ...parseNode({ xname: "x1c0s0b0n0", nid: 1, interfaces: [{ mac }], power: { driver: "virtual", options } }),
  alias: "nid000001",
  state: "Unknown",
  locked: false,
});

const machine = { accelerator: "tcg" as const, doorPort: 8081 };

test("the machine has what the node says, and netboots from the door", () => {
  const files = filesOf("/data,1", "x1c0s0b0n0");
  const line = qemuArgv(nodeWith({ memory: 512, cpus: 3 }), files, machine).join(" ");
  for (const part of [
    "-accel tcg,thread=multi -cpu max",
    "-smp 3 -m 512",
    "path=/data,,1/nodes/x1c0s0b0n0/console.log",
    "bootfile=http://10.0.2.2:8081/boot.ipxe",
    "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01",
    "-qmp unix:/data,,1/nodes/x1c0s0b0n0/monitor.sock,server=on,wait=off",
    "-pidfile /data,1/nodes/x1c0s0b0n0/qemu.pid",
  ]) {
    assert.ok(line.includes(part), `${part} in ${line}`);
  }
  assert.doesNotMatch(line, /no-reboot/);
  assert.match(qemuArgv(nodeWith({}), files, { ...machine, accelerator: "kvm" }).join(" "), /-accel kvm -cpu host/);
});

test("what the driver cannot do is refused before anything starts", () => {
  const files = filesOf("/data", "x1c0s0b0n0");
  assert.throws(() => qemuArgv(nodeWith({ memory: "much" }), files, machine), /power options of x1c0s0b0n0.*memory/);
  assert.throws(() => qemuArgv(nodeWith({ disk: 1 }), files, machine), /disk/);
  assert.throws(() => qemuArgv({ ...nodeWith({}), interfaces: [] }, files, machine), /no network interface/);
  assert.throws(() => filesOf(`/${"d".repeat(100)}`, "x1c0s0b0n0"), /too long a path/);
});

test("a node is on when its pid file names a living process that is its own", async () => {
  const files = filesOf(dataDir, "x1c0s0b0n0");
  const power = virtualPower({ dataDir, doorPort: () => 8081 });
  await mkdir(files.folder, { recursive: true });
  assert.equal(await power.status(nodeWith({})), "off");

  const children = (["elsewhere", files.pid] as const).map((pidFile) => {
    // A process that lives for a while and has the words of a QEMU on its command line.
    const argv: Argv = [process.execPath, "-e", "setTimeout(() => {}, 60_000)", "--", "-pidfile", pidFile];
    return start(argv, { logFile: files.log, dieWithParent: true });
  });
  const [stranger, own] = children;
  assert.ok(stranger && own);
  try {
    await new Promise((resolve) => setTimeout(resolve, 200));
    await writeFile(files.pid, `${stranger.pid}\n`);
    assert.equal(await runningPid(files), undefined);
    await writeFile(files.pid, `${own.pid}\n`);
    assert.equal(await runningPid(files), own.pid);
    assert.equal(await power.status(nodeWith({})), "on");
  } finally {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map(({ ended }) => ended));
  }
  assert.equal(await runningPid(files), undefined);
  await writeFile(files.pid, "nonsense");
  assert.equal(await power.status(nodeWith({})), "off");
});
