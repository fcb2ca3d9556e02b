/** Starts the real netkiln on a data folder of its own, for tests that use it as an operator does. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from "node:fs/promises";
import { join } from "node:path";
import { once } from "node:events";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { send, type HttpResult } from "./send.ts";

const program = fileURLToPath(new URL("../../bin/netkiln", import.meta.url));
const readySeconds = 90;
const stopSeconds = 60;
/** Longer than any command of a test may take: one that hangs fails its test instead of holding all of them. */
const commandSeconds = 900;

export interface CliResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
}

export interface TestServer {
  readonly data: string;
  readonly pid: number;
  /** `http://ADDRESS:PORT` */
  readonly nodeDoor: string;
  /** `http://ADDRESS:PORT` or `https://…`, when it was started with --listen. */
  readonly admin: string | undefined;
  /** Runs the real bin/netkiln against this server. */
  cli(...args: string[]): Promise<CliResult>;
  /** The same, with --json: expects success and returns what was printed. */
  json<T>(...args: string[]): Promise<T>;
  /** A request to the administrators' unix socket, as any HTTP client would make it. */
  http(method: string, path: string, content?: { type: string; body: Buffer | string }): Promise<HttpResult>;
  /** What the server itself has printed so far. */
  said(): string;
  /** Tells it to read again what it can read while it runs, as a service manager does. */
  hangUp(): void;
  /** Stops it as a service manager does, and makes sure that it leaves nothing behind but its data. */
  stop(): Promise<void>;
  /** Kills it as a power cut does; the data stay, and startServer({ data }) goes on with them. */
  kill9(): Promise<void>;
}

export interface ServerOptions {
  /** An existing data folder to go on with; without it, a fresh one that stop() removes. */
  readonly data?: string;
  /** More arguments of `netkiln serve`. */
  readonly args?: readonly string[];
  /** Where `cli` runs. */
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** A process in whose mount namespace the server runs. */
  readonly within?: number;
}

const folders = new Set<string>();
process.on("exit", () => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/**
 * A folder with a short path, as a unix socket's address holds only 107 bytes, and not on a tmpfs. It is gone with this
 * process at the latest.
 */
export async function makeFolder(): Promise<string> {
  const folder = await mkdtemp("/var/tmp/nk-");
  folders.add(folder);
  return folder;
}

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const data = options.data ?? (await makeFolder());
  const argv = ["serve", "--data", data, "--node-door", "127.0.0.1:0", ...(options.args ?? [])];
  const environment = { ...baseEnvironment, NETKILN_DATA: data, ...options.environment };
  const [file, words] = launched(argv, data, options.within);
  const server = spawn(file, words, { env: environment, cwd: data, stdio: ["ignore", "pipe", "pipe"] });
  const log = createWriteStream(join(data, "server.log"), { flags: "a" });
  log.on("error", () => undefined);
  let said = "";
  for (const stream of [server.stdout, server.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
      log.write(text);
    });
  }
  await waitUntil(readySeconds, () => server.exitCode !== null || /worker {10}/.test(said));
  if (server.exitCode !== null) throw new Error(`netkiln serve ended with ${server.exitCode}:\n${said}`);

  const cli = (...args: string[]) =>
    runCli(args, { cwd: options.cwd ?? data, environment: { NETKILN_DATA: data, ...options.environment } });
  return {
    data,
    pid: server.pid ?? 0,
    nodeDoor: /node door {7}(\S+)/.exec(said)?.[1] ?? "",
    admin: /and (https?:\S+) \(with a token\)/.exec(said)?.[1],
    cli,
    json: async <T>(...args: string[]) => {
      const { exitCode, stdout, stderr } = await cli("--json", ...args);
      assert.equal(exitCode, 0, `netkiln --json ${args.join(" ")}: ${stderr}`);
      return JSON.parse(stdout) as T;
    },
    http: (method, path, content) =>
      send({ socketPath: join(data, "netkiln.sock") }, method, path, {
        body: content?.body,
        ...(content !== undefined && { headers: { "content-type": content.type } }),
      }),
    said: () => said,
    hangUp: () => void server.kill("SIGHUP"),
    stop: async () => {
      server.kill("SIGTERM");
      await ended(server, said);
      await finished(log.end()).catch(() => undefined);
      assert.equal(server.exitCode, 0, `the server stops in order:\n${said}`);
      await assertNothingLeft(data);
      if (options.data === undefined) await rm(data, { recursive: true });
    },
    kill9: async () => {
      server.kill("SIGKILL");
      await ended(server, said);
      await finished(log.end()).catch(() => undefined);
      await waitUntil(stopSeconds, async () => (await processesOf(data)).length === 0);
    },
  };
}

