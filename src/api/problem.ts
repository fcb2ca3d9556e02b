import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
  errorCodes as errors,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { errorCodes, NetkilnError, toErrorRecord } from "../lib/errors.ts";
import { log } from "../lib/log.ts";

/** What a client gets for a failure: RFC 9457, with our code, hint and list of mistakes added. */
export const problemType = "application/problem+json";

/**
 * How errors of handlers become answers, but where a service has a form of its own. What is not for the client goes to the
 * log only.
 */
export function answerProblems(app: FastifyInstance): void {
  // Said before any of it is read, and for requests whose body nobody reads as well.
  app.addHook("preParsing", async ({ headers, routeOptions }) => {
    if (Number(headers["content-length"] ?? 0) > routeOptions.bodyLimit) throw new errors.FST_ERR_CTP_BODY_TOO_LARGE();
  });
  app.addHook("onSend", async ({ raw }, reply) => {
    // Of fastify: "close".
    if (reply.statusCode === 413) reply.removeHeader("connection");
    closeAfterwards(raw, reply.raw);
  });
  app.addHook("onResponse", async ({ raw }) => stopReading(raw));
  app.setNotFoundHandler(async (request, reply) => {
    const error = new NetkilnError("not_found", `there is no ${request.method} ${request.url.split("?")[0]}`);
    return sendProblem(error, reply);
  });
  app.setErrorHandler(async (error: FastifyError | NetkilnError, request, reply) => {
    const known = error instanceof NetkilnError ? error : fromFastify(error, request);
    if (known === undefined)
      log.error({ error, method: request.method, url: withoutToken(request.url).slice(0, 500) }, "request failed");
    return sendProblem(known ?? unexpected(), reply);
  });
}

/** For the client; the log has what it was. */
export function unexpected(): NetkilnError {
  return new NetkilnError("internal", "an unexpected error happened; the server's log has more");
}

/** How long what is still sent after an answer is read and thrown away, so that its sender comes to see the answer. */
const lingerMs = 5000;
/** Connections on which an answer went out before all of the request had come. */
const answeredEarly = new WeakSet<Socket>();
/** Connections whose clients want them closed once all of the request has come. */
const closedAfterwards = new WeakSet<Socket>();

/**
 * For an answer that goes out before all of the request has come. Who asks for the connection to be closed, but is still
 * sending, would see that it is closed instead of the answer: what it sends is read and thrown away first. Node says
 * `keep-alive` then.
 */
function closeAfterwards(request: IncomingMessage, response: ServerResponse): void {
  const { "content-length": length = "0", "transfer-encoding": coding } = request.headers;
  const hasBody = coding !== undefined || Number(length) > 0;
  if (!hasBody || request.complete !== false || response.shouldKeepAlive) return;
  response.shouldKeepAlive = true;
  closedAfterwards.add(request.socket);
}

function stopReading(request: IncomingMessage): void {
  const { socket } = request;
  const close = () => closedAfterwards.has(socket) && socket.destroySoon();
  // Undefined in what app.inject plays, which has no connection.
  if (request.complete !== false || request.destroyed) return void close();
  answeredEarly.add(socket);
  const timer = setTimeout(() => request.complete || socket.destroy(), lingerMs).unref();
  request.once("end", () => {
    clearTimeout(timer);
    answeredEarly.delete(socket);
    close();
  });
}

/** For fastify's options: how it answers what comes to no route. */
export const failureAnswers = { frameworkErrors: answerBadUrl, clientErrorHandler: answerBadRequest };

const badUrls: Readonly<Record<string, string>> = {
  FST_ERR_BAD_URL: "has a % that stands for nothing",
  FST_ERR_MAX_PARAM_LENGTH: "has a name that is too long",
};

