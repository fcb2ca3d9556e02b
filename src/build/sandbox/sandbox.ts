import { mkdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { run, talk, type Argv, type RunOptions, type RunResult, type Talk, type TalkOptions } from "../../lib/exec.ts";
import { openStack, type Stack } from "../tree/stack.ts";

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
  /**
   * Contents of files that no disk may hold, by name. A command on the host side finds them in the folder `secrets`
   * where it starts; it is writable, in memory, and gone with the sandbox. The command has no other input then.
   */
  readonly secrets?: Readonly<Record<string, string>>;
}

export interface SandboxCommand {
  /** In the tree (chroot), or on the host with the tree at `treeMountPoint`. */
  readonly at: "tree" | "host";
  readonly argv: Argv;
}

/** Where a command in the tree finds the sandbox's folder `exchange`, when that exists and there are devices. */
export const exchangeInTree = "/run/netkiln";

/** A folder on this machine that both sides of a sandbox can read and write, and that is not part of the tree. */
export function exchangeOf({ work }: Pick<Sandbox, "work">): string {
  return join(work, "exchange");
}

/** The sandbox's tree before the command has changed it, without a mount. */
export function treeOf({ layers, lower }: Pick<Sandbox, "layers" | "lower">): Stack {
  return openStack(lower.map((layer) => resolve(layers, layer)));
}

const enter = fileURLToPath(new URL("./enter.sh", import.meta.url));

/** Never needed to build an image, and able to hurt the host even from inside the namespaces. */
const droppedCapabilities = ["sys_module", "sys_rawio", "sys_boot", "sys_time", "mac_admin", "syslog"];

/**
 * Runs a command in or beside a tree. Mounts, processes and the network of the command live in namespaces of their
 * own: the kernel ends them with the first process of the sandbox, whatever ends that.
 */
export async function runInSandbox(sandbox: Sandbox, command: SandboxCommand, options: RunOptions): Promise<RunResult> {
  await mkdir(overlayWorkOf(sandbox), { recursive: true });
  const lines = Object.entries(sandbox.secrets ?? {}).map(([file, content]) => `${file} ${toBase64(content)}\n`);
  const input = sandbox.secrets === undefined ? {} : { input: lines.join("") };
  return run(enterWith(sandbox, command), { ...inSandbox(sandbox, command, options), ...input });
}

/** The same with a program that answers lines; it begins at once. The sandbox may have no secrets. */
export function talkInSandbox(sandbox: Sandbox, command: SandboxCommand, options: TalkOptions): Talk {
  mkdirSync(overlayWorkOf(sandbox), { recursive: true });
  return talk(enterWith(sandbox, command), inSandbox(sandbox, command, options));
}

function overlayWorkOf({ work }: Sandbox): string {
  return join(work, "overlay");
}

function inSandbox<Options extends TalkOptions>({ work }: Sandbox, { argv }: SandboxCommand, options: Options) {
  return { name: argv[0], ...options, cwd: work, env: { HOME: "/root", ...options.env } };
}

function enterWith(sandbox: Sandbox, command: SandboxCommand): Argv {
  const upper = sandbox.changes.kind === "keep" ? sandbox.changes.upper : "-";
  const work = sandbox.changes.kind === "none" ? sandbox.work : overlayWorkOf(sandbox);
  return [
    ...namespaces(sandbox.network),
    ...["/bin/sh", enter, sandbox.changes.kind, sandbox.layers, sandbox.lower.join(":"), upper, work],
    ...[sandbox.devices ? "yes" : "no", sandbox.secrets === undefined ? "no" : "yes", command.at],
    ...command.argv,
  ];
}

function toBase64(content: string): string {
  return Buffer.from(content, "utf8").toString("base64");
}

/** The same isolation for a tool that works on no tree, or on one that is not there yet. */
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
export { writeScaffold, type Scaffold } from "./scaffold.ts";
