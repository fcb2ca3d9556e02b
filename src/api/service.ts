import { errorCodes as errors, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { z } from "zod";
import { errorCodes, NetkilnError, toErrorRecord, type ErrorCode } from "../lib/errors.ts";
import { parseAs } from "../lib/parse.ts";
import { principalOf, tenantOf } from "./principal.ts";
import { problemType } from "./problem.ts";
import type { RouteNotes } from "./route-notes.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** A request as an operation sees it: parsed, and nothing of the wire left. */
export interface Asked<Query, Body> {
  /** What stands in the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Who asks; throws where that is not known. */
  readonly principal: () => string;
  /** Whose things alone are seen and changed; only an operation with `tenants` is asked for one. */
  readonly tenant: string | undefined;
  /** From which address, as the connection or a trusted proxy says; undefined over a unix socket. */
  readonly address: string | undefined;
  /** The first value of a header, by its name in lower case. */
  readonly header: (name: string) => string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON when not given. */
  readonly type?: string;
}

/** One operation of a foreign API. */
export interface Operation<Query = unknown, Body = unknown> {
  /** As the contract names it; its method and path where it has no name. */
  readonly id: string;
  readonly method: Method;
  /** As in the contract, below the service's base: `/v3/images/{image_id}`. */
  readonly path: string;
  /** For the document of the API, where `id` and path do not say enough. */
  readonly summary?: string;
  /** It keeps tenants apart: it looks at `asked.tenant`, or has nothing that is a tenant's. Others are refused to tenants. */
  readonly tenants?: boolean;
  /** Without one the query is not looked at. */
  readonly query?: z.ZodType<Query>;
  /** Of a GET too, where a client sends one. Without one the body is not looked at. */
  readonly body?: z.ZodType<Body>;
  /** How the body's text is read; as JSON when not given. */
  readonly parseBody?: (text: string) => unknown;
  /** What is said of a body that cannot be read; `invalid_input` when not given. */
  readonly unreadable?: ErrorCode;
  /** Asked without a token on the administrators' door too: by its clients, who have none. */
  readonly open?: boolean;
  /** Bytes of a body that are taken; `usualBodyBytes` when not given. */
  readonly bodyLimit?: number;
  readonly run: (asked: Asked<Query, Body>) => Promise<Answer>;
}

/** An API of somebody else that is served here: a table of operations. */
export interface Service {
  /** As operators call it: `ims`. */
  readonly name: string;
  readonly title: string;
  /** Path prefixes, each with all operations; the first is the one that is told. */
  readonly bases: readonly string[];
  readonly operations: readonly Operation[];
  /** What the contract has and cannot be done here: these answer only why. */
  readonly refused?: readonly Operation[];
  /** How it words a failure; a plain problem of RFC 9457 when not given. */
  readonly problem?: (error: NetkilnError) => ServiceProblem;
  /** Its whole answer to a failure, where that is no problem of RFC 9457. */
  readonly failure?: (error: NetkilnError) => Answer;
}

/** `title` and `detail` are always there: the clients print them only when both are. */
export interface ServiceProblem {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly [more: string]: unknown;
}

/** Keeps the types of an operation's query and body together; a list of operations knows nothing of them. */
export function operation<Query, Body>(one: Operation<Query, Body>): Operation {
  return one as unknown as Operation;
}

export function answer(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): Answer {
  return { status, body, ...(headers !== undefined && { headers }) };
}

/** Some 10,000 components fit into it. */
const usualBodyBytes = 16 << 20;

/** Serves all operations of a service under each of its bases. */
export function registerService(app: FastifyInstance, service: Service): void {
  const problem = service.problem ?? plainProblem;
  void app.register(async (scope) => {
    // Clients send bodies without a type, or with one that is not true: what counts is whether it can be read.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
    const refuse = async (error: NetkilnError, reply: FastifyReply) => {
      if (service.failure !== undefined) return send(service.failure(error), reply);
      const { status, ...body } = problem(error);
      return reply
        .code(status)
        .type(problemType)
        .send({ type: "about:blank", status, ...body });
    };
    const outer = scope.errorHandler;
    scope.setErrorHandler(async (error, request, reply) => {
      if (error instanceof NetkilnError) return refuse(error, reply);
      return outer(error as Parameters<typeof outer>[0], request, reply);
    });
    for (const { one, method, url, notes } of routesOf(service)) {
      scope.route({
        ...{ method, url, config: notes, bodyLimit: one.bodyLimit ?? usualBodyBytes },
        handler: async (request, reply) => send(await one.run(await asked(one, request)), reply),
      });
    }
  });
}

/** Every operation below every base, also those that are refused. */
export function routesOf(service: Service): { one: Operation; method: Method; url: string; notes: RouteNotes }[] {
  return service.bases.flatMap((base) =>
    [...service.operations, ...(service.refused ?? [])].map((one) => ({
      one,
      method: one.method,
      url: (base + one.path).replaceAll(/\{(\w+)\}/g, ":$1"),
      notes: notesOf(one, service, base !== service.bases[0]),
    })),
  );
}

function notesOf(one: Operation, { name, failure }: Service, isAlias: boolean): RouteNotes {
  const { id, open, summary, tenants, query, body } = one;
  return {
    ...{ service: name, id, isAlias },
    ...(open !== undefined && { open }),
    ...(summary !== undefined && { summary }),
    ...(tenants !== undefined && { tenants }),
    ...(query !== undefined && { query }),
    ...(body !== undefined && { body }),
    ...(failure !== undefined && { refuse: (error, reply) => send(failure(error), reply) }),
  };
}

async function asked(one: Operation, request: FastifyRequest): Promise<Asked<unknown, unknown>> {
  return {
    params: paramsOf(one, request),
    query: one.query === undefined ? undefined : parseAs(one.query, request.query, "the query"),
    body: one.body === undefined ? undefined : await bodyOf(one, one.body, request),
    principal: () => principalOf(request),
    tenant: tenantOf(request),
    address: request.ip,
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
  };
}

/** Under a name with control characters nothing is made: nobody could type it. What has one already can still be read and deleted. */
function paramsOf({ method, unreadable }: Operation, request: FastifyRequest): Readonly<Record<string, string>> {
  const params = request.params as Record<string, string>;
  const odd =
    method === "PUT" || method === "POST" ? Object.values(params).find((one) => /\p{Cc}/u.test(one)) : undefined;
  if (odd === undefined) return params;
  throw new NetkilnError(unreadable ?? "invalid_input", `${JSON.stringify(odd)} holds control characters`);
}

async function bodyOf(one: Operation, schema: z.ZodType, request: FastifyRequest): Promise<unknown> {
  const bytes = one.method === "GET" ? await rawBody(one, request) : (request.body as Buffer | undefined);
  try {
    const text = textOf(bytes ?? Buffer.alloc(0));
    const value = text.trim() === "" ? undefined : (one.parseBody ?? parseJson)(text);
    return parseAs(schema, value, "the request's body");
  } catch (error) {
    if (one.unreadable === undefined || !(error instanceof NetkilnError)) throw error;
    throw new NetkilnError(one.unreadable, error.message, error);
  }
}

/** Fastify reads no body of a GET, so it is still in the socket. */
async function rawBody({ bodyLimit = usualBodyBytes }: Operation, request: FastifyRequest): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // A stream that is ended here would take the connection along, and the answer with it.
  for await (const chunk of request.raw.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > bodyLimit) throw new errors.FST_ERR_CTP_BODY_TOO_LARGE();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** What is no text is refused, where a lenient reader would keep a replacement for each byte that it cannot read. */
function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new NetkilnError("invalid_input", "the request's body is no text: it has bytes that are not UTF-8");
  }
}