function answerBadUrl(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const isLong = error.code === "FST_ERR_MAX_PARAM_LENGTH";
  const [status, title] = isLong ? [414, "URI Too Long"] : [400, "Bad Request"];
  const what = badUrls[error.code] ?? `cannot be served: ${error.message}`;
  const detail = `the path of ${request.method} ${request.raw.url?.split("?")[0]?.slice(0, 100)} ${what}`;
  // No hooks are run here.
  closeAfterwards(request.raw, reply.raw);
  reply.raw.once("finish", () => stopReading(request.raw));
  void reply.code(status).type(problemType).send({ type: "about:blank", title, status, detail });
}

/** What is no HTTP, or more of it than is taken: there is no request yet, and no reply. */
function answerBadRequest(error: Error & { code?: string }, socket: Socket): void {
  const [status, title, detail] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? [431, "Request Header Fields Too Large", "the URL and the headers are too long together"]
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? [408, "Request Timeout", "the request did not come to its end"]
        : [400, "Bad Request", "this is no HTTP request"];
  const body = JSON.stringify({ type: "about:blank", title, status, detail });
  const head = `HTTP/1.1 ${status} ${title}\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}`;
  const mayAnswer = socket.writable && error.code !== "ECONNRESET" && !hasAnswer(socket);
  if (mayAnswer) socket.write(`${head}\r\nconnection: close\r\n\r\n${body}`);
  socket.destroy(error);
}

/** Another answer would stand in the middle of the first one, or behind it as one to the next request. */
function hasAnswer(socket: Socket): boolean {
  // Node's own place for it, by which its own answer to such requests goes.
  const { _httpMessage: reply } = socket as Socket & { _httpMessage?: ServerResponse | null };
  return answeredEarly.has(socket) || reply?.headersSent === true;
}

/** For a request the rest of which does not come. */
export function answerLate(socket: Socket): void {
  answerBadRequest(Object.assign(new Error("the request did not come"), { code: "ERR_HTTP_REQUEST_TIMEOUT" }), socket);
}

export function sendProblem(error: NetkilnError, reply: FastifyReply): FastifyReply {
  return reply.code(errorCodes[error.code].status).type(problemType).send(problemOf(error));
}

/** Tokens of boots stand in paths, as cloud-init can send them nowhere else. */
function withoutToken(url: string): string {
  return url.replace(/(?<=\/boots\/)[^/?]+/g, "…");
}

export interface Problem {
  readonly type: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}

export function problemOf(error: NetkilnError): Problem {
  const { message, ...more } = toErrorRecord(error);
  const { status, title } = errorCodes[error.code];
  return { type: "about:blank", title, status, detail: message, ...more };
}

/** Requests that fastify itself refuses: malformed JSON, a body that is too large, a wrong content type. */
function fromFastify(error: FastifyError, request: FastifyRequest): NetkilnError | undefined {
  if (error.statusCode === 413) {
    const limit = request.routeOptions.bodyLimit;
    return new NetkilnError("too_large", `the request's body is too large: at most ${limit} bytes are taken here`);
  }
  if (error.statusCode === 415) {
    const type = request.headers["content-type"] ?? "none";
    return new NetkilnError("invalid_input", `the content type "${type}" is not understood`, {
      hint: "send application/json, or application/x-tar for a recipe",
    });
  }
  const full = fullDisk(error);
  if (full !== undefined) return full;
  if (error.statusCode === undefined || error.statusCode >= 500) return undefined;
  return new NetkilnError("invalid_input", error.message);
}

/** ENOSPC of a file, or SQLITE_FULL (13, https://sqlite.org/rescode.html#full) of the database; undefined for all else. */
export function fullDisk(error: unknown): NetkilnError | undefined {
  const { code, errcode } = error as { code?: string; errcode?: number };
  if (code !== "ENOSPC" && !(code === "ERR_SQLITE_ERROR" && errcode === 13)) return undefined;
  return new NetkilnError("work_failed", "the disk of the server's data folder is full", {
    hint: "make room on it, then try again; nothing was changed",
  });
}
