import type { FastifyRequest } from "fastify";
import { localCaller, type Caller } from "../access/index.ts";

const callers = new WeakMap<FastifyRequest, Caller>();

/** Notes whose request this is. */
export function setCaller(request: FastifyRequest, caller: Caller): void {
  callers.set(request, caller);
}

/** Who asks: `token NAME`, `account NAME`, or `local` for whoever may open the socket. */
export function principalOf(request: FastifyRequest): string {
  return (callers.get(request) ?? localCaller).name;
}

/** The tenant that a request is for: the caller's own, or the one that is named. */
export function tenantOf(request: FastifyRequest): string | undefined {
  const named = request.headers["cray-tenant-name"];
  return callers.get(request)?.tenant ?? (named === undefined || named === "" ? undefined : String(named));
}
