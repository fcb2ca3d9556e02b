import { isIPv4 } from "node:net";
import { NetkilnError } from "../../lib/errors.ts";
import { parseDocument } from "./content.ts";
import { findCredentials, type Credentials } from "./credentials.ts";
import type { Repository } from "./reference.ts";
import { refusalSchema, tokenSchema } from "./schema.ts";

export interface RegistryOptions {
  /** A containers-auth.json(5); without it, or without an entry in it, one asks anonymously. */
  readonly authFile?: string | undefined;
  /** Registries, `HOST` or `HOST:PORT`, that are reached over plain HTTP. Those on loopback always are. */
  readonly insecure?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

export interface Ask {
  readonly headers?: Readonly<Record<string, string>>;
  /** Called again for each attempt. It has to give as many bytes as a content-length header says. */
  readonly body?: () => Buffer | AsyncIterable<Uint8Array>;
  /** What the token has to allow. */
  readonly actions: "pull" | "pull,push";
  /** Statuses besides 2xx that the caller looks at itself. */
  readonly expected?: readonly number[];
  /** What is wanted, for messages. */
  readonly what: string;
}

export interface Connection {
  /** `https://HOST/v2/NAME/` */
  readonly base: URL;
  /** The answer's body is not read yet; every answer's body has to be read or cancelled. */
  ask(method: string, url: URL, options: Ask): Promise<Response>;
  /** Reads a body whole, up to a limit of bytes. */
  whole(answer: Response, limit: number, what: string): Promise<Buffer>;
  /** A body as a stream whose failures say what was read from where. */
  stream(answer: Response, what: string): AsyncIterable<Uint8Array>;
}

const maxRedirects = 5;
const smallBytes = 64 * 1024;

/** Speaks HTTP with one repository's registry: finds out how it wants to be asked, and says its failures plainly. */
export function connect(repository: Repository, options: RegistryOptions): Connection {
  const { registry } = repository;
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  const plain = new Set(options.insecure);
  const mayBePlain = (url: URL) => isLoopback(url.hostname) || plain.has(url.host) || plain.has(url.hostname);
  const withScheme = new URL(`http://${host}`);
  const base = new URL(`${mayBePlain(withScheme) ? "http" : "https"}://${host}/v2/${repository.name}/`);
  const authorizations = new Map<Ask["actions"], string>();

  const fetchOnce = async (method: string, url: URL, { headers, body }: Pick<Ask, "headers" | "body">) => {
    if (url.protocol !== "https:" && !(url.protocol === "http:" && mayBePlain(url))) {
      throw new NetkilnError("refused", `the registry ${registry} wants to be asked over plain HTTP at ${url.host}`, {
        hint: `use HTTPS, or name ${url.host} as insecure if its network can be trusted`,
      });
    }
    const content = body?.();
    try {
      return await fetch(url, {
        method,
        // A body that was packed for the way would not have the digest that it is asked for by.
        headers: { "user-agent": "netkiln", "accept-encoding": "identity", ...headers },
        redirect: "manual",
        ...(options.signal !== undefined && { signal: options.signal }),
        ...(content !== undefined && {
          body: content as unknown as NonNullable<RequestInit["body"]>,
          duplex: "half" as const,
        }),
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      throw unreachable(registry, error);
    }
  };

  /** Tokens go to the registry alone: a store of blobs to which it sends its clients must not learn them. */
  const followed = async (method: string, url: URL, options: Pick<Ask, "headers" | "body">, authorization?: string) => {
    let target = url;
    for (let hops = 0; ; hops += 1) {
      const own = target.origin === base.origin && authorization !== undefined;
      const headers = { ...options.headers, ...(own && { authorization }) };
      const answer = await fetchOnce(method, target, { ...options, headers });
      const location = answer.headers.get("location");
      if (answer.status < 300 || answer.status >= 400 || location === null || answer.status === 304) return answer;
      await answer.body?.cancel();
      if (hops === maxRedirects) throw unreachable(registry, new Error("it redirects without an end"));
      target = new URL(location, target);
    }
  };

  const authorize = async (challenge: string, actions: Ask["actions"]): Promise<string | undefined> => {
    const credentials =
      options.authFile === undefined ? undefined : await findCredentials(options.authFile, repository);
    const bearer = parseChallenge(challenge, "bearer");
    if (bearer !== undefined) return `Bearer ${await fetchToken(bearer, credentials, actions)}`;
    if (parseChallenge(challenge, "basic") === undefined) return undefined;
    return credentials?.basic === undefined ? undefined : `Basic ${credentials.basic}`;
  };

  /** https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/ */
  const fetchToken = async (
    challenge: ReadonlyMap<string, string>,
    { basic, identityToken }: Credentials = {},
    actions: Ask["actions"],
  ): Promise<string> => {
    const realm = challenge.get("realm");
    if (realm === undefined || !URL.canParse(realm)) {
      throw new NetkilnError("unauthorized", `the registry ${registry} does not say where its tokens are had`);
    }
    const url = new URL(realm);
    const scope = `repository:${repository.name}:${actions}`;
    const wanted = { scope, ...(challenge.has("service") && { service: challenge.get("service") ?? "" }) };
    let answer: Response;
    if (identityToken === undefined) {
      for (const [key, value] of Object.entries(wanted)) url.searchParams.set(key, value);
      answer = await fetchOnce("GET", url, { headers: basic === undefined ? {} : { authorization: `Basic ${basic}` } });
    } else {
      const grant = { grant_type: "refresh_token", client_id: "netkiln", refresh_token: identityToken };
      const form = Buffer.from(new URLSearchParams({ ...grant, ...wanted }).toString());
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      answer = await fetchOnce("POST", url, { headers, body: () => form });
    }
    const what = `the token of ${url.host} for ${registry}/${repository.name}`;
    if (!answer.ok) throw await refusal(answer, what, repository);
    const { token, access_token } = parseDocument(tokenSchema, await whole(answer, smallBytes, what), what);
    return token ?? access_token ?? "";
  };

  const ask = async (method: string, url: URL, options: Ask): Promise<Response> => {
    const { actions, expected = [], what } = options;
    let answer = await followed(method, url, options, authorizations.get(actions));
    if (answer.status === 401) {
      await answer.body?.cancel();
      const authorization = await authorize(answer.headers.get("www-authenticate") ?? "", actions);
      if (authorization !== undefined) {
        authorizations.set(actions, authorization);
        answer = await followed(method, url, options, authorization);
      }
    }
    if (answer.ok || expected.includes(answer.status)) return answer;
    throw await refusal(answer, what, repository);
  };

  const stream = async function* (answer: Response, what: string): AsyncGenerator<Uint8Array> {
    if (answer.body === null) return;
    let size = 0;
    try {
      for await (const chunk of answer.body) {
        size += chunk.length;
        yield chunk;
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      throw new NetkilnError("unreachable", `${what}: the connection ended after ${size} bytes (${causeOf(error)})`, {
        hint: "try again when the registry is reachable; nothing of it was kept",
      });
    }
  };

  const whole = async (answer: Response, limit: number, what: string): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of stream(answer, what)) {
      size += chunk.length;
      if (size > limit) throw new NetkilnError("invalid_input", `${what} is too large: more than ${limit} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  };

  return { base, ask, whole, stream };
}

export function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || (isIPv4(hostname) && hostname.startsWith("127."));
}

/** The parameters of one scheme of a WWW-Authenticate header (RFC 9110, section 11.6.1), which may name several. */
export function parseChallenge(header: string, scheme: "bearer" | "basic"): ReadonlyMap<string, string> | undefined {
  const challenges = /([A-Za-z][\w-]*)\s+((?:[A-Za-z_]+=(?:"[^"]*"|[^\s,"]+)[\s,]*)+)/g;
  for (const [, name = "", parameters = ""] of header.matchAll(challenges)) {
    if (name.toLowerCase() !== scheme) continue;
    const pairs = parameters.matchAll(/([A-Za-z_]+)=(?:"([^"]*)"|([^\s,"]+))/g);
    return new Map([...pairs].map(([, key = "", quoted, bare = ""]) => [key.toLowerCase(), quoted ?? bare]));
  }
  return new RegExp(`^\\s*${scheme}\\s*$`, "i").test(header) ? new Map() : undefined;
}

async function refusal(answer: Response, what: string, { registry, name }: Repository): Promise<NetkilnError> {
  const text = await answer.text().catch(() => "");
  const output = wordsOf(text.slice(0, smallBytes));
  const where = `${registry}/${name}`;
  if (answer.status === 401 || answer.status === 403) {
    return new NetkilnError("unauthorized", `the registry ${registry} does not allow ${what} (${answer.status})`, {
      output,
      hint: `check the credentials for ${where} in the file of credentials; skopeo login --authfile FILE ${registry} writes one`,
    });
  }
  if (answer.status === 404) return new NetkilnError("not_found", `there is no ${what}`, { output });
  const code = answer.status === 429 || answer.status >= 500 ? "unreachable" : "work_failed";
  return new NetkilnError(code, `the registry ${registry} answers ${answer.status} to ${what}`, { output });
}

/** What the registry itself says of its refusal, if it says it as the specification wants it. */
function wordsOf(text: string): string[] {
  try {
    const { errors } = refusalSchema.parse(JSON.parse(text));
    return errors.map(({ code, message }) => (message === undefined ? code : `${code}: ${message}`));
  } catch {
    return [];
  }
}

function unreachable(registry: string, error: unknown): Error {
  // What was to be sent could not be read.
  const { cause: inner } = error as { cause?: unknown };
  if (inner instanceof NetkilnError || (inner instanceof Error && "path" in inner)) return inner;
  const cause = causeOf(error);
  const tls = /SSL|TLS|CERT|SIGNED|EPROTO|packet length/i.test(cause);
  return new NetkilnError("unreachable", `the registry ${registry} does not answer (${cause})`, {
    hint: tls
      ? "its certificate has to be known to this machine; a registry without TLS has to be named as insecure"
      : "check the name, the port, and whether it can be reached from this machine",
  });
}

/** What fetch hides below its "fetch failed" and "terminated". */
function causeOf(error: unknown): string {
  const { cause, message, code } = error as { cause?: unknown; message?: string; code?: unknown };
  if (cause instanceof Error) return causeOf(cause);
  return typeof code === "string" ? code : (message ?? String(error));
}
