import type { FastifyInstance } from "fastify";
import type { GcRunStore } from "../../artifact/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { LifecycleParts } from "./lifecycle-parts.ts";

export interface StoreParts {
  readonly lifecycle: LifecycleParts;
  readonly gcRuns: GcRunStore;
}

/** What is stored, why, and the garbage collection, which a worker does. */
export function registerStore(app: FastifyInstance, { lifecycle, gcRuns }: StoreParts): void {
  const base = "/apis/netkiln/v1/store";
  app.get(base, async () => lifecycle.storeStatus());
  app.get<{ Params: { name: string } }>(`${base}/why/:name`, async ({ params }) => lifecycle.why(params.name));
  /** What a garbage collection would do now; changes nothing. */
  app.post(`${base}/gc-plans`, async () => lifecycle.planGc());
  app.post(`${base}/gc-runs`, async (_request, reply) => reply.code(201).send(await lifecycle.startGc()));
  app.get<{ Params: { id: string } }>(`${base}/gc-runs/:id`, async ({ params }) => {
    const run = await gcRuns.find(params.id);
    if (run === undefined) throw new NetkilnError("not_found", `there is no garbage collection "${params.id}"`);
    return run;
  });
}
