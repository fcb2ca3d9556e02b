import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, type Argv, type RunOptions, type RunResult } from "../../lib/exec.ts";

/** Where a tree stands for a command that runs on the host side of a sandbox. */
export const treeMountPoint = "/mnt";

export interface Sandbox {
  /** Folder that holds the layers. */
  readonly layers: string;
  /** Folders of the layers, the topmost first; relative to `layers`, or absolute. */
  readonly lower: readonly string[];
  /** What becomes of changes to the tree. `keep` leaves them in `upper`, an overlayfs upper directory. */
  readonly changes: { readonly kind: "none" | "scratch" } | { readonly kind: "keep"; readonly upper: string };
  /** A folder of this job's own, on the same file system as `upper`; commands on the host side start in it. */
  readonly work: string;
  /** Whether /proc, /sys, /dev, /run and /tmp are there; without them the tree is exactly its layers. */
  readonly devices: boolean;
  /** Whether the command reaches the host's network; without, it has a loopback device that is down. */
  readonly network: boolean;
}

export interface SandboxCommand {
  /** In the tree (chroot), or on the host with the tree at `treeMountPoint`. */
  readonly at: "tree" | "host";
  readonly argv: Argv;
}

const enter = fileURLToPath(new URL("./enter.sh", import.meta.url));

/** Never needed to build an image, and able to hurt the host even from inside the namespaces. */
const droppedCapabilities = ["sys_module", "sys_rawio", "sys_boot", "sys_time", "mac_admin", "syslog"];

/**
 * Runs a command in or beside a tree. Mounts, processes and the network of the command live in namespaces of their
 * own: the kernel ends them with the first process of the sandbox, whatever ends that.
 */
export async function runInSandbox(sandbox: Sandbox, command: SandboxCommand, options: RunOptions): Promise<RunResult> {
  const overlayWork = join(sandbox.work, "overlay");
  await mkdir(overlayWork, { recursive: true });
  const upper = sandbox.changes.kind === "keep" ? sandbox.changes.upper : "-";
  const work = sandbox.changes.kind === "none" ? sandbox.work : overlayWork;
  const argv: Argv = [
    ...namespaces(sandbox.network),
    ...["/bin/sh", enter, sandbox.changes.kind, sandbox.layers, sandbox.lower.join(":"), upper, work],
    ...[sandbox.devices ? "yes" : "no", command.at],
    ...command.argv,
  ];
  const name = command.argv[0];
  return run(argv, { name, ...options, cwd: sandbox.work, env: { HOME: "/root", ...options.env } });
}

/** The same isolation for a tool that makes a tree where there is none yet. */
export async function runIsolated(argv: Argv, options: RunOptions): Promise<RunResult> {
  const withProc: Argv = ["/bin/sh", "-c", 'mount -t proc proc /proc && "$@"', "isolated", ...argv];
  return run([...namespaces(true), ...withProc], { name: argv[0], ...options });
}

function namespaces(network: boolean): Argv {
  return [
    "setpriv",
    ...["--bounding-set", droppedCapabilities.map((name) => `-${name}`).join(",")],
    "unshare",
    ...["--mount", "--propagation", "private"],
    ...["--pid", "--fork", "--kill-child=KILL"],
    ...["--ipc", "--uts"],
    ...(network ? [] : ["--net"]),
    "--",
  ];
}

export interface Scaffold {
  /** Lines of an apt sources list, for layers that install packages; empty for none. */
  readonly aptSources: readonly string[];
  /** Lines of an apt configuration file. */
  readonly aptOptions: readonly string[];
  /** The host's resolv.conf, for layers that reach the network. */
  readonly resolvConf: string | undefined;
}

/**
 * Writes the layer that stands on top of the tree while a configuration layer runs and is not part of the image:
 * no daemon may start (policy-rc.d, exit 101, https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt),
 * names resolve, and apt knows the build's mirror.
 */
export async function writeScaffold(directory: string, scaffold: Scaffold): Promise<void> {
  const files: [path: string, content: string, mode: number][] = [
    ["usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755],
    ["etc/apt/sources.list.d/netkiln-build.list", lines(scaffold.aptSources), 0o644],
    ["etc/apt/apt.conf.d/99netkiln-build", lines(scaffold.aptOptions), 0o644],
  ];
  if (scaffold.resolvConf !== undefined) files.push(["etc/resolv.conf", scaffold.resolvConf, 0o644]);
  for (const [path, content, mode] of files) {
    if (content === "") continue;
    const file = join(directory, path);
    await mkdir(join(file, ".."), { recursive: true, mode: 0o755 });
    await writeFile(file, content, { mode });
  }
}

function lines(values: readonly string[]): string {
  return values.map((line) => `${line}\n`).join("");
}