/** How netkiln is started, maybe in the mount namespace of a process; the pid is its own in any case. */
function launched(argv: string[], cwd: string, within: number | undefined): readonly [file: string, words: string[]] {
  if (within === undefined) return [program, argv];
  // Who enters stands in the root of the namespace.
  const enter = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "within", cwd];
  return ["nsenter", [`--mount=/proc/${within}/ns/mnt`, ...enter, program, ...argv]];
}

/** One more worker beside the server's own. */
export function startWorker(data: string, environment: Readonly<Record<string, string>>): { stop(): Promise<void> } {
  const worker = spawn(program, ["worker", "--data", data], {
    env: { ...baseEnvironment, ...environment },
    stdio: "ignore",
  });
  return {
    stop: async () => {
      worker.kill("SIGTERM");
      await ended(worker, "the second worker");
      assert.equal(worker.exitCode, 0, "the worker stops in order");
    },
  };
}

/** A third of what a command takes is reading its own source; what Node makes of that is kept between commands. */
const compileCache = mkdtempSync("/var/tmp/nk-cache-");
process.on("exit", () => rmSync(compileCache, { recursive: true, force: true }));

const baseEnvironment = {
  PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  NODE_COMPILE_CACHE: compileCache,
};

/** Runs bin/netkiln with nothing of this process's own NETKILN_ settings. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = spawn(program, args, {
    env: { ...baseEnvironment, ...options.environment },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    timeout: commandSeconds * 1000,
    killSignal: "SIGKILL",
  });
  child.stdin?.end(options.input);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [exitCode] = (await once(child, "close")) as [number | null];
  return { exitCode: exitCode ?? -1, stdout, stderr };
}

/** What a stopped server may not leave: processes, mounts, and half-made trees. */
export async function assertNothingLeft(data: string): Promise<void> {
  assert.deepEqual(await processesOf(data), [], "no process of the server is left");
  await assertNoWorkLeft(data);
}

/** What no build may leave once it has ended: mounts, and half-made trees. */
export async function assertNoWorkLeft(data: string): Promise<void> {
  assert.deepEqual(await mountsBelow(data), [], "nothing is mounted below the data folder");
  const left = await readdir(join(data, "work"), { recursive: true }).catch(() => []);
  // Each process has a folder of its own, which stays; what counts is what is in it.
  assert.deepEqual(
    left.filter((path) => path.includes("/")),
    [],
    "no work folder is left",
  );
}

/** Command lines of processes that have to do with a folder: it is in their arguments, or they stand in it. */
export async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).replaceAll("\0", " ").trim();
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (command.includes(folder) || cwd === folder || cwd.startsWith(`${folder}/`)) found.push(`${pid} ${command}`);
  }
  return found;
}

/** Mount points strictly below a folder, in the mount namespace of a process; in this one's when not given. */
export async function mountsBelow(folder: string, within: number | "self" = "self"): Promise<string[]> {
  const lines = (await readFile(`/proc/${within}/mountinfo`, "utf8")).split("\n");
  return lines.map((line) => line.split(" ")[4] ?? "").filter((path) => path.startsWith(`${folder}/`));
}

/** Every file below a folder with its size and time: equal before and after means that nothing was touched. */
export async function listing(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const lines = await Promise.all(
    names.sort().map(async (name) => {
      const found = await lstat(join(folder, name)).catch(() => undefined);
      return found === undefined || found.isDirectory() ? name : `${name} ${found.size} ${found.mtimeMs}`;
    }),
  );
  return lines;
}

export async function waitUntil(seconds: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`still not so after ${seconds} s: ${isSo.toString()}`);
    await sleep(50);
  }
}

async function ended(child: ChildProcess, said: string): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const late = AbortSignal.timeout(stopSeconds * 1000);
  await once(child, "exit", { signal: late }).catch(() => {
    throw new Error(`the server does not stop:\n${said}`);
  });
}
