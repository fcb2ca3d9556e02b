import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply } from "fastify";
import type { Service } from "../service.ts";
import { openApiDocument, type DoorRules, type OpenApiDocument, type ServedRoute } from "./document.ts";
import { indexPage, sectionPage, style } from "./page.ts";

/** Sections of the document that are no tables of operations. */
const ownSections = [
  { name: "netkiln", title: "netkiln's own API", bases: ["/apis/netkiln/v1"] },
  { name: "keycloak", title: "Tokens for accounts, as CSM's Keycloak gives them", bases: ["/keycloak/realms/shasta"] },
  { name: "vcs", title: "Git repositories, read only", bases: ["/vcs"] },
  { name: "openapi", title: "This document", bases: [""] },
];

const headers = {
  // The pages have nothing but text and this one style.
  "content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
};

/**
 * Serves the document of all routes that are registered after this, and pages that show it. They need no token: they
 * say nothing that is not in the source.
 */
export function registerOpenApi(
  app: FastifyInstance,
  { services, version, door }: { services: readonly Service[]; version: string; door: DoorRules },
): void {
  const routes: ServedRoute[] = [];
  app.addHook("onRoute", ({ method, url, config }) => {
    for (const each of [method].flat()) if (each !== "HEAD") routes.push({ method: each, url, notes: config ?? {} });
  });
  let made: OpenApiDocument | undefined;
  const about = {
    ...{ title: "netkiln", version },
    description: "Every API that this server has for administrators: its own, and those of CSM and OpenCHAMI.",
  };
  // When it is first asked for, all routes are known.
  const document = () => (made ??= openApiDocument(routes, { sections: [...services, ...ownSections], door }, about));
  const html = (reply: FastifyReply, page: string) =>
    reply.headers(headers).type("text/html; charset=utf-8").send(page);

  const notes = (summary: string) => ({ config: { open: true, service: "openapi", summary } });
  app.get("/openapi.json", notes("Everything that is served here (OpenAPI 3.1)"), async () => document());
  app.get("/docs", notes("The same to read: what services there are"), async (_request, reply) =>
    html(reply, indexPage(document())),
  );
  app.get<{ Params: { service: string } }>(
    "/docs/:service",
    notes("The same to read: one service"),
    async ({ params }, reply) => {
      const page = sectionPage(document(), params.service);
      return page === undefined ? reply.callNotFound() : html(reply, page);
    },
  );
}
