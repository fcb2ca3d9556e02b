import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ElSpec, SuseSpec } from "../../image/index.ts";
import type { Argv, RunOptions, RunResult } from "../../lib/exec.ts";
import { runInSandbox, runIsolated, treeMountPoint } from "../sandbox/sandbox.ts";
import type { BaseWorld } from "./types.ts";

/** What stands in the way of these packages' own folders while they are unpacked; with the modes of EL and SUSE. */
const mountPoints = [
  ["dev", 0o755],
  ["proc", 0o555],
  ["run", 0o755],
  ["sys", 0o555],
  ["tmp", 0o1777],
] as const;

/** Where a tool that runs without a network finds this step's folder: the same path in every build. */
const workMountPoint = "/media";

/** `%_dbpath`: where the tree's own rpm looks for its database. */
export type DatabasePath = "/var/lib/rpm" | "/usr/lib/sysimage/rpm";

/**
 * SUSE has its database in /usr/lib/sysimage since SLE 15, Fedora since 36, and so EL since 10
 * (https://fedoraproject.org/wiki/Changes/RelocateRPMToUsr). Only one number counts both EL and Fedora.
 */
export function databasePath(spec: ElSpec | SuseSpec): DatabasePath {
  const isOld = spec.distribution === "el" && majorRelease(spec) < 10;
  return isOld ? "/var/lib/rpm" : "/usr/lib/sysimage/rpm";
}

/** Of "9.4" 9; of "rawhide" infinity. */
export function majorRelease(spec: Pick<ElSpec, "release">): number {
  const major = Number.parseInt(spec.release, 10);
  return Number.isNaN(major) ? Infinity : major;
}

export interface RpmWorld {
  /** This step's folder, as the tools see it: its own path with a network, another one without. */
  readonly folder: string;
  /** The tree, as the tools see it. */
  readonly tree: string;
  /** What it prints goes to the build's log. */
  run(argv: Argv, options?: Pick<RunOptions, "okExitCodes">): Promise<RunResult>;
}

/**
 * What every rpm of this step reads instead of the host's and the user's own: where the database is (Debian's rpm has
 * it in the home folder), and which folders of the tree belong to the kernel while packages are unpacked.
 */
async function writeHome(folder: string, spec: ElSpec | SuseSpec): Promise<void> {
  await mkdir(join(folder, "home"), { recursive: true, mode: 0o700 });
  const macros = [`%_dbpath ${databasePath(spec)}`, "%_netsharedpath /dev:/proc:/run:/sys"];
  await writeFile(join(folder, "home/.rpmmacros"), macros.map((line) => `${line}\n`).join(""));
}

function environment(spec: ElSpec | SuseSpec, home: string, folder: string): Record<string, string> {
  return {
    HOME: home,
    // rpm 4.17 and later take the time of installation from it, so that two databases are the same byte for byte.
    SOURCE_DATE_EPOCH: String(spec.epoch),
    PYTHONDONTWRITEBYTECODE: "1",
    // Hooks of the kernel package make no initrd: ours is made later, from the finished tree.
    KERNEL_INSTALL_BYPASS: "1",
    ZYPP_CONF: `${folder}/zypp.conf`,
    ZYPP_LOGFILE: `${folder}/zypper.log`,
    // What it leaves behind when it is killed goes with the work folder.
    ZYPPTMPDIR: folder,
  };
}

/** For `resolve`: on the network, on an empty tree of its own, and nothing of a package is run. */
export async function openOnline(spec: ElSpec | SuseSpec, world: BaseWorld): Promise<RpmWorld> {
  const { folder } = world;
  const tree = join(folder, "resolve");
  await mkdir(tree, { mode: 0o755 });
  await writeHome(folder, spec);
  const env = environment(spec, join(folder, "home"), folder);
  return { folder, tree, run: (argv, options) => runIsolated(argv, { ...world.run, ...options, env }) };
}

/**
 * For `make`: without a network, in the tree's file system with /proc, /dev and the rest, as scripts of packages expect
 * it. HOME, which they see too, is root's in the tree as well as out here, where it is this step's own.
 */
export async function openOffline(spec: ElSpec | SuseSpec, tree: string, world: BaseWorld): Promise<RpmWorld> {
  await writeHome(world.folder, spec);
  await mkdir(join(world.folder, "beneath"));
  for (const [name, mode] of mountPoints) {
    await mkdir(join(tree, name));
    await chmod(join(tree, name), mode);
  }
  const sandbox = sandboxOf(tree, world);
  const env = environment(spec, "/root", workMountPoint);
  const enter = 'mount --bind . "$0" && mount --bind "$0/home" /root && cd / && "$@"';
  return {
    folder: workMountPoint,
    tree: treeMountPoint,
    run: (argv, options) =>
      runInSandbox(
        sandbox,
        { at: "host", argv: ["/bin/sh", "-c", enter, workMountPoint, ...argv] },
        { ...world.run, ...options, name: argv[0], env },
      ),
  };
}

/** Runs a program of the tree itself; `exchange` in the step's folder is /run/netkiln there. */
export function runInTree(tree: string, world: BaseWorld, argv: Argv, options?: RunOptions): Promise<RunResult> {
  return runInSandbox(sandboxOf(tree, world), { at: "tree", argv }, { signal: world.run.signal, ...options });
}

function sandboxOf(tree: string, { folder }: BaseWorld) {
  const changes = { kind: "keep", upper: tree } as const;
  return { layers: folder, lower: ["beneath"], changes, work: folder, devices: true, network: false };
}

/** Runs a tool that only reads packages and keys, or writes of them, in this step's folder, and needs no network. */
export function runApart(argv: Argv, world: BaseWorld, options?: RunOptions): Promise<RunResult> {
  const env = { HOME: join(world.folder, "home") };
  return runIsolated(["unshare", "--net", "--", ...argv], { name: argv[0], signal: world.run.signal, env, ...options });
}
