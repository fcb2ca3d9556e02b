import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Image } from "../../image/index.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { runInSandbox, treeMountPoint, type Sandbox, type SandboxCommand } from "../sandbox/sandbox.ts";
import { findKernel } from "./kernel.ts";
import type { Trace } from "./reuse.ts";
import { readTrace } from "./trace.ts";

/** What a root that comes over HTTP needs; a recipe can add modules. */
const defaultModules = ["base", "network-legacy", "livenet", "netkiln"];

export interface MadeInitrd {
  /** Path of the file. */
  readonly file: string;
  /** What dracut looked at, with no links in the paths; undefined when it was not traced. */
  readonly looks: Pick<Trace, "paths" | "folders"> | undefined;
}

/**
 * Makes the initrd with the tree's own dracut, for any machine and not for the one that builds. It is traced where
 * strace is there: tracing doubles its few seconds, and saves them whenever nothing has changed that it looked at.
 */
export async function makeInitrd(
  sandbox: Sandbox,
  image: Pick<Image, "initrd" | "epoch">,
  traced: boolean,
  options: RunOptions,
): Promise<MadeInitrd> {
  const version = await findKernel(sandbox, options.signal);
  const exchange = join(sandbox.work, "exchange");
  const { modules: added = [], omit = [], drivers = [] } = image.initrd ?? {};
  const modules = [...new Set([...defaultModules, ...added])];
  // dracut takes its configuration from here alone: what is in the tree is the booted system's.
  const configuration = join(exchange, "dracut.conf.d");
  await mkdir(configuration, { recursive: true });
  const argv = [
    ...["dracut", "--force", "--conf", "/dev/null", "--confdir", "/run/netkiln/dracut.conf.d"],
    ...["--no-hostonly", "--no-hostonly-cmdline", "--no-early-microcode"],
    ...["--reproducible", "--nostrip", "--tmpdir", "/tmp"],
    ...["--compress", "zstd -3 -T0 -q"],
    // This list with what it depends on, and nothing else: what a module would do on its own is not wanted twice.
    ...["--modules", modules.join(" ")],
    ...(omit.length === 0 ? [] : ["--omit", omit.join(" ")]),
    ...(drivers.length === 0 ? [] : ["--add-drivers", drivers.join(" ")]),
    ...["--kver", version],
    "/run/netkiln/initrd",
  ] as const;
  const log = join(sandbox.work, "strace.log");
  const tracer = ["--seccomp-bpf", "-f", "-qq", "-y", "-e", "trace=%file", "-e", "signal=none", "-o", log];
  const command: SandboxCommand = traced
    ? { at: "host", argv: ["strace", ...tracer, "chroot", treeMountPoint, ...argv] }
    : { at: "tree", argv };
  await runInSandbox({ ...sandbox, changes: { kind: "scratch" }, devices: true }, command, {
    ...options,
    name: "dracut",
    env: { SOURCE_DATE_EPOCH: String(image.epoch) },
  });
  const file = join(exchange, "initrd");
  if (!traced) return { file, looks: undefined };
  const { paths, folders } = readTrace(await readFile(log, "utf8"), treeMountPoint);
  // How the kernel's version was found, which is a look into the tree as well.
  const kernels = "/usr/lib/modules";
  const resolve = (all: Iterable<string>) => resolveLinks([...all, kernels], sandbox, options.signal);
  return { file, looks: { paths: await resolve(paths), folders: await resolve(folders) } };
}

const resolver = fileURLToPath(new URL("../inside/resolve-links.ts", import.meta.url));

async function resolveLinks(
  paths: readonly string[],
  sandbox: Sandbox,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const command: SandboxCommand = { at: "host", argv: [process.execPath, resolver] };
  const { stdout } = await runInSandbox(sandbox, command, { input: JSON.stringify(paths), signal });
  return JSON.parse(stdout) as string[];
}
