import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { buildFolder, type BuildStore } from "../../build/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { logSchema, sendLog } from "./log-file.ts";
import { listPage, pageSchema } from "./page.ts";

const filterSchema = z.object({ image: z.string().optional() });
type Named = { Params: { name: string } };

/** A build is named by its id, a unique beginning of it, or its image's name, which means the newest. */
export function registerBuilds(
  app: FastifyInstance,
  { builds, data }: { readonly builds: BuildStore; readonly data: string },
): void {
  const base = "/apis/netkiln/v1/builds";
  const find = async (name: string) => {
    const build = await builds.find(name);
    if (build !== undefined) return build;
    throw new NetkilnError("not_found", `there is no build "${name}"`);
  };

  app.get(base, { config: { query: filterSchema.extend(pageSchema.shape) } }, async ({ query }) => {
    const { image } = parseAs(filterSchema, query, "the query");
    return listPage(
      query,
      (page) => builds.list({ ...page, image }),
      ({ id }) => id,
    );
  });
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));

  /** The log; x-build-status says whether more can come. */
  app.get<Named>(`${base}/:name/log`, { config: { query: logSchema } }, async ({ params, query }, reply) => {
    let build = await find(params.name);
    const canGrow = async () => {
      build = await find(build.id);
      reply.header("x-build-status", build.status);
      return build.status === "pending" || build.status === "running";
    };
    return sendLog(join(buildFolder(data, build.id), "log"), query, canGrow, reply);
  });

  for (const [name, type] of [
    ["verdict.json", "application/json"],
    ["verdict.xml", "application/xml"],
  ] as const) {
    app.get<Named>(`${base}/:name/${name}`, async ({ params }, reply) => {
      const { id } = await find(params.name);
      const text = await readFile(join(buildFolder(data, id), name), "utf8").catch(() => undefined);
      if (text === undefined) throw new NetkilnError("not_found", `the build ${id} has no verdict`);
      return reply.type(type).send(text);
    });
  }
}
