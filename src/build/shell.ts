import { lstat, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Argv, RunOptions } from "../lib/exec.ts";
import { scaffoldFor } from "./make-layer.ts";
import { normalise } from "./normalise.ts";
import {
  exchangeInTree,
  exchangeOf,
  runInSandbox,
  treeMountPoint,
  treeOf,
  writeScaffold,
  type Sandbox,
  type SandboxCommand,
} from "./sandbox/sandbox.ts";
import { digestLayer } from "./tree/archive.ts";
import { changesIn, type Change } from "./tree/changes.ts";
import { pruneUnchanged } from "./tree/prune.ts";
import { sandboxOf, type BuildContext } from "./work.ts";

export interface ShellOptions {
  /** What runs in the place of a shell; none when empty. */
  readonly command: readonly string[];
  /** Whether it reaches the network, and so packages. */
  readonly network: boolean;
  /** The kind of terminal that this process's own input and output are (TERM); undefined when they are none. */
  readonly terminal: string | undefined;
  /** Where what it prints goes. */
  readonly attached: NonNullable<RunOptions["attached"]>;
  readonly signal: AbortSignal;
}

/** What was done in a shell. */
export interface ShellResult {
  readonly exitCode: number;
  readonly changes: readonly Change[];
}

type Context = Pick<BuildContext, "layers" | "settings" | "blobs">;

/**
 * Runs a shell in a new layer on top of an image, with this process's own input and output, and asks `keep` about what
 * it has changed; it is not asked when that is nothing. Returns the diff ID of the layer that is kept, if one is. Until
 * then all is in a work folder: whatever ends this before leaves no layer.
 */
export async function openShell(
  image: Image,
  options: ShellOptions,
  keep: (result: ShellResult) => Promise<boolean>,
  context: Context,
): Promise<ShellResult & { readonly layer?: string }> {
  await checkLayers(image, context);
  return context.layers.withWorkFolder(async (folder) => {
    const upper = join(folder, "tree");
    await mkdir(upper, { mode: 0o755 });
    const sandbox: Sandbox = {
      ...sandboxOf(image.layers, folder, context),
      changes: { kind: "keep", upper },
      devices: true,
      network: options.network,
    };
    const exitCode = await runShell(image, sandbox, options, context);
    const lower = lowerOf(image.layers, context);
    await removeHistories(upper);
    await normalise(upper, image.epoch, false);
    await pruneUnchanged(upper, lower);
    const changes = await changesIn(upper, lower);
    const result = { exitCode, changes };
    if (changes.length === 0 || !(await keep(result))) return result;
    const { diffId } = await digestLayer(upper, lower);
    options.signal.throwIfAborted();
    await context.layers.commit(upper, diffId);
    return { ...result, layer: diffId };
  });
}

/** Throws unless a layer is kept here that belongs on top of the image. */
export async function checkLayer(layer: string, image: Image, context: Pick<Context, "layers">): Promise<void> {
  const { layers } = context;
  if (!/^[0-9a-f]{64}$/.test(layer) || !(await layers.has(layer))) {
    throw new NetkilnError("not_found", `no layer ${layer} is kept here`);
  }
  const { diffId } = await digestLayer(join(layers.root, layer), lowerOf(image.layers, context));
  if (diffId === layer) return;
  // What the archive says is gone depends on what is below.
  throw new NetkilnError("invalid_input", `the layer ${layer} was not made on top of the image ${image.name}`);
}

function lowerOf(layers: readonly string[], { layers: { root, empty } }: Pick<Context, "layers">): string[] {
  return [...layers, empty].map((layer) => join(root, layer));
}

async function checkLayers(image: Image, { layers }: Context): Promise<void> {
  for (const layer of image.layers) {
    if (await layers.has(layer)) continue;
    throw new NetkilnError("not_found", `the layer ${layer} of the image ${image.name} is not here`, {
      hint: `build the image again: netkiln builds start ${image.name}`,
    });
  }
}

/** Returns the exit code of the shell, whatever it is. */
async function runShell(image: Image, sandbox: Sandbox, options: ShellOptions, context: Context): Promise<number> {
  const { network, terminal, attached, signal } = options;
  const lent = join(sandbox.work, "scaffold");
  const lower = lowerOf(image.layers, context);
  const nothing = { aptSources: [], aptOptions: [], resolvConf: undefined };
  await writeScaffold(lent, network ? await scaffoldFor(image.packageSource, context) : nothing, lower);
  await mkdir(exchangeOf(sandbox));
  await writeFile(join(exchangeOf(sandbox), "shellrc"), startFile(image.name));
  const scaffolded: Sandbox = { ...sandbox, lower: [lent, ...sandbox.lower] };
  // A tree that cannot be mounted fails here, where what is said about it is not the operator's own output.
  await runInSandbox(scaffolded, { at: "host", argv: ["true"] }, { signal });
  const { exitCode } = await runInSandbox(scaffolded, await shellCommand(sandbox, options), {
    ...{ attached, signal },
    okExitCodes: "any",
    env: {
      SOURCE_DATE_EPOCH: String(image.epoch),
      PYTHONDONTWRITEBYTECODE: "1",
      INITRD: "No",
      HISTFILE: "/dev/null",
      ...(terminal !== undefined && { TERM: terminal, ENV: startFileInTree }),
    },
  });
  return exitCode;
}

const startFileInTree = `${exchangeInTree}/shellrc`;

/** What a shell reads when it starts: the prompt says where one is, and what is typed is written down nowhere. */
function startFile(image: string): string {
  const name = image.replaceAll(/[^A-Za-z0-9._:@+-]/g, "_");
  return `[ ! -r /etc/profile ] || . /etc/profile
PS1='netkiln(${name}):$PWD# '
unset HISTFILE
`;
}

/**
 * On a terminal the shell gets one of its own, by script(1): it leads a session there, so that its job control works
 * in its PID namespace, and it cannot write into the input of the operator's terminal.
 */
async function shellCommand(sandbox: Sandbox, { command, terminal }: ShellOptions): Promise<SandboxCommand> {
  const [first, ...others] = command;
  if (terminal === undefined) {
    return { at: "tree", argv: first === undefined ? ["/bin/sh", "-l"] : [first, ...others] };
  }
  const tree = treeOf(sandbox);
  const hasBash = (await tree.topmost("usr/bin/bash")) !== undefined || (await tree.topmost("bin/bash")) !== undefined;
  const shell: Argv = hasBash ? ["/bin/bash", "--rcfile", startFileInTree, "-i"] : ["/bin/sh", "-i"];
  const line = quoted(["chroot", treeMountPoint, ...(first === undefined ? shell : command)]);
  return { at: "host", argv: ["script", "--quiet", "--return", "--command", `exec ${line}`, "/dev/null"] };
}

/** Words as one line for sh, as script(1) wants its command. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

/** Files in which programs write down what was typed. */
const histories: ReadonlySet<string> = new Set([
  ...[".bash_history", ".sh_history", ".ash_history", ".zsh_history", ".history"],
  ...[".python_history", ".lesshst", ".viminfo", ".mysql_history", ".psql_history", ".sqlite_history"],
]);

/** Only those of the layer: what the image has stays as it is there. */
export async function removeHistories(upper: string): Promise<void> {
  const users = await readdir(join(upper, "home")).catch(() => []);
  for (const home of ["", "root", ...users.map((user) => join("home", user))]) {
    for (const name of await readdir(join(upper, home)).catch(() => [])) {
      if (!histories.has(name)) continue;
      const file = join(upper, home, name);
      if ((await lstat(file)).isFile()) await rm(file);
    }
  }
}
