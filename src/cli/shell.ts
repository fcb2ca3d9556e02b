import { userInfo } from "node:os";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import type { Image } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Config } from "../server/config.ts";
import type { ManualResult } from "../server/shell.ts";
import type { GlobalOptions, OpenSession, Session } from "./command.ts";
import { printJson, type Output } from "./output.ts";
import { followBuild } from "./run-progress.ts";

interface ShellFlags {
  readonly name?: string;
  readonly network?: boolean;
  readonly keep?: boolean;
  readonly discard?: boolean;
  readonly note?: string;
  readonly layer?: string;
}

type Done = NonNullable<ManualResult["shell"]>;

/** Adds `images shell`. */
export function addShell(images: Command, open: OpenSession, environment: NodeJS.ProcessEnv): void {
  const shell = images
    .command("shell <image> [command...]")
    .description("change an image by hand, in a shell, and build an image with the change; needs root")
    .option("--name <name>", "name of the image that is made; without it, that of the image")
    .option("--network", "let the shell reach the network, and with it packages")
    .option("--keep", "keep what was changed without asking, unless the command fails")
    .option("--discard", "throw away what was changed without asking")
    .option("-m, --note <text>", "why, for the image's lineage")
    .option("--layer <id>", "open no shell, and build with a layer that was kept before");
  shell.addHelpText(
    "after",
    "\nOn exit it shows what changed, and asks whether to keep it.\n\nExample:\n  netkiln images shell compute-1.0.0 --name compute-debug\n  netkiln images shell compute-1.0.0 --network --keep -- sh -c 'apt-get update && apt-get install -y gdb'",
  );
  shell.action(async (name: string, command: string[], flags: ShellFlags) => {
    const session = open(shell);
    const config = await localConfig(shell.optsWithGlobals<GlobalOptions>(), environment);
    if (flags.keep === true && flags.discard === true) {
      throw new NetkilnError("invalid_input", "what was changed is kept or thrown away, not both");
    }
    const image = await session.client.get<Image & { deleted?: string }>(`/images/${encodeURIComponent(name)}`);
    if (image.deleted !== undefined) {
      throw new NetkilnError("not_found", `the image "${name}" is deleted`, {
        hint: `netkiln images undelete ${image.id} brings it back`,
      });
    }
    const result = await changeByHand(image, command, flags, { config, environment, output: session.output });
    await report(flags.name ?? image.name, result, session);
  });
}

/** The server's own configuration; a shell stands on its machine, in its data folder. */
async function localConfig(options: GlobalOptions, environment: NodeJS.ProcessEnv): Promise<Config> {
  const { readConfig } = await import("../server/config.ts");
  const config = readConfig(options, environment);
  const server = options.server ?? environment["NETKILN_SERVER"] ?? `unix:${config.socket}`;
  if (server !== `unix:${config.socket}`) {
    throw new NetkilnError("refused", `a shell opens on the server's own machine only, and not by way of ${server}`, {
      hint: "run it there as root, and name the server by its data folder (--data)",
    });
  }
  if (process.getuid?.() !== 0) {
    throw new NetkilnError("refused", "images shell needs root, to mount trees and to make files of any owner");
  }
  return config;
}

interface Surroundings {
  readonly config: Config;
  readonly environment: NodeJS.ProcessEnv;
  readonly output: Output;
}

async function changeByHand(
  image: Image,
  command: readonly string[],
  flags: ShellFlags,
  { config, environment, output }: Surroundings,
): Promise<ManualResult> {
  const { runShell } = await import("../server/shell.ts");
  const isTerminal = process.stdin.isTTY === true && output.terminal;
  const stop = new AbortController();
  // Also when the terminal goes away: what is not kept leaves nothing behind.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stop.abort());
  const keep = async (done: Done) => {
    if (!output.json) printChanges(done, output);
    const asks = isTerminal && flags.keep !== true && flags.discard !== true;
    // Of a shell that somebody types into, the exit code is that of the last command, whatever it was.
    const failed = done.exitCode !== 0 && (!isTerminal || command.length > 0);
    if (asks) return ask("keep this layer? [y/N] ", stop.signal);
    if (failed) throw failure(command, done);
    if (flags.keep !== true && flags.discard !== true) {
      output.warn("nobody can be asked, as this is no terminal, and --keep was not given: the layer is thrown away");
    }
    return flags.keep === true;
  };
  try {
    const result = await runShell(
      config,
      {
        image: image.id,
        name: flags.name ?? image.name,
        by: environment["SUDO_USER"] ?? userInfo().username,
        note: flags.note,
        layer: flags.layer,
      },
      {
        command,
        network: flags.network === true,
        terminal: isTerminal ? (environment["TERM"] ?? "dumb") : undefined,
        attached: output.json ? "stderr" : "stdout",
        signal: stop.signal,
      },
      keep,
    );
    const { shell } = result;
    if (shell?.changes.length === 0 && shell.exitCode !== 0 && !isTerminal) throw failure(command, shell);
    return result;
  } catch (error) {
    if (stop.signal.aborted) throw new NetkilnError("work_failed", "stopped: the layer was thrown away");
    throw error;
  }
}

function failure(command: readonly string[], { exitCode }: Done): NetkilnError {
  const what = command[0] ?? "the shell";
  return new NetkilnError("work_failed", `${what} ended with exit code ${exitCode}: the layer was thrown away`);
}

/** More would only hide them. */
const shownChanges = 20;

function printChanges({ exitCode, changes }: Done, output: Output): void {
  const count = (kind: string) => `${changes.filter((change) => change.kind === kind).length} ${kind}`;
  const counts = ["added", "changed", "removed"].map(count).join(", ");
  output.print(`the shell ended with exit code ${exitCode}; paths: ${counts}`);
  for (const { kind, path } of changes.slice(0, shownChanges)) output.print(`  ${kind.padEnd(7)}  ${path}`);
  const others = changes.length - shownChanges;
  if (others > 0) output.print(`  and ${others} more`);
}

/** Everything but a clear yes is a no. */
async function ask(question: string, signal: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const gone = new AbortController();
  terminal.once("close", () => gone.abort()).once("SIGINT", () => gone.abort());
  try {
    const answer = await terminal.question(question, { signal: AbortSignal.any([signal, gone.signal]) });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    process.stdout.write("\n");
    return false;
  } finally {
    terminal.close();
  }
}

async function report(name: string, { shell, layer, build, image }: ManualResult, session: Session): Promise<void> {
  const { output, client } = session;
  if (output.json) {
    // One object says it all, so the build is followed in silence.
    const quiet = { client, output: { ...output, json: false, print: () => undefined, status: () => undefined } };
    const followed = build && (await followBuild(build, quiet));
    const imageId = image?.id ?? followed?.imageId;
    return printJson(output, { ...shell, layer, build: build?.id, image: imageId });
  }
  if (layer === undefined) {
    if (shell?.changes.length !== 0) return output.print("the layer was thrown away");
    return output.print(`the shell ended with exit code ${shell.exitCode}; nothing changed`);
  }
  output.print(`the layer ${layer} is kept`);
  if (image !== undefined) return output.print(`image ${name}: unchanged (${image.id})`);
  if (build === undefined) return;
  const { imageId } = await followBuild(build, session);
  output.print(`image ${name}: done (${imageId})`);
}
