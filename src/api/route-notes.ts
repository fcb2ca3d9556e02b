import type { FastifyReply } from "fastify";
import type { z } from "zod";
import type { NetkilnError } from "../lib/errors.ts";

/** What is known of a route besides its method and path: for the door, and for the document of the API. */
export interface RouteNotes {
  /** No token is needed, as this is where one gets it, or what says so. */
  readonly open?: boolean;
  /** The routes see to it themselves who asks: git sends user and password. */
  readonly login?: "git";
  /** It keeps tenants apart. */
  readonly tenants?: boolean;
  /** Tells a failure in the service's own words, where these are no problem of RFC 9457. */
  readonly refuse?: (error: NetkilnError, reply: FastifyReply) => FastifyReply;
  /** The service that it belongs to, when not netkiln's own. */
  readonly service?: string;
  /** The same below another base of its service. */
  readonly isAlias?: boolean;
  readonly id?: string;
  readonly summary?: string;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** JSON when not given. */
  readonly bodyType?: string;
}

declare module "fastify" {
  // oxlint-disable-next-line typescript/no-empty-object-type -- an interface can only be merged with an interface
  interface FastifyContextConfig extends RouteNotes {}
}
