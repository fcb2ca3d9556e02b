import type { FastifyInstance } from "fastify";
import { NetkilnError } from "../../lib/errors.ts";
import { parseTemplate, type SessionStore } from "../../orchestration/index.ts";
import { listPage, pageSchema } from "./page.ts";

type Named = { Params: { name: string } };

export function registerTemplates(app: FastifyInstance, { sessions }: { readonly sessions: SessionStore }): void {
  const base = "/apis/netkiln/v1/templates";
  const missing = (name: string) => new NetkilnError("not_found", `there is no session template "${name}"`);

  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => sessions.listTemplates(page),
      ({ name }) => name,
    ),
  );
  app.get<Named>(`${base}/:name`, async ({ params }) => {
    const template = await sessions.getTemplate(params.name);
    if (template === undefined) throw missing(params.name);
    return template;
  });
  app.put<Named>(`${base}/:name`, async ({ params, body }) => {
    const value = typeof body === "object" && body !== null ? { ...body, name: params.name } : body;
    const template = parseTemplate(value);
    await sessions.putTemplate(template);
    return template;
  });
  app.delete<Named>(`${base}/:name`, async ({ params }, reply) => {
    if (!(await sessions.removeTemplate(params.name))) throw missing(params.name);
    return reply.code(204).send();
  });
}
