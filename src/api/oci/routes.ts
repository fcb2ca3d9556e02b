import type { Readable } from "node:stream";
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import {
  isDigest,
  isRepositoryName,
  isTag,
  mediaTypes,
  type Descriptor,
  type RawManifest,
} from "../../artifact/index.ts";
import { log } from "../../lib/log.ts";
import { answerBytes } from "../../netboot/index.ts";
import { referrersQuerySchema, tagsQuerySchema } from "./schema.ts";

/** What the registry has. Each answers undefined for what is not there; digests are `sha256:…`. */
export interface OciCatalog {
  /** Undefined when there is no such repository. */
  tags(name: string): Promise<readonly string[] | undefined>;
  /** By tag or digest. */
  manifest(name: string, reference: string): Promise<RawManifest | undefined>;
  /** Only a blob that a manifest of this repository names. */
  blob(name: string, digest: string): Promise<OciBlob | undefined>;
  /** Manifests of the repository whose subject has this digest. */
  referrers(name: string, digest: string): Promise<readonly Descriptor[]>;
}

export interface OciBlob {
  /** Bytes. */
  readonly size: number;
  /** `start` and `end` count from 0, both inclusive. */
  readonly read: (range?: { start: number; end: number }) => Readable;
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes */
const failures = {
  BLOB_UNKNOWN: 404,
  DIGEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  UNSUPPORTED: 405,
  PAGINATION_NUMBER_INVALID: 400,
  UNKNOWN: 500,
} as const;

type Request = FastifyRequest<{ Params: { "*": string } }>;

/** The part of the OCI distribution specification that pulls. What changes something is answered with 405. */
export function registerOciRegistry(app: FastifyInstance, catalog: OciCatalog): void {
  app.register(async (scope) => {
    scope.setErrorHandler(async (error: FastifyError, request, reply) => {
      if ((error.statusCode ?? 500) < 500) return refuse(reply, "UNSUPPORTED", error.message);
      log.error({ error, method: request.method, url: request.url }, "request failed");
      return refuse(reply, "UNKNOWN", "an unexpected error happened; the server's log has more");
    });
    scope.addHook(
      "onSend",
      async (_request, reply) => void reply.header("docker-distribution-api-version", "registry/2.0"),
    );
    for (const url of ["/v2", "/v2/"]) {
      scope.route({ method: ["GET", "HEAD"], url, handler: async (_request, reply) => reply.send({}) });
    }
    scope.route<{ Params: { "*": string } }>({
      method: ["GET", "HEAD"],
      url: "/v2/*",
      handler: async (request, reply) => answer(catalog, request, reply),
    });
    scope.route({
      method: ["POST", "PUT", "PATCH", "DELETE"],
      url: "/v2/*",
      // Before anything is looked at for which it would be refused in other words, such as its size.
      onRequest: refusePush,
      handler: refusePush,
    });
  });
}

async function refusePush(_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  return refuse(reply, "UNSUPPORTED", "this registry can only be read");
}

/** The name may hold "/", so the last part that says what is wanted counts. */
const pathForm = /^(?<name>.+)\/(?:(?<kind>manifests|blobs|referrers)\/(?<reference>[^/]+)|(?<tags>tags\/list))$/;

async function answer(catalog: OciCatalog, request: Request, reply: FastifyReply): Promise<FastifyReply> {
  const { name = "", kind, reference = "", tags } = pathForm.exec(request.params["*"])?.groups ?? {};
  if (kind === undefined && tags === undefined) return refuse(reply, "NAME_UNKNOWN", "there is nothing of this name");
  if (!isRepositoryName(name)) return refuse(reply, "NAME_INVALID", `"${name}" is no name of a repository`);
  if (tags !== undefined) return sendTags(catalog, name, request, reply);
  if (kind === "manifests") return sendManifest(catalog, name, reference, request, reply);
  if (!isDigest(reference)) return refuse(reply, "DIGEST_INVALID", "a digest is sha256: and 64 hexadecimal digits");
  if (kind === "referrers") return sendReferrers(catalog, name, reference, request, reply);
  const blob = await catalog.blob(name, reference);
  if (blob === undefined) return refuse(reply, "BLOB_UNKNOWN", `${name} has no blob ${reference}`);
  return sendBytes(request, reply, reference, "application/octet-stream", blob);
}

async function sendManifest(
  catalog: OciCatalog,
  name: string,
  reference: string,
  request: Request,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const manifest = isDigest(reference) || isTag(reference) ? await catalog.manifest(name, reference) : undefined;
  if (manifest === undefined) return refuse(reply, "MANIFEST_UNKNOWN", `${name} has no manifest ${reference}`);
  const { bytes, digest, mediaType } = manifest;
  const read = ({ start, end }: { start: number; end: number } = { start: 0, end: bytes.length - 1 }) =>
    bytes.subarray(start, end + 1);
  return sendBytes(request, reply, digest, mediaType, { size: bytes.length, read });
}

function sendBytes(
  request: Request,
  reply: FastifyReply,
  digest: string,
  type: string,
  { size, read }: { size: number; read: (range?: { start: number; end: number }) => Readable | Buffer },
): FastifyReply {
  const method = request.method === "HEAD" ? "HEAD" : "GET";
  const { status, headers, range } = answerBytes(size, digest, { method, headers: request.headers });
  reply.code(status).headers(headers).header("docker-content-digest", digest).type(type);
  // Not as texts, to which fastify would add a charset: a media type counts byte for byte.
  return reply.send(range === undefined ? Buffer.alloc(0) : read(range));
}

async function sendTags(
  catalog: OciCatalog,
  name: string,
  request: Request,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const query = tagsQuerySchema.safeParse(request.query);
  if (!query.success) return refuse(reply, "PAGINATION_NUMBER_INVALID", "n has to be a number of at most 100000");
  const all = await catalog.tags(name);
  if (all === undefined) return refuse(reply, "NAME_UNKNOWN", `there is no repository ${name}`);
  const { n, last } = query.data;
  const rest = [...all].sort(lexical).filter((tag) => last === undefined || lexical(tag, last) > 0);
  const tags = rest.slice(0, n);
  const end = tags.at(-1);
  if (end !== undefined && tags.length < rest.length) {
    reply.header("link", `</v2/${name}/tags/list?n=${n}&last=${encodeURIComponent(end)}>; rel="next"`);
  }
  return reply.send({ name, tags });
}

/** Without regard to case, as the specification wants it; tags that differ in nothing else keep a fixed order. */
function lexical(a: string, b: string): number {
  const [x, y] = [a.toLowerCase(), b.toLowerCase()];
  if (x !== y) return x < y ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

async function sendReferrers(
  catalog: OciCatalog,
  name: string,
  digest: string,
  request: Request,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { artifactType } = referrersQuerySchema.catch({}).parse(request.query);
  const all = await catalog.referrers(name, digest);
  const manifests = all.filter((referrer) => artifactType === undefined || referrer.artifactType === artifactType);
  if (artifactType !== undefined) reply.header("oci-filters-applied", "artifactType");
  const index = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests });
  return reply.type(mediaTypes.index).send(Buffer.from(index));
}

function refuse(reply: FastifyReply, code: keyof typeof failures, message: string): FastifyReply {
  return reply
    .code(failures[code])
    .type("application/json")
    .send({ errors: [{ code, message }] });
}
