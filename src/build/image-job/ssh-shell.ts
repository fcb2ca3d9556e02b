import { access, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { writeFileAtomic } from "../../lib/files.ts";
import {
  changesByHand,
  handSandbox,
  hasBash,
  keepByHand,
  requireLayers,
  upperOf,
  type HandContext,
  type HandTree,
} from "../hand-layer.ts";
import { runInSandbox, type Sandbox } from "../sandbox/sandbox.ts";
import { authorizedKey, sshdConfig } from "./sshd.ts";

export interface SshShellOptions {
  /** A folder of its own, on the file system of the layers; what is in it from before is gone on with. */
  readonly folder: string;
  readonly jail: boolean;
  readonly publicKey: string;
  readonly address: string;
  readonly ports: { readonly first: number; readonly last: number };
  readonly buildsKernelModules: boolean;
  /** A file to show beside the tree, where it is not jailed. */
  readonly log: string | undefined;
  /** After this nobody has a shell any more. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onListening: (port: number) => Promise<void>;
  /** Somebody has come in, in sshd's words. */
  readonly onLogin: (line: string) => Promise<void>;
}

export interface SshShellResult {
  readonly ended: "complete" | "failed" | "timeout";
  /** What was done, as a layer; none when nothing was, or when it does not count. */
  readonly layer?: string;
}

const sshd = "/usr/sbin/sshd";
const room = fileURLToPath(new URL("../sandbox/ssh-room.sh", import.meta.url));
const completeCode = 0;
const failedCode = 10;

/** Lets the owner of a key into a tree by ssh until they say that they are done; what they did counts when it is complete. */
export async function openSshShell(
  tree: HandTree,
  options: SshShellOptions,
  context: HandContext,
): Promise<SshShellResult> {
  if (!(await exists(sshd))) {
    throw new NetkilnError("work_failed", "sshd is not installed on this machine, so nobody can be let in", {
      hint: "install the Debian package openssh-server",
    });
  }
  const key = authorizedKey(options.publicKey);
  await requireLayers(tree, context);
  const { folder, buildsKernelModules } = options;
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const done = join(folder, "complete");
  if (!(await exists(done))) {
    const sandbox = await handSandbox(tree, folder, { network: true, buildsKernelModules }, context);
    const files = await sshdFiles(folder, key);
    const ended = await listenSomewhere(tree, sandbox, files, options);
    if (ended !== "complete") return { ended };
    await writeFileAtomic(done, "");
  }
  const layer = await layerOf(tree, folder, context);
  return { ended: "complete", ...(layer !== undefined && { layer }) };
}

/** The layer of a shell that is complete, also when the worker died while it was made. */
async function layerOf(tree: HandTree, folder: string, context: HandContext): Promise<string | undefined> {
  const note = join(folder, "layer");
  const kept = await readFile(note, "utf8").catch(() => undefined);
  if (kept !== undefined && !(await exists(upperOf(folder)))) return kept;
  if ((await changesByHand(tree, folder, context)).length === 0) return undefined;
  return keepByHand(tree, folder, context, (diffId) => writeFileAtomic(note, diffId));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function sshdFiles(folder: string, authorizedKeys: string): Promise<string> {
  const files = join(folder, "sshd");
  await mkdir(files, { recursive: true, mode: 0o700 });
  await writeFile(join(files, "authorized_keys"), authorizedKeys, { mode: 0o600 });
  const hostKey = join(files, "host_key");
  if (!(await exists(hostKey))) {
    // Half a key of one that was killed while it was made would never work.
    const made = join(files, "new_key");
    for (const old of [made, `${made}.pub`]) await rm(old, { force: true });
    await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", made]);
    await rename(made, hostKey);
  }
  return files;
}

/** Ports of this process's shells: sshd binds its port a moment after it was looked at. */
const taken = new Set<string>();

async function listenSomewhere(
  tree: HandTree,
  sandbox: Sandbox,
  files: string,
  options: SshShellOptions,
): Promise<SshShellResult["ended"]> {
  const { address, ports } = options;
  for (let port = ports.first; port <= ports.last; port += 1) {
    const place = `${address}:${port}`;
    if (taken.has(place) || !(await isFree(address, port))) continue;
    taken.add(place);
    try {
      const ended = await listen(tree, sandbox, files, port, options);
      if (ended !== "in use") return ended;
    } finally {
      taken.delete(place);
    }
  }
  throw new NetkilnError("work_failed", `no port of ${address} is free, from ${ports.first} to ${ports.last}`, {
    hint: "end jobs that wait for their users, or give image_ssh more ports in the configuration",
  });
}

function isFree(address: string, port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function listen(
  tree: HandTree,
  sandbox: Sandbox,
  files: string,
  port: number,
  options: SshShellOptions,
): Promise<SshShellResult["ended"] | "in use"> {
  const { address, jail, signal, timeoutMs, log = "-" } = options;
  const environment = {
    ...{ SOURCE_DATE_EPOCH: String(tree.epoch), PYTHONDONTWRITEBYTECODE: "1", INITRD: "No", HISTFILE: "/dev/null" },
    DEBIAN_FRONTEND: "noninteractive",
  };
  await writeFile(join(files, "sshd_config"), sshdConfig({ address, port, jail, environment }));
  const shell = !jail || (await hasBash(sandbox)) ? "/bin/bash" : "/bin/sh";
  const stop = new AbortController();
  const said: string[] = [];
  let reports: Promise<void> = Promise.resolve();
  const report = (what: () => Promise<void>) => {
    reports = reports.then(what);
    // A report that fails ends the shell: nobody would ever know of it.
    reports.catch(() => stop.abort(new Error("a report failed")));
  };
  const result = await runInSandbox(
    sandbox,
    { at: "host", argv: ["/bin/sh", room, files, shell, log] },
    {
      ...{ timeoutMs, okExitCodes: "any", signal: AbortSignal.any([signal, stop.signal]) },
      onLine: (line) => {
        if (said.push(line) > 40) said.shift();
        if (line.startsWith("Server listening on ")) report(() => options.onListening(port));
        if (line.startsWith("Accepted publickey ")) report(() => options.onLogin(line));
      },
    },
  ).finally(() => reports);
  if (result.timedOut) return "timeout";
  if (result.exitCode === completeCode) return "complete";
  if (result.exitCode === failedCode) return "failed";
  if (said.some((line) => line.includes("Address already in use"))) return "in use";
  throw new NetkilnError("work_failed", "sshd ended by itself", { output: said });
}
