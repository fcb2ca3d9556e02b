import { createHash } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";
import { clock } from "./clock.ts";
import { NetkilnError } from "./errors.ts";
import { createFile } from "./files.ts";

/** `unix:/path/to/socket`, `http://host:port` or `https://host:port`. */
export type ServerAddress = string;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | Readable | undefined;
  /** Certificates in PEM that a server's has to come from, instead of those that everybody trusts. */
  readonly ca?: string | undefined;
}

/**
 * One request and its whole answer, whatever its status; over a unix socket as well as over TCP. A body that is a
 * stream is sent as it comes, and no further when the server has answered before its end.
 * Throws `unreachable` when nobody answers.
 */
export async function sendRequest(
  server: ServerAddress,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<HttpAnswer> {
  const { body } = options;
  const { response, request } = await startRequest(server, method, path, options);
  if (body instanceof Readable) body.destroy();
  const answer = await wholeAnswer(response, server);
  // A connection with half a request on it serves no other one.
  if (!request.writableEnded) request.destroy();
  return answer;
}

/**
 * Asks for something of any size and writes it to a file as it comes, under a temporary name until all of it is there.
 * An answer other than 200 is returned instead.
 */
export async function receiveFile(
  server: ServerAddress,
  path: string,
  file: string,
  options: Pick<RequestOptions, "headers" | "ca">,
): Promise<HttpAnswer | undefined> {
  const { response } = await startRequest(server, "GET", path, options);
  if (response.statusCode !== 200) return wholeAnswer(response, server);
  const temporary = `${file}.${clock.randomHex(6)}.tmp`;
  try {
    await pipeline(response, await createFile(temporary));
    await rename(temporary, file);
  } catch (error) {
    if (wasLost(error)) throw unreachable(server, error as Error);
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  return undefined;
}

function wasLost(error: unknown): boolean {
  const { code = "" } = error as NodeJS.ErrnoException;
  return cutCodes.has(code) || code === "ERR_STREAM_PREMATURE_CLOSE";
}

async function wholeAnswer(response: IncomingMessage, server: ServerAddress): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw unreachable(server, error as Error);
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

function startRequest(
  server: ServerAddress,
  method: string,
  path: string,
  { headers = {}, body, ca }: RequestOptions,
): Promise<{ response: IncomingMessage; request: ClientRequest }> {
  const socketPath = server.startsWith("unix:") ? server.slice("unix:".length) : undefined;
  const url = new URL(path, socketPath === undefined ? server : "http://localhost");
  // Imported as a module, node:http gives all that it exports, and with that it loads fetch: 25 ms of each command.
  const { request: open } = process.getBuiltinModule(url.protocol === "https:" ? "node:https" : "node:http");
  return new Promise((resolve, reject) => {
    const to = { ...(socketPath !== undefined && { socketPath }), ...(ca !== undefined && { ca }) };
    const request = open(url, { method, headers, ...to }, (response) => resolve({ response, request }));
    request.on("error", (error) => reject(unreachable(server, error)));
    if (body instanceof Readable) {
      body.on("error", (error) => {
        reject(error);
        request.destroy();
      });
      body.pipe(request);
    } else request.end(body);
  });
}

/**
 * Fetches a URL into a file that does not exist yet, whatever its size; nothing is left of it when that fails.
 * Throws `work_failed` when the server does not answer, answers with an error, or stops midway.
 */
export async function downloadFile(
  url: string,
  file: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<{ sha256: string; size: number }> {
  const sha256 = createHash("sha256");
  let size = 0;
  let expected: number | undefined;
  try {
    const answer = await fetch(url, { redirect: "follow", ...(signal !== undefined && { signal }) });
    if (!answer.ok || answer.body === null) {
      await answer.body?.cancel();
      throw new NetkilnError("work_failed", `${url} cannot be fetched: the server answered ${answer.status}`);
    }
    // With a content coding the length is that of what was sent, not of what is read here.
    const length = answer.headers.get("content-encoding") === null ? answer.headers.get("content-length") : null;
    expected = length === null ? undefined : Number(length);
    const count = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        sha256.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    };
    await pipeline(Readable.fromWeb(answer.body as ReadableStream), count, await createFile(file));
    return { sha256: sha256.digest("hex"), size };
  } catch (error) {
    await rm(file, { force: true });
    signal?.throwIfAborted();
    const { code, cause } = error as NodeJS.ErrnoException & { cause?: NodeJS.ErrnoException };
    if (error instanceof NetkilnError || code === "ENOSPC") throw error;
    const reason = cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error));
    const after = size === 0 ? "" : ` after ${size} bytes${expected === undefined ? "" : ` of ${expected}`}`;
    throw new NetkilnError("work_failed", `${url} cannot be fetched: the connection ended${after} (${reason})`, {
      hint: "check the address, and try again when its server is well",
    });
  }
}

/** What the end of a connection that stood is called (connect(2), send(2)). */
const cutCodes: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);
/** What is wrong with a server's certificate (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const untrusted: ReadonlySet<string> = new Set([
  ...["DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
  ...["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "CERT_HAS_EXPIRED", "ERR_TLS_CERT_ALTNAME_INVALID"],
]);
const cut = Symbol("the connection was cut");

/** Whether a request reached a server that then went away, so that nobody knows what has become of it. */
export function wasCut(error: unknown): boolean {
  return error instanceof NetkilnError && error.detail === cut;
}

function unreachable(server: ServerAddress, error: Error): NetkilnError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EACCES") {
    return new NetkilnError("unreachable", `no permission to talk to the server on ${server}`, {
      hint: "run as root, or use --server https://HOST:PORT with a token",
    });
  }
  if (code !== undefined && cutCodes.has(code)) {
    return new NetkilnError("unreachable", `the server on ${server} went away before it answered (${code})`, {
      hint: "run the same again when it is back: what it had taken on goes on, and is not done twice",
      detail: cut,
    });
  }
  if (code !== undefined && untrusted.has(code)) {
    return new NetkilnError("unreachable", `the certificate of the server on ${server} is not trusted (${code})`, {
      hint: "give the authority's certificate with --cacert; on the server's host, netkiln certificate show names it",
    });
  }
  return new NetkilnError("unreachable", `no netkiln server answers on ${server} (${code ?? error.message})`, {
    hint: server.startsWith("unix:")
      ? "start one with: netkiln serve"
      : "check the address, and that the server is started with --listen",
  });
}
