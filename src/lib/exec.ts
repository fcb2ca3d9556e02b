import { spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { execa } from "execa";
import { NetkilnError } from "./errors.ts";

export type Argv = readonly [string, ...string[]];
export type OutputStream = "stdout" | "stderr";

export interface RunOptions {
  /** What to call the program in messages, where the first word of the command only wraps it. */
  readonly name?: string;
  readonly cwd?: string;
  /** Added to the minimal environment; the parent's own environment is never passed on. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Called for each line as it comes; with it, only the last lines are kept in the result. */
  readonly onLine?: (line: string, stream: OutputStream) => void;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /**
   * Gives the program this process's own input, output and error output, as an operator's shell needs them; nothing of
   * it is kept. `stderr`: what it prints goes to the error output too, where the output belongs to something else.
   */
  readonly attached?: "stdout" | "stderr";
  /** Exit codes that are not a failure; [0] when not given, "any" to look at the code oneself. */
  readonly okExitCodes?: readonly number[] | "any";
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** What every child gets: a known PATH and a locale that prints the same everywhere. */
const minimalEnvironment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
  TZ: "UTC",
};

/** Programs of ours start in half the time with what Node has compiled before; where it keeps that, it told us. */
function environmentOf(argv: Argv): Readonly<Record<string, string>> {
  const cache = argv.includes(process.execPath) ? getCompileCacheDir() : undefined;
  // Below the folder that it was given, Node has one for each version of itself.
  return cache === undefined ? minimalEnvironment : { ...minimalEnvironment, NODE_COMPILE_CACHE: dirname(cache) };
}

const keptLines = 60;
/** Characters of each output of a program. */
const maxOutput = 100_000_000;

/**
 * Runs a program to its end. The kernel kills it when this process dies (PR_SET_PDEATHSIG through setpriv),
 * so a killed server or worker leaves nothing running.
 * Throws `work_failed` with the last lines that the program printed, when its exit code is not an expected one.
 */
export async function run(argv: Argv, options: RunOptions = {}): Promise<RunResult> {
  const kept: string[] = [];
  const observe = (stream: OutputStream) =>
    function* (line: unknown) {
      const text = String(line);
      kept.push(text);
      if (kept.length > keptLines) kept.shift();
      options.onLine?.(text, stream);
      yield text;
    };
  const streaming = options.onLine !== undefined;
  const result = await execa("setpriv", ["--pdeathsig", "KILL", "--", ...argv], {
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    env: { ...environmentOf(argv), ...options.env },
    extendEnv: false,
    reject: false,
    buffer: !streaming,
    stripFinalNewline: false,
    ...(options.input === undefined ? { stdin: "ignore" } : { input: options.input }),
    ...(streaming && { stdout: observe("stdout"), stderr: observe("stderr") }),
    ...(options.attached !== undefined && {
      stdin: "inherit",
      stdout: options.attached === "stdout" ? 1 : 2,
      stderr: 2,
    }),
    ...(options.signal !== undefined && { cancelSignal: options.signal }),
    ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs }),
    maxBuffer: maxOutput,
    // A sandbox holds back SIGTERM while its command runs; everything we start can be killed at any moment.
    killSignal: "SIGKILL",
  } as const);
  options.signal?.throwIfAborted();
  const name = options.name ?? argv[0];
  const stdout = typeof result.stdout === "string" ? result.stdout : "";
  const stderr = typeof result.stderr === "string" ? result.stderr : "";
  const output = streaming ? kept : `${stdout}\n${stderr}`.split("\n").filter((line) => line !== "");
  if (result.isMaxBuffer) {
    throw new NetkilnError("work_failed", `${name} printed more than ${maxOutput} characters and was ended`);
  }
  if (result.exitCode === undefined && !result.timedOut) {
    throw new NetkilnError("work_failed", `${name} was ended by ${result.signal ?? "an unknown cause"}`, {
      output: output.slice(-keptLines),
      detail: result.message,
    });
  }
  const exitCode = result.exitCode ?? 124;
  const accepted = options.okExitCodes ?? [0];
  if (accepted !== "any" && (result.timedOut || !accepted.includes(exitCode))) {
    const missing = exitCode === 127 && /setpriv: failed to execute/.test(output.join("\n"));
    throw new NetkilnError("work_failed", failureText(name, exitCode, result.timedOut, missing), {
      output: missing ? [] : output.slice(-keptLines),
      hint: missing ? `install the Debian package that provides ${name}` : undefined,
      detail: argv,
    });
  }
  return { exitCode, stdout, stderr, timedOut: result.timedOut };
}

