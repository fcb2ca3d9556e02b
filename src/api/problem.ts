import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { errorCodes, NetkilnError, toErrorRecord } from "../lib/errors.ts";
import { log } from "../lib/log.ts";

/** What a client gets for a failure: RFC 9457, with our code, hint and list of mistakes added. */
export const problemType = "application/problem+json";

/** The one place where errors become answers. What is not for the client goes to the log only. */
export function answerProblems(app: FastifyInstance): void {
  app.setNotFoundHandler(async (request, reply) => {
    const error = new NetkilnError("not_found", `there is no ${request.method} ${request.url.split("?")[0]}`);
    return sendProblem(error, reply);
  });
  app.setErrorHandler(async (error: FastifyError | NetkilnError, request, reply) => {
    const known = error instanceof NetkilnError ? error : fromFastify(error, request);
    if (known === undefined)
      log.error({ error, method: request.method, url: withoutToken(request.url).slice(0, 500) }, "request failed");
    // fastify closes the connection here, and a client that is still sending would see that instead of the answer;
    // what it sends is read and thrown away without this.
    if (known?.code === "too_large") reply.removeHeader("connection");
    const shown = known ?? new NetkilnError("internal", "an unexpected error happened; the server's log has more");
    return sendProblem(shown, reply);
  });
}

export function sendProblem(error: NetkilnError, reply: FastifyReply): FastifyReply {
  return reply.code(errorCodes[error.code].status).type(problemType).send(problemOf(error));
}

/** Tokens of boots stand in paths, as cloud-init can send them nowhere else. */
function withoutToken(url: string): string {
  return url.replace(/(?<=\/boots\/)[^/?]+/g, "…");
}

function problemOf(error: NetkilnError) {
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
  if (isFullDisk(error)) {
    return new NetkilnError("work_failed", "the disk of the server's data folder is full", {
      hint: "make room on it, then try again; nothing was changed",
    });
  }
  if (error.statusCode === undefined || error.statusCode >= 500) return undefined;
  return new NetkilnError("invalid_input", error.message);
}

/** ENOSPC of a file, or SQLITE_FULL (13, https://sqlite.org/rescode.html#full) of the database. */
function isFullDisk({ code, errcode }: FastifyError & { errcode?: number }): boolean {
  return code === "ENOSPC" || (code === "ERR_SQLITE_ERROR" && errcode === 13);
}
