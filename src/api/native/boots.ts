import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import type { NodeStore } from "../../node/index.ts";
import type { BootRecords } from "../../telemetry/index.ts";
import { listPage, pageSchema } from "./page.ts";

export interface BootsParts {
  readonly boots: BootRecords;
  readonly nodes: NodeStore;
}

const filterSchema = z.object({ node: z.string().optional() });

/** The boot record: what happened, newest boot first. */
export function registerBoots(app: FastifyInstance, { boots, nodes }: BootsParts): void {
  const base = "/apis/netkiln/v1/boots";
  app.get(base, { config: { query: filterSchema.extend(pageSchema.shape) } }, async ({ query }) => {
    const { node } = parseAs(filterSchema, query, "the query");
    // A node that is gone from the inventory still has its record under its xname.
    const xname = node === undefined ? undefined : ((await nodes.find(node))?.xname ?? node);
    return listPage(
      query,
      (page) => boots.list({ ...page, xname }),
      ({ id }) => id,
    );
  });
  app.get<{ Params: { id: string } }>(`${base}/:id`, async ({ params }) => {
    const boot = await boots.get(params.id);
    if (boot === undefined) throw new NetkilnError("not_found", `there is no boot "${params.id}"`);
    return boot;
  });
}
