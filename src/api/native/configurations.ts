import type { FastifyInstance } from "fastify";
import type { ConfigurationStore } from "../../configuration/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { listPage, pageSchema } from "./page.ts";

type Named = { Params: { name: string } };

export function registerConfigurations(
  app: FastifyInstance,
  parts: { readonly configurations: ConfigurationStore },
): void {
  const { configurations } = parts;
  const base = "/apis/netkiln/v1/configurations";
  const find = async (name: string) => {
    const configuration = await configurations.find(name);
    if (configuration !== undefined) return configuration;
    throw new NetkilnError("not_found", `there is no configuration "${name}"`);
  };

  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => configurations.list(page),
      ({ name }) => name,
    ),
  );
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));
  app.delete<Named>(`${base}/:name`, async ({ params }, reply) => {
    await configurations.delete((await find(params.name)).name);
    return reply.code(204).send();
  });
}
