import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { NetkilnError } from "./errors.ts";

/** `unix:/path/to/socket`, `http://host:port` or `https://host:port`. */
export type ServerAddress = string;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * One request and its whole answer, whatever its status; over a unix socket as well as over TCP.
 * Throws `unreachable` when nobody answers.
 */
export async function sendRequest(
  server: ServerAddress,
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: Buffer | string | undefined } = {},
): Promise<HttpAnswer> {
  const socketPath = server.startsWith("unix:") ? server.slice("unix:".length) : undefined;
  const url = new URL(path, socketPath === undefined ? server : "http://localhost");
  const open = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const request = open(url, { method, headers, ...(socketPath !== undefined && { socketPath }) }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", (error) => reject(unreachable(server, error)));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    request.on("error", (error) => reject(unreachable(server, error)));
    request.end(body);
  });
}

/** What the end of a connection that stood is called (connect(2), send(2)). */
const cutCodes: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);
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
  return new NetkilnError("unreachable", `no netkiln server answers on ${server} (${code ?? error.message})`, {
    hint: server.startsWith("unix:")
      ? "start one with: netkiln serve"
      : "check the address, and that the server is started with --listen",
  });
}
