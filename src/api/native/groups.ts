import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { labelSchema, xnameSchema, type NodeStore } from "../../node/index.ts";
import { listPage, pageSchema } from "./page.ts";

const groupSchema = z.strictObject({
  label: labelSchema,
  description: z.string().max(1024).default(""),
  members: z.array(xnameSchema).default([]),
});

type Named = { Params: { label: string } };

export function registerGroups(app: FastifyInstance, { nodes }: { readonly nodes: NodeStore }): void {
  const base = "/apis/netkiln/v1/groups";
  const missing = (label: string) => new NetkilnError("not_found", `there is no group "${label}"`);

  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => nodes.listGroups(page),
      ({ label }) => label,
    ),
  );
  app.get<Named>(`${base}/:label`, async ({ params }) => {
    const group = await nodes.getGroup(params.label);
    if (group === undefined) throw missing(params.label);
    return group;
  });
  app.put<Named>(`${base}/:label`, { config: { body: groupSchema } }, async ({ params, body }) => {
    const value = typeof body === "object" && body !== null ? { ...body, label: params.label } : body;
    return nodes.putGroup(parseAs(groupSchema, value, "the group"));
  });
  app.delete<Named>(`${base}/:label`, async ({ params }, reply) => {
    if (!(await nodes.removeGroup(params.label))) throw missing(params.label);
    return reply.code(204).send();
  });
}
