import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { TenantStore, TokenStore } from "../../access/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { assertTenantExists, nameSchema, roleSchema, tenantSchema } from "./access-schema.ts";
import { listPage, pageSchema } from "./page.ts";

const createSchema = z.strictObject({
  name: nameSchema,
  days: z.number().positive().max(3650).default(90),
  role: roleSchema.default("admin"),
  tenant: tenantSchema,
});

export interface TokensParts {
  readonly tokens: TokenStore;
  readonly tenants: TenantStore;
}

export function registerTokens(app: FastifyInstance, { tokens, tenants }: TokensParts): void {
  const base = "/apis/netkiln/v1/tokens";
  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => tokens.list(page),
      ({ name }) => name,
    ),
  );
  app.post(base, { config: { body: createSchema } }, async ({ body }, reply) => {
    const wanted = parseAs(createSchema, body, "the token");
    await assertTenantExists(tenants, wanted.tenant);
    return reply.code(201).send(await tokens.create(wanted));
  });
  app.delete<{ Params: { name: string } }>(`${base}/:name`, async ({ params }, reply) => {
    if (await tokens.remove(params.name)) return reply.code(204).send();
    throw new NetkilnError("not_found", `there is no token "${params.name}"`);
  });
}
