import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Argv, RunOptions } from "../lib/exec.ts";
import {
  changesByHand,
  handSandbox,
  hasBash,
  keepByHand,
  lowerOf,
  requireLayers,
  type HandContext,
} from "./hand-layer.ts";
import {
  exchangeInTree,
  exchangeOf,
  runInSandbox,
  treeMountPoint,
  type Sandbox,
  type SandboxCommand,
} from "./sandbox/sandbox.ts";
import { digestLayer } from "./tree/archive.ts";
import type { Change } from "./tree/changes.ts";

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

/**
 * Runs a shell in a new layer on top of an image, with this process's own input and output, and asks `keep` about what
 * it has changed; it is not asked when that is nothing. Returns the diff ID of the layer that is kept, if one is. Until
 * then all is in a work folder: whatever ends this before leaves no layer.
 */
export async function openShell(
  image: Image,
  options: ShellOptions,
  keep: (result: ShellResult) => Promise<boolean>,
  context: HandContext,
): Promise<ShellResult & { readonly layer?: string }> {
  await requireLayers(image, context);
  return context.layers.withWorkFolder(async (folder) => {
    const more = { network: options.network, buildsKernelModules: false };
    const sandbox = await handSandbox(image, folder, more, context);
    const exitCode = await runShell(image, sandbox, options);
    const changes = await changesByHand(image, folder, context);
    const result = { exitCode, changes };
    if (changes.length === 0 || !(await keep(result))) return result;
    const { signal } = options;
    return { ...result, layer: await keepByHand(image, folder, context, async () => signal.throwIfAborted()) };
  });
}

/** Throws unless a layer is kept here that belongs on top of the image. */
export async function checkLayer(layer: string, image: Image, context: Pick<HandContext, "layers">): Promise<void> {
  const { layers } = context;
  if (!/^[0-9a-f]{64}$/.test(layer) || !(await layers.has(layer))) {
    throw new NetkilnError("not_found", `no layer ${layer} is kept here`);
  }
  const { diffId } = await digestLayer(join(layers.root, layer), lowerOf(image, context));
  if (diffId === layer) return;
  // What the archive says is gone depends on what is below.
  throw new NetkilnError("invalid_input", `the layer ${layer} was not made on top of the image ${image.name}`);
}

/** Returns the exit code of the shell, whatever it is. */
async function runShell(image: Image, sandbox: Sandbox, options: ShellOptions): Promise<number> {
  const { terminal, attached, signal } = options;
  await writeFile(join(exchangeOf(sandbox), "shellrc"), startFile(image.name));
  // A tree that cannot be mounted fails here, where what is said about it is not the operator's own output.
  await runInSandbox(sandbox, { at: "host", argv: ["true"] }, { signal });
  const { exitCode } = await runInSandbox(sandbox, await shellCommand(sandbox, options), {
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
  const shell: Argv = (await hasBash(sandbox)) ? ["/bin/bash", "--rcfile", startFileInTree, "-i"] : ["/bin/sh", "-i"];
  const line = quoted(["chroot", treeMountPoint, ...(first === undefined ? shell : command)]);
  return { at: "host", argv: ["script", "--quiet", "--return", "--command", `exec ${line}`, "/dev/null"] };
}

/** Words as one line for sh, as script(1) wants its command. */
export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
