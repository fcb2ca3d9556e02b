import type { FastifyRequest } from "fastify";

const principals = new WeakMap<FastifyRequest, string>();

/** Notes by which token a request came in. */
export function setPrincipal(request: FastifyRequest, token: string): void {
  principals.set(request, token);
}

/** Who asks: `token NAME`, or `local` for whoever may open the socket. */
export function principalOf(request: FastifyRequest): string {
  const token = principals.get(request);
  return token === undefined ? "local" : `token ${token}`;
}
