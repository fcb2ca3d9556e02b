import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox, type SandboxCommand } from "../sandbox/sandbox.ts";
import { checkInitrd, requireDrivers } from "./initrd-check.ts";
import type { TreeNode } from "../tree/view.ts";
import { observe, type Observed } from "./observed.ts";
import { chooseModules, hintFor, ownDrivers, wantedPrograms, type InitrdWishes, type RootKind } from "./roots.ts";
import { newestKernel, survey, type Survey } from "./survey.ts";
import { readTrace, tracedCalls } from "./trace.ts";

export interface InitrdOptions {
  /** How nodes come to their root. */
  readonly roots: readonly RootKind[];
  /** Whether strace is there. */
  readonly traced: boolean;
}

export interface MadeInitrd {
  /** Path of the file. */
  readonly file: string;
  /**
   * All of the tree that decided what is in it: the same initrd comes out of every tree that is equal there
   * (`firstDifference`). Undefined when it was not traced, or when the trace leaves a doubt.
   */
  readonly observed: Observed | undefined;
}

/**
 * Makes the initrd with the tree's own dracut, for any machine and not for the one that builds, and checks it. It is
 * traced where strace is there: tracing doubles its few seconds, and saves them whenever nothing has changed that it
 * looked at. `root` is what the sandbox's tree shows.
 */
export async function makeInitrd(
  root: TreeNode,
  sandbox: Sandbox,
  image: { readonly initrd?: InitrdWishes | undefined; readonly epoch: number },
  { roots, traced }: InitrdOptions,
  options: RunOptions,
): Promise<MadeInitrd> {
  const { signal } = options;
  const tree = await survey(root, wantedPrograms);
  const { version } = newestKernel(tree);
  const { omit = [], drivers: asked = [] } = image.initrd ?? {};
  const modules = chooseModules(tree, image.initrd, roots);
  requireDrivers(asked, version, tree.drivers);
  const usual = ownDrivers.filter((name) => tree.drivers?.loadable.includes(name));
  const drivers = [...new Set([...usual, ...asked])];
  const exchange = join(sandbox.work, "exchange");
  // dracut takes its configuration from here alone: what is in the tree is the booted system's.
  await mkdir(join(exchange, "dracut.conf.d"), { recursive: true });
  const argv = [
    ...["dracut", "--force", "--conf", "/dev/null", "--confdir", "/run/netkiln/dracut.conf.d"],
    ...["--no-hostonly", "--no-hostonly-cmdline", "--no-early-microcode"],
    ...["--reproducible", "--nostrip", "--tmpdir", "/tmp"],
    ...["--compress", compressorFor(tree)],
    // This list with what it depends on, and nothing else: what a module would do on its own is not wanted twice.
    ...["--modules", modules.join(" ")],
    ...(omit.length === 0 ? [] : ["--omit", omit.join(" ")]),
    ...(drivers.length === 0 ? [] : ["--add-drivers", drivers.join(" ")]),
    ...["--kver", version],
    "/run/netkiln/initrd",
  ] as const;
  const log = join(sandbox.work, "strace.log");
  // Ends of processes are in the log (-q and not -qq), as their numbers can come again.
  const tracer = ["--seccomp-bpf", "-f", "-q", "-y", "-e", `trace=${tracedCalls}`, "-e", "signal=none", "-o", log];
  const command: SandboxCommand = traced
    ? { at: "host", argv: ["strace", ...tracer, "chroot", treeMountPoint, ...argv] }
    : { at: "tree", argv };
  await runDracut(
    { ...sandbox, changes: { kind: "scratch" }, devices: true },
    command,
    image.epoch,
    tree.family,
    options,
  );
  const file = join(exchange, "initrd");
  await checkInitrd(file, { version, modules, drivers, builtIn: tree.drivers?.builtIn ?? [] }, sandbox, signal);
  if (!traced) return { file, observed: undefined };
  const { paths, folders, unclear } = readTrace(await readFile(log, "utf8"), treeMountPoint);
  if (unclear !== undefined) {
    options.onLine?.(`this initrd will not be taken for another tree: the trace is not clear at ${unclear}`, "stdout");
    return { file, observed: undefined };
  }
  const looks = { paths: [...paths, ...tree.looks.paths], folders: [...folders, ...tree.looks.folders] };
  return { file, observed: await observe(root, looks) };
}

/** zstd where the kernel unpacks it (5.9 and later, when it is configured so) and the tree has it; else gzip. */
function compressorFor(tree: Survey): string {
  return tree.unpacksZstd !== false && tree.programs.includes("zstd") ? "zstd -3 -T0 -q" : "gzip -n -6";
}

async function runDracut(
  sandbox: Sandbox,
  command: SandboxCommand,
  epoch: number,
  family: Survey["family"],
  options: RunOptions,
): Promise<void> {
  // dracut says it when it looks at its modules, long before it gives up.
  let refused: { readonly module: string; readonly program: string } | undefined;
  const onLine: NonNullable<RunOptions["onLine"]> = (line, stream) => {
    const [, module, program] = /module '(\S+)' will not be installed, because command '(\S+)' could/.exec(line) ?? [];
    if (module !== undefined && program !== undefined) refused ??= { module, program };
    options.onLine?.(line, stream);
  };
  const env = { SOURCE_DATE_EPOCH: String(epoch) };
  await runInSandbox(sandbox, command, { ...options, onLine, name: "dracut", env }).catch((error: unknown) => {
    if (!(error instanceof NetkilnError) || refused === undefined) throw error;
    const text = `dracut refused its module ${refused.module}: the tree has no ${refused.program}`;
    const hint = hintFor(refused.program, family);
    throw new NetkilnError(error.code, text, { output: error.output, hint, detail: error });
  });
}
