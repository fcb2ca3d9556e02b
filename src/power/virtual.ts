import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { start, type Argv } from "../lib/exec.ts";
import { parseAs } from "../lib/parse.ts";
import { SingleFlight } from "../lib/single-flight.ts";
import type { Node } from "../node/index.ts";
import { cpuModel, findAccelerator, type Accelerator } from "./accelerator.ts";
import { qmpExecute } from "./qmp.ts";
import type { PowerDriver } from "./types.ts";

const optionsSchema = z.strictObject({
  /** MiB. The live root lies in it twice for a moment, as a file and as what is read of it. */
  memory: z.int().min(256).max(1_048_576).default(3072),
  cpus: z.int().min(1).max(512).default(2),
});

export interface VirtualOptions {
  /** Keeps `nodes/XNAME/` with the console log, the pid file and the monitor socket. */
  readonly dataDir: string;
  /** The node door's port; it must be open on the loopback address, where QEMU's user network ends. */
  readonly doorPort: () => number;
}

interface Files {
  readonly folder: string;
  readonly console: string;
  /** What QEMU itself says. */
  readonly log: string;
  readonly pid: string;
  readonly monitor: string;
}

export function filesOf(dataDir: string, xname: string): Files {
  const folder = join(dataDir, "nodes", xname);
  const monitor = join(folder, "monitor.sock");
  // sockaddr_un holds 108 bytes with the final zero (unix(7)).
  if (Buffer.byteLength(monitor) > 107) {
    throw new NetkilnError("invalid_input", `${monitor} is too long a path for a socket`, {
      hint: "use a data folder with a shorter path",
    });
  }
  const file = (name: string) => join(folder, name);
  return { folder, console: file("console.log"), log: file("qemu.log"), pid: file("qemu.pid"), monitor };
}

/**
 * The machine: 10.0.2.2 is this host as QEMU's user network shows it, and the boot file is what its DHCP hands to the
 * network card's iPXE. IPv6 stays on: without it iPXE waits 13 s for a router. There is no -no-reboot: a node that
 * reboots itself is to netboot again, as a real one would.
 */
export function qemuArgv(node: Node, files: Files, machine: { accelerator: Accelerator; doorPort: number }): Argv {
  const { memory, cpus } = parseAs(optionsSchema, node.power.options, `the power options of ${node.xname}`);
  const mac = node.interfaces[0]?.mac;
  if (mac === undefined) {
    throw new NetkilnError("invalid_input", `${node.xname} has no network interface to boot from`, {
      hint: "give it one with a MAC address",
    });
  }
  // A comma in a QEMU option's value is written twice.
  const value = (text: string) => text.replaceAll(",", ",,");
  const acceleration = machine.accelerator === "kvm" ? "kvm" : "tcg,thread=multi";
  return [
    "qemu-system-x86_64",
    ...["-name", `netkiln-${node.xname}`],
    // Without graphics the firmware and iPXE talk to the serial line, and so to the console log.
    ...["-machine", "pc,graphics=off", "-accel", acceleration, "-cpu", cpuModel(machine.accelerator)],
    ...["-smp", String(cpus), "-m", String(memory), "-nodefaults", "-display", "none"],
    ...["-chardev", `file,id=console,append=on,path=${value(files.console)}`, "-serial", "chardev:console"],
    ...["-netdev", `user,id=n0,bootfile=http://10.0.2.2:${machine.doorPort}/boot.ipxe`],
    ...["-device", `virtio-net-pci,netdev=n0,mac=${mac}`, "-device", "virtio-rng-pci", "-boot", "n"],
    ...["-qmp", `unix:${value(files.monitor)},server=on,wait=off`, "-pidfile", files.pid],
  ];
}

/** The pid of the node's QEMU. A pid file outlives a killed QEMU, and its number may be another process's by now. */
export async function runningPid(files: Files): Promise<number | undefined> {
  const pid = Number(await readFile(files.pid, "utf8").catch(() => ""));
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const words = command.split("\0");
  return words[words.indexOf("-pidfile") + 1] === files.pid ? pid : undefined;
}

const startMs = 15_000;
const stopMs = 5000;
const pollMs = 50;

/** Nodes that are QEMU machines on this host. They go on when the server stops; the pid file is all their state. */
export function virtualPower({ dataDir, doorPort }: VirtualOptions): PowerDriver {
  const flights = new SingleFlight<unknown>();

  const switchOn = async (node: Node) => {
    const files = filesOf(dataDir, node.xname);
    if ((await runningPid(files)) !== undefined) return;
    const accelerator = await flights.run("accelerator", () => findAccelerator(dataDir));
    const argv = qemuArgv(node, files, { accelerator: accelerator as Accelerator, doorPort: doorPort() });
    await mkdir(files.folder, { recursive: true });
    await Promise.all([
      rm(files.pid, { force: true }),
      rm(files.monitor, { force: true }),
      rm(files.log, { force: true }),
    ]);
    const qemu = start(argv, { logFile: files.log, dieWithParent: false, cwd: files.folder });
    let over = false;
    void qemu.ended.then(() => (over = true));
    const running = await until(startMs, async () => over || (await runningPid(files)) !== undefined);
    if (running && !over) return;
    qemu.kill("SIGKILL");
    const said = (await readFile(files.log, "utf8").catch(() => "")).trim().split("\n").slice(-20);
    throw new NetkilnError("work_failed", `the virtual node ${node.xname} did not start`, { output: said });
  };

  const force = async (files: Files) => {
    await qmpExecute(files.monitor, "quit").catch(() => undefined);
    const gone = async () => (await runningPid(files)) === undefined;
    if (await until(stopMs, gone)) return;
    const pid = await runningPid(files);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    if (!(await until(stopMs, gone))) throw new NetkilnError("work_failed", `QEMU with pid ${pid} could not be killed`);
  };

  return {
    status: async (node) => ((await runningPid(filesOf(dataDir, node.xname))) === undefined ? "off" : "on"),
    on: async (node) => void (await flights.run(node.xname, () => switchOn(node))),
    off: async (node, how) => {
      const files = filesOf(dataDir, node.xname);
      if ((await runningPid(files)) === undefined) return;
      if (how === "forced") return force(files);
      await qmpExecute(files.monitor, "system_powerdown").catch((error: unknown) => {
        throw new NetkilnError("work_failed", `${node.xname} could not be asked to shut down`, { detail: error });
      });
    },
  };
}

/** Waits for a condition; false when it did not come true in time. */
async function until(milliseconds: number, condition: () => Promise<boolean>): Promise<boolean> {
  for (let waited = 0; waited < milliseconds; waited += pollMs) {
    if (await condition()) return true;
    await clock.sleep(pollMs);
  }
  return condition();
}
