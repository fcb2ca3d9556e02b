import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { TokenStore } from "../../access/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { listPage } from "./page.ts";

const createSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][\w.-]{0,62}$/, "must hold only letters, digits and . _ -"),
  days: z.number().positive().max(3650).default(90),
});

export function registerTokens(app: FastifyInstance, { tokens }: { readonly tokens: TokenStore }): void {
  const base = "/apis/netkiln/v1/tokens";
  app.get(base, async ({ query }) =>
    listPage(
      query,
      (page) => tokens.list(page),
      ({ name }) => name,
    ),
  );
  app.post(base, async ({ body }, reply) => {
    const { name, days } = parseAs(createSchema, body, "the token");
    return reply.code(201).send(await tokens.create(name, days));
  });
  app.delete<{ Params: { name: string } }>(`${base}/:name`, async ({ params }, reply) => {
    if (await tokens.remove(params.name)) return reply.code(204).send();
    throw new NetkilnError("not_found", `there is no token "${params.name}"`);
  });
}
