import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { clock } from "../../lib/clock.ts";
import { parseAs } from "../../lib/parse.ts";
import type { EventStore } from "../../telemetry/index.ts";

const querySchema = z.object({
  /** May be given several times. */
  subject: z.union([z.string(), z.array(z.string())]).optional(),
  after: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  /** Seconds to wait for the first event when there is none yet. */
  wait: z.coerce.number().min(0).max(60).default(0),
});

/** What happened, oldest first; asking again with the last id goes on where one stopped, however long ago. */
export function registerEvents(app: FastifyInstance, { events }: { readonly events: EventStore }): void {
  app.get("/apis/netkiln/v1/events", { config: { query: querySchema } }, async ({ query }, reply) => {
    const { wait, ...wanted } = parseAs(querySchema, query, "the query");
    const deadline = clock.now().getTime() + wait * 1000;
    const changes = events.changes();
    const gone = new AbortController();
    reply.raw.once("close", () => gone.abort());
    let items = await events.list(wanted);
    while (items.length === 0 && clock.now().getTime() < deadline && !gone.signal.aborted) {
      await changes.next(deadline - clock.now().getTime(), gone.signal);
      items = await events.list(wanted);
    }
    return { items, next: items.at(-1)?.id ?? wanted.after };
  });
}
