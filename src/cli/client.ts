import { createReadStream } from "node:fs";
import { Transform } from "node:stream";
import { fromErrorRecord, NetkilnError, type ErrorRecord } from "../lib/errors.ts";
import { receiveFile, sendRequest, type HttpAnswer, type ServerAddress } from "../lib/http.ts";

export interface Client {
  get<T>(path: string, query?: Query): Promise<T>;
  /** Every item of a list, page by page. */
  all<T>(path: string, query?: Query): AsyncGenerator<T>;
  send<T>(method: "POST" | "PUT" | "DELETE", path: string, body?: unknown): Promise<T>;
  upload<T>(path: string, type: string, bytes: Buffer): Promise<T>;
  /** Sends a file of any size as it is read; `onProgress` gets the bytes sent so far. */
  uploadFile<T>(path: string, file: string, options: UploadOptions): Promise<T>;
  /** Writes an answer of any size to a file, which is there wholly or not at all. */
  download(path: string, file: string): Promise<void>;
  raw(path: string, query?: Query): Promise<HttpAnswer>;
  /** Gets tokens for a person's account. */
  login(username: string, password: string): Promise<{ readonly access_token: string }>;
}

export interface UploadOptions {
  /** Of all of the file; the server refuses what comes out different. */
  readonly sha256: string;
  readonly size: number;
  readonly onProgress?: (sent: number) => void;
}

type Query = Readonly<Record<string, string | number | undefined>>;

/** Reads of this size cost half the processor time of Node's 64 KiB default. */
const uploadChunk = 256 * 1024;

const prefix = "/apis/netkiln/v1";
const tokenPath = "/keycloak/realms/shasta/protocol/openid-connect/token";

/** Where the server is, asked for when something is sent to it. */
export type FindServer = () => Promise<ServerAddress>;

/** Talks to a server; a problem that it answers with is thrown as the error that it was. */
export function openClient(server: ServerAddress | FindServer, token: string | undefined, ca?: string): Client {
  let found: Promise<ServerAddress> | undefined;
  const address = () => (found ??= typeof server === "string" ? Promise.resolve(server) : server());
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const call = async (method: string, path: string, content?: { type: string; body: Buffer | string }) => {
    const headers = { ...authorization, ...(content !== undefined && { "content-type": content.type }) };
    const answer = await sendRequest(await address(), method, `${prefix}${path}`, { headers, body: content?.body, ca });
    if (answer.status >= 400) throw toError(answer, path);
    return answer;
  };
  const sendFile = async (path: string, file: string, { sha256, size, onProgress }: UploadOptions) => {
    const headers = {
      ...authorization,
      "content-type": "application/octet-stream",
      "content-length": String(size),
      // RFC 9530
      "content-digest": `sha-256=:${Buffer.from(sha256, "hex").toString("base64")}:`,
    };
    const to = await address();
    let sent = 0;
    const counter = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        sent += chunk.length;
        onProgress?.(sent);
        done(null, chunk);
      },
    });
    const source = createReadStream(file, { highWaterMark: uploadChunk, end: Math.max(size - 1, 0) });
    source.on("error", (error) => counter.destroy(error));
    counter.on("close", () => source.destroy());
    const answer = await sendRequest(to, "POST", `${prefix}${path}`, { headers, body: source.pipe(counter), ca });
    if (answer.status >= 400) throw toError(answer, path);
    return answer;
  };
  const parse = <T>(answer: HttpAnswer) =>
    (answer.body.length === 0 ? undefined : JSON.parse(answer.body.toString())) as T;
  const get = async <T>(path: string, query?: Query) => parse<T>(await call("GET", withQuery(path, query)));
  return {
    get,
    all: async function* <T>(path: string, query: Query = {}) {
      let after: string | undefined;
      do {
        const page: { items: T[]; next: string | null } = await get(path, { ...query, after });
        yield* page.items;
        after = page.next ?? undefined;
      } while (after !== undefined);
    },
    send: async <T>(method: string, path: string, body?: unknown) =>
      parse<T>(
        await call(
          method,
          path,
          body === undefined ? undefined : { type: "application/json", body: JSON.stringify(body) },
        ),
      ),
    upload: async <T>(path: string, type: string, bytes: Buffer) =>
      parse<T>(await call("POST", path, { type, body: bytes })),
    uploadFile: async <T>(path: string, file: string, options: UploadOptions) =>
      parse<T>(await sendFile(path, file, options)),
    download: async (path, file) => {
      const refusal = await receiveFile(await address(), `${prefix}${path}`, file, { headers: authorization, ca });
      if (refusal !== undefined) throw toError(refusal, path);
    },
    raw: async (path, query) => call("GET", withQuery(path, query)),
    login: async (username, password) => {
      const form = new URLSearchParams({ grant_type: "password", client_id: "shasta", username, password });
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const answer = await sendRequest(await address(), "POST", tokenPath, { headers, body: String(form), ca });
      if (answer.status === 200) return parse(answer);
      const { error_description: said } = parse<{ error_description?: string }>(answer);
      throw new NetkilnError(
        "unauthorized",
        `${username} cannot log in: ${said ?? `the server answered ${answer.status}`}`,
      );
    },
  };
}

function withQuery(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === "" ? path : `${path}?${text}`;
}

function toError(answer: HttpAnswer, path: string): NetkilnError {
  try {
    const problem = JSON.parse(answer.body.toString()) as ErrorRecord & { detail?: string };
    if (problem.detail !== undefined) return fromErrorRecord({ ...problem, message: problem.detail });
  } catch {
    // Not ours: something between us and the server answered.
  }
  return new NetkilnError("unreachable", `the server answered ${answer.status} to ${path}`);
}
