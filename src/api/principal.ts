import type { FastifyRequest } from "fastify";
import type { Caller } from "../access/index.ts";
import { NetkilnError } from "../lib/errors.ts";

const callers = new WeakMap<FastifyRequest, Caller>();

/** Notes whose request this is. */
export function setCaller(request: FastifyRequest, caller: Caller): void {
  callers.set(request, caller);
}

/**
 * Who asks: `token NAME`, `account NAME`, or `local` for whoever may open the socket. Throws `unauthorized` where nobody
 * was asked who he is: what is done in somebody's name is not done in nobody's.
 */
export function principalOf(request: FastifyRequest): string {
  const caller = callers.get(request);
  if (caller !== undefined) return caller.name;
  throw new NetkilnError(
    "unauthorized",
    "this is done in the name of whoever asks, and who that is was not asked here",
  );
}

/** The tenant that a request is for: the caller's own, or the one that is named. */
export function tenantOf(request: FastifyRequest): string | undefined {
  const named = request.headers["cray-tenant-name"];
  return callers.get(request)?.tenant ?? (named === undefined || named === "" ? undefined : String(named));
}
