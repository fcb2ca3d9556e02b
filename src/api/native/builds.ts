import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { buildFolder, type BuildStore } from "../../build/index.ts";
import { clock } from "../../lib/clock.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { listPage } from "./page.ts";

const filterSchema = z.object({ image: z.string().optional() });
const logSchema = z.object({
  offset: z.coerce.number().int().min(0).default(0),
  /** Seconds to wait for more when there is nothing behind the offset. */
  wait: z.coerce.number().min(0).max(60).default(0),
});
const logPollMs = 100;

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
  const sizeOf = async (file: string) => (await stat(file).catch(() => undefined))?.size ?? 0;

  app.get(base, async ({ query }) => {
    const { image } = parseAs(filterSchema, query, "the query");
    return listPage(
      query,
      (page) => builds.list({ ...page, image }),
      ({ id }) => id,
    );
  });
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));

  /** The log from an offset on, in bytes; x-build-status says whether more can come. */
  app.get<Named>(`${base}/:name/log`, async ({ params, query }, reply) => {
    const { offset, wait } = parseAs(logSchema, query, "the query");
    let build = await find(params.name);
    const file = join(buildFolder(data, build.id), "log");
    const deadline = clock.now().getTime() + wait * 1000;
    let size = await sizeOf(file);
    while (
      size <= offset &&
      (build.status === "pending" || build.status === "running") &&
      clock.now().getTime() < deadline
    ) {
      await clock.sleep(logPollMs);
      build = await find(build.id);
      size = await sizeOf(file);
    }
    reply.type("text/plain; charset=utf-8").header("x-build-status", build.status);
    if (size <= offset) return reply.send("");
    return reply.header("content-length", size - offset).send(createReadStream(file, { start: offset, end: size - 1 }));
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