function failureText(name: string, exitCode: number, timedOut: boolean, missing: boolean): string {
  if (missing) return `${name} is not installed on this machine`;
  if (timedOut) return `${name} did not finish in time`;
  return `${name} failed with exit code ${exitCode}`;
}

export type TalkOptions = Pick<RunOptions, "name" | "cwd" | "env" | "signal">;

/** A program that answers each line on its input with a line on its output. */
export interface Talk {
  /** One at a time. Throws `work_failed` with the last lines of its error output when the program has ended. */
  ask(line: string): Promise<string>;
  /** Closes its input and waits until it is gone; one that does not end then is the caller's to abort. */
  end(): Promise<void>;
}

/** Starts a program to talk to, which ends with this process. */
export function talk(argv: Argv, options: TalkOptions = {}): Talk {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...environmentOf(argv), ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(options.signal !== undefined && { signal: options.signal }),
    killSignal: "SIGKILL",
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = `${said}${text}`.slice(-(1 << 16))));
  // What is written to a program that has ended is lost, and its end is told to who asks.
  child.stdin.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => {
    child.on("close", () => resolve());
    // An abort is an error too, and comes before the end of what it kills.
    child.on("error", () => child.pid === undefined && resolve());
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (line) => {
      child.stdin.write(`${line}\n`);
      const { value, done } = (await answers.next()) as { value?: string; done?: boolean };
      options.signal?.throwIfAborted();
      if (done !== true && value !== undefined) return value;
      await closed;
      const name = options.name ?? argv[0];
      const ending = child.exitCode === null ? `was ended by ${child.signalCode}` : `ended with ${child.exitCode}`;
      throw new NetkilnError("work_failed", `${name} ${ending} instead of answering`, {
        output: said.split("\n").filter(Boolean).slice(-keptLines),
      });
    },
    end: async () => {
      child.stdin.end();
      await closed;
    },
  };
}

export interface Spawned {
  readonly pid: number;
  /** Resolves when the program ends; only while this process lives. */
  readonly ended: Promise<{ exitCode: number | null; signal: string | null }>;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a program that goes on beside this process; its output is appended to `logFile`.
 * `dieWithParent: false` lets it outlive this process (a virtual node does, as a real one would).
 */
export function start(
  argv: Argv,
  options: { logFile: string; dieWithParent: boolean; env?: Record<string, string>; cwd?: string },
): Spawned {
  const log = openSync(options.logFile, "a", 0o640);
  const [file, ...args] = options.dieWithParent ? (["setpriv", "--pdeathsig", "KILL", "--", ...argv] as const) : argv;
  const child = spawn(file, args, {
    stdio: ["ignore", log, log],
    detached: !options.dieWithParent,
    env: { ...environmentOf(argv), ...options.env },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  closeSync(log);
  const ended = new Promise<{ exitCode: number | null; signal: string | null }>((resolve) => {
    child.on("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    child.on("error", () => resolve({ exitCode: 127, signal: null }));
  });
  if (!options.dieWithParent) child.unref();
  return { pid: child.pid ?? 0, ended, kill: (signal) => void child.kill(signal) };
}

export interface Streamed {
  /** What it prints, as it comes. The program is killed when nobody reads on. */
  readonly output: Readable;
  /** Resolves when it has ended, with the end of what it said on its error output. */
  readonly ended: Promise<{ exitCode: number | null; stderr: string }>;
}

/** Bytes of the error output that are kept. */
const keptError = 4096;

/** Runs a program whose output may be larger than memory; it is killed with this process, and after `timeoutMs`. */
export function stream(
  argv: Argv,
  options: { input: Buffer; timeoutMs: number; env?: Readonly<Record<string, string>> },
): Streamed {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...argv], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...environmentOf(argv), ...options.env },
    timeout: options.timeoutMs,
    killSignal: "SIGKILL",
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr = (stderr + text).slice(-keptError)));
  // One that ends before it has read everything is told by its exit code.
  child.stdin.on("error", () => undefined).end(options.input);
  child.stdout.on("close", () => {
    if (!child.stdout.readableEnded) child.kill("SIGKILL");
  });
  const ended = new Promise<{ exitCode: number | null; stderr: string }>((resolve) => {
    child.on("close", (exitCode) => resolve({ exitCode, stderr }));
    child.on("error", (error) => resolve({ exitCode: null, stderr: error.message }));
  });
  return { output: child.stdout, ended };
}