/** A member of this name would be taken for what an object inherits from, wherever it is put into another one. */
function withoutPrototype(key: string, value: unknown): unknown {
  if (key === "__proto__") throw new NetkilnError("invalid_input", 'the request\'s body has a member "__proto__"');
  return value;
}

export function parseJson(text: string): unknown {
  try {
    // It costs a call for each member, and the name can be written in no other way.
    return /__proto__|\\u/.test(text) ? JSON.parse(text, withoutPrototype) : JSON.parse(text);
  } catch (error) {
    if (error instanceof NetkilnError) throw error;
    throw new NetkilnError("invalid_input", `the request's body is no JSON: ${(error as Error).message}`);
  }
}

function send({ status, body, headers, type }: Answer, reply: FastifyReply): FastifyReply {
  reply.code(status).headers(headers ?? {});
  if (type !== undefined) return reply.type(type).send(body);
  // JSON also where it is a plain string or null, which fastify would send as text or as nothing.
  return body === undefined ? reply.send() : reply.type("application/json").send(JSON.stringify(body));
}

export function plainProblem(error: NetkilnError): ServiceProblem {
  const { message, ...more } = toErrorRecord(error);
  const { status, title } = errorCodes[error.code];
  return { title, status, detail: message, ...more };
}

/** For services whose clients show title and detail alone: all that is to be said stands there. */
export function detailedProblem(error: NetkilnError): ServiceProblem {
  const problems = error.problems.map(({ message }) => message);
  const said = problems.length > 1 ? problems.join("; ") : error.message;
  return { ...plainProblem(error), detail: error.hint === undefined ? said : `${said} (${error.hint})` };
}
