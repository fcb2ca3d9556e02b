import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { NetkilnError } from "../../../lib/errors.ts";
import type { Digests } from "../../../lib/files.ts";
import type { Stretch } from "./place-contents.ts";

/** A file, and what it is put together of, in that order. */
export interface FileParts {
  /** May not be there yet. */
  readonly output: string;
  readonly parts: readonly Stretch[];
}

/** What one thread does: it digests the parts and, where there is an output, writes them into it. */
export interface Task {
  readonly parts: readonly Stretch[];
  readonly algorithm: "sha256" | "md5";
  readonly output?: string;
}

interface Done {
  /** Lower-case hexadecimal. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** What the thread answers. */
export type Answer =
  | Done
  /** `code`: of the operating system, where it is its error. */
  | { readonly problem: string; readonly code?: string };

/** Bytes; to write less takes no longer than to start a thread. */
const smallFile = 8 << 20;
const copiedAtOnce = 4 << 20;

/**
 * Writes a file out of its parts, in threads of its own where it is large: who waits for it has other things to do. One
 * writes; md5 takes as long as that and all else together, so that another one reads the parts for it.
 * Throws `internal` when a file that a part is from ends before it.
 */
export async function writeParts({ output, parts }: FileParts, signal?: AbortSignal): Promise<Digests> {
  signal?.throwIfAborted();
  const total = parts.reduce((sum, part) => sum + ("bytes" in part ? part.bytes.length : part.length), 0);
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const does = total <= smallFile ? doTask : doInThread;
  const tasks = [
    does({ parts, algorithm: "sha256", output }, either),
    does({ parts, algorithm: "md5" }, either),
  ] as const;
  try {
    const [{ digest: sha256, size }, { digest: md5 }] = await Promise.all(tasks);
    return { sha256, md5, size };
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(tasks);
    throw error;
  }
}

/** Threads without a task. To start one takes as long as to digest some 20 MB, and the next image needs them again. */
const idle: Worker[] = [];
const mostIdle = 2;

function startThread(): Worker {
  const worker = new Worker(new URL("write-worker.ts", import.meta.url));
  // One that dies while it has nothing to do is not used again.
  const forget = () => {
    if (idle.includes(worker)) idle.splice(idle.indexOf(worker), 1);
  };
  return worker.on("error", forget).on("exit", forget);
}

async function doInThread(task: Task, signal: AbortSignal): Promise<Done> {
  const worker = idle.pop() ?? startThread();
  const { promise, resolve, reject } = Promise.withResolvers<Done>();
  const take = (answer: Answer) => ("digest" in answer ? resolve(answer) : reject(errorOf(answer)));
  const stop = () => reject(signal.reason);
  worker.on("message", take).on("error", reject).ref();
  signal.addEventListener("abort", stop, { once: true });
  worker.postMessage(task, []);
  try {
    const done = await promise;
    // For the next one; it does not hold up the end of this process.
    worker.off("message", take).off("error", reject).unref();
    if (idle.length < mostIdle) idle.push(worker);
    else await worker.terminate();
    return done;
  } catch (error) {
    await worker.terminate();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

function errorOf({ problem, code }: { readonly problem: string; readonly code?: string }): Error {
  return code === undefined ? new NetkilnError("internal", problem) : Object.assign(new Error(problem), { code });
}

/** The same in this thread. */
export async function doTask({ parts, algorithm, output }: Task): Promise<Done> {
  const hash = createHash(algorithm);
  let size = 0;
  const file = output === undefined ? undefined : await openOutput(output);
  try {
    await readAll(parts, async (chunk) => {
      hash.update(chunk);
      await file?.write(chunk);
      size += chunk.length;
    });
  } finally {
    await file?.close();
  }
  return { digest: hash.digest("hex"), size };
}

/** Bytes between two requests to the disk. */
const flushedAtOnce = 16 << 20;

/** A new file that goes to the disk while it is written: who keeps it waits until it is there. */
async function openOutput(path: string) {
  const file = await open(path, "wx");
  let unflushed = 0;
  let idle = true;
  let flushing = Promise.resolve();
  const flush = async () => {
    idle = false;
    await file.datasync();
    idle = true;
  };
  return {
    write: async (chunk: Uint8Array) => {
      for (let done = 0; done < chunk.length;) done += (await file.write(chunk, done)).bytesWritten;
      unflushed += chunk.length;
      if (unflushed < flushedAtOnce || !idle) return;
      unflushed = 0;
      flushing = flush();
      flushing.catch(() => undefined);
    },
    /** Throws what the disk said, which tells it once: who syncs the file later would not hear of it. */
    close: async () => {
      try {
        await flushing;
      } finally {
        await file.close();
      }
    },
  };
}

/** Pieces small enough to be read at once. */
function piecesOf(parts: readonly Stretch[]): Stretch[] {
  return parts.flatMap((part): Stretch[] => {
    if ("bytes" in part) return [part];
    const { file, start, length } = part;
    return Array.from({ length: Math.ceil(length / copiedAtOnce) }, (_, number) => {
      const from = number * copiedAtOnce;
      return { file, start: start + from, length: Math.min(copiedAtOnce, length - from) };
    });
  });
}

/** Reads the next piece while `take` has one. */
async function readAll(parts: readonly Stretch[], take: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  const buffers = [Buffer.allocUnsafe(copiedAtOnce), Buffer.allocUnsafe(copiedAtOnce)] as const;
  const handles = new Map<string, Promise<FileHandle>>();
  const read = async (part: Stretch, buffer: Buffer): Promise<Uint8Array> => {
    if ("bytes" in part) return part.bytes;
    const { file, start, length } = part;
    const opening = handles.get(file) ?? open(file, "r");
    handles.set(file, opening);
    const handle = await opening;
    for (let done = 0; done < length;) {
      const { bytesRead } = await handle.read(buffer, done, length - done, start + done);
      if (bytesRead === 0) throw new NetkilnError("internal", `${file} ends before its content`);
      done += bytesRead;
    }
    return buffer.subarray(0, length);
  };
  let reading: Promise<Uint8Array> | undefined;
  try {
    for (const [index, piece] of piecesOf(parts).entries()) {
      const next = read(piece, buffers[index % 2 === 0 ? 0 : 1]);
      // Whatever becomes of the one before, this one's failure is told when it is waited for.
      next.catch(() => undefined);
      const last = reading;
      reading = next;
      if (last !== undefined) await take(await last);
    }
    if (reading !== undefined) await take(await reading);
  } finally {
    await reading?.catch(() => undefined);
    for (const opened of await Promise.allSettled(handles.values())) {
      if (opened.status === "fulfilled") await opened.value.close();
    }
  }
}
