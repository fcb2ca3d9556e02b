import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { TenantStore } from "../../access/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { nameSchema } from "./access-schema.ts";
import { listPage, pageSchema } from "./page.ts";

const createSchema = z.strictObject({ name: nameSchema, description: z.string().max(1000).default("") });

/** Tenants that requests may be for (Cray-Tenant-Name). What was a tenant's stays when the tenant goes, and nobody's else. */
export function registerTenants(app: FastifyInstance, { tenants }: { readonly tenants: TenantStore }): void {
  const base = "/apis/netkiln/v1/tenants";
  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => tenants.list(page),
      ({ name }) => name,
    ),
  );
  app.post(base, { config: { body: createSchema } }, async ({ body }, reply) => {
    const { name, description } = parseAs(createSchema, body, "the tenant");
    return reply.code(201).send(await tenants.create(name, description));
  });
  app.delete<{ Params: { name: string } }>(`${base}/:name`, async ({ params }, reply) => {
    if (await tenants.remove(params.name)) return reply.code(204).send();
    throw new NetkilnError("not_found", `there is no tenant "${params.name}"`);
  });
}
