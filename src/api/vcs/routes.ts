import { timingSafeEqual } from "node:crypto";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Admission, GitLogin } from "../../access/index.ts";
import type { PackRequest, ServedRepositories } from "../../configuration/index.ts";
import { errorCodes, NetkilnError } from "../../lib/errors.ts";
import { sha256 } from "../../lib/files.ts";
import { log } from "../../lib/log.ts";
import { setCaller } from "../principal.ts";
import type { RouteNotes } from "../route-notes.ts";

export interface VcsParts {
  readonly repositories: ServedRepositories;
  readonly gitLogin: GitLogin;
  readonly admission: Admission;
}

/** What a client says that it wants and has; a clone of a repository with 100,000 branches sends some 5 MB. */
const maxRequestBytes = 16 << 20;

const vcs: RouteNotes = { service: "vcs", login: "git" };

const requestType = "application/x-git-upload-pack-request";

/** Repositories for git, read only: the smart form of its HTTP transport, gitprotocol-http(5). */
export function registerVcs(app: FastifyInstance, parts: VcsParts, { requireLogin }: { requireLogin: boolean }): void {
  const { repositories } = parts;
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(requestType, async (request: FastifyRequest, body: Readable) => readBody(request, body));
    scope.setErrorHandler(async (error: FastifyError | NetkilnError, request, reply) => refuse(error, request, reply));
    if (requireLogin) scope.addHook("onRequest", async (request) => admitGit(request, parts));

    const about = (id: string, summary: string) => ({ config: { ...vcs, id, summary } });
    const refsRoute = about("info/refs", "What a repository has (git's smart HTTP protocol)");
    scope.get<Wildcard>("/vcs/*", refsRoute, async ({ params, query, headers }, reply) => {
      const { path, service } = parseUrl(params["*"]);
      const wanted = (query as { service?: unknown }).service;
      if (wanted === "git-receive-pack") throw readOnly();
      if (service !== "info/refs" || wanted !== "git-upload-pack") throw nothingThere();
      const version = protocolOf(headers["git-protocol"]);
      const refs = await repositories.advertise(path, { version });
      reply.type("application/x-git-upload-pack-advertisement").header("cache-control", "no-cache");
      // Version 2 has no such line before what git itself says.
      return version === 2
        ? reply.send(refs)
        : reply.send(Readable.from(prefixed("001e# service=git-upload-pack\n0000", refs)));
    });
    const packRoute = { ...about("git-upload-pack", "What git fetches of it"), bodyLimit: maxRequestBytes };
    scope.post<Wildcard>("/vcs/*", packRoute, async (request, reply) => {
      const { path, service } = parseUrl(request.params["*"]);
      if (service === "git-receive-pack") throw readOnly();
      if (service !== "git-upload-pack") throw nothingThere();
      const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
      const version = protocolOf(request.headers["git-protocol"]);
      reply.type("application/x-git-upload-pack-result").header("cache-control", "no-cache");
      return reply.send(await repositories.uploadPack(path, { version, body }));
    });
  });
}

type Wildcard = { Params: { "*": string } };

function parseUrl(rest: string): { path: string; service: string } {
  const [, path = "", service = ""] =
    /^([\w./-]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(rest) ?? [];
  return { path, service };
}

function nothingThere(): NetkilnError {
  return new NetkilnError("not_found", "there is nothing here; git clone takes the URL of a whole repository");
}

function readOnly(): NetkilnError {
  return new NetkilnError("refused", "repositories can only be read here; push to where they come from");
}

function protocolOf(header: string | string[] | undefined): PackRequest["version"] {
  const version = /(?:^|:)version=([12])(?::|$)/.exec(String(header))?.[1];
  return version === "2" ? 2 : version === "1" ? 1 : 0;
}

async function* prefixed(before: string, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield Buffer.from(before);
  yield* rest;
}

async function readBody({ headers }: FastifyRequest, body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const collect = async (parts: AsyncIterable<unknown>) => {
    for await (const part of parts) {
      if (!(part instanceof Buffer)) continue;
      size += part.length;
      // Counted unpacked: a small request can unpack to any size.
      if (size > maxRequestBytes) throw new NetkilnError("too_large", "the request asks for too much at once");
      chunks.push(part);
    }
  };
  const encoding = headers["content-encoding"];
  if (encoding === "gzip" || encoding === "x-gzip") {
    const unpacked = createGunzip();
    body.once("close", () => body.readableEnded || unpacked.destroy(new Error("the request was cut off")));
    await collect(body.pipe(unpacked)).catch((error: unknown) => {
      if (error instanceof NetkilnError) throw error;
      throw new NetkilnError("invalid_input", "the request's body is no gzip");
    });
    // A body that was destroyed would take the connection along, and the answer with it.
  } else await collect(body.iterator({ destroyOnReturn: false }));
  return Buffer.concat(chunks);
}

/** A token of ours as bearer or as password, or the login that is good for this alone. */
async function admitGit(request: FastifyRequest, { gitLogin, admission }: VcsParts): Promise<void> {
  const [, scheme = "", value = ""] = /^(Basic|Bearer) (\S+)$/i.exec(request.headers.authorization ?? "") ?? [];
  const isBasic = scheme.toLowerCase() === "basic";
  const text = isBasic ? Buffer.from(value, "base64").toString() : `:${value}`;
  const colon = text.indexOf(":");
  const [username, password] = [text.slice(0, colon), text.slice(colon + 1)];
  if (isBasic && username === gitLogin.username && isSame(password, gitLogin.password)) return;
  const caller = await admission.callerOf(`Bearer ${password}`).catch((error: unknown) => {
    if (!(error instanceof NetkilnError) || error.code !== "unauthorized") throw error;
    throw new NetkilnError("unauthorized", "git needs a user and a password, or a token as the password");
  });
  // The repositories are not kept apart by tenants.
  if (caller.tenant !== undefined) {
    throw new NetkilnError("refused", `${caller.name} belongs to a tenant, and git's repositories are for none`);
  }
  setCaller(request, caller);
}

function isSame(one: string, other: string): boolean {
  return timingSafeEqual(Buffer.from(sha256(one)), Buffer.from(sha256(other)));
}

/** git shows its user what is plain text. */
function refuse(error: FastifyError | NetkilnError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = error instanceof NetkilnError;
  const status = known ? errorCodes[error.code].status : (error.statusCode ?? 500);
  if (!known && status >= 500) log.error({ error, url: request.url }, "request failed");
  if (status === 401) reply.header("www-authenticate", 'Basic realm="netkiln"');
  const text = known || status < 500 ? error.message : "an unexpected error happened; the server's log has more";
  return reply.code(status).type("text/plain; charset=utf-8").send(`${text}\n`);
}
