import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  collectVariables,
  planBootprep,
  readBootprep,
  type Plan,
  type PlanPorts,
  type Run,
} from "../../bootprep/index.ts";
import { allSteps, type BuildPlan } from "../../build/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { listPage } from "./page.ts";

export interface BootprepParts {
  readonly ports: PlanPorts;
  readonly planImages: (plan: Plan) => Promise<ReadonlyMap<string, BuildPlan>>;
  readonly uncommitted: (plan: Plan) => Promise<readonly { url: string; paths: readonly string[] }[]>;
  /** Starts a run and takes its first steps. */
  readonly startRun: (file: string, plan: Plan) => Promise<Run>;
  readonly findRun: (id: string) => Promise<Run | undefined>;
  readonly listRuns: (page: { limit: number; after: string | undefined }) => Promise<readonly Run[]>;
}

const policy = z.enum(["skip", "overwrite", "abort"]).optional();
const requestSchema = z.strictObject({
  /** What to call the file in messages. */
  file: z.string().min(1),
  text: z.string(),
  /** Absolute folder of the file: relative git URLs start there. */
  directory: z.string().startsWith("/"),
  variables: z.array(z.string()).default([]),
  variable_files: z.array(z.strictObject({ file: z.string(), text: z.string() })).default([]),
  limit: z.array(z.enum(["configurations", "images", "session_templates"])).optional(),
  existing: z.strictObject({ configurations: policy, images: policy, templates: policy }).default({}),
});

/** A bootprep file comes whole, with its variables: the same text is planned, and then run. */
export function registerBootprep(app: FastifyInstance, parts: BootprepParts): void {
  const base = "/apis/netkiln/v1/bootprep";
  const makePlan = async (body: unknown) => {
    const request = parseAs(requestSchema, body, "the request");
    const variables = collectVariables({ files: request.variable_files, assignments: request.variables });
    const file = readBootprep({ file: request.file, text: request.text, variables });
    const { configurations, images, templates } = request.existing;
    const plan = await planBootprep(file, parts.ports, {
      directory: request.directory,
      ...(request.limit !== undefined && { limit: request.limit }),
      existing: {
        ...(configurations !== undefined && { configurations }),
        ...(images !== undefined && { images }),
        ...(templates !== undefined && { templates }),
      },
    });
    // Also before a run: a mistake in what the images are made of is told before anything has changed.
    const builds = await parts.planImages(plan);
    return { file: request.file, plan, builds, uncommitted: await parts.uncommitted(plan) };
  };

  /** What a run would do: every step of every image, and why those run that are not cached. Changes nothing. */
  app.post(`${base}/plans`, async ({ body }) => {
    const { plan, builds, uncommitted } = await makePlan(body);
    return {
      configurations: plan.configurations.map(({ name, action, layers }) => ({ name, action, layers })),
      images: plan.images.map(({ name, action }) => {
        const build = builds.get(name);
        if (build === undefined) return { name, action, steps: [] };
        const steps = allSteps(build);
        return {
          name,
          action: steps.every(({ state }) => state === "cached") ? "reuse" : action,
          steps: steps.map(({ kind, title, state, why, expectedSeconds }) => ({
            kind,
            title,
            state,
            why,
            expectedSeconds,
          })),
        };
      }),
      templates: plan.templates.map(({ name, action }) => ({ name, action })),
      warnings: plan.warnings,
      uncommitted,
    };
  });
  app.post(`${base}/runs`, async ({ body }, reply) => {
    const { file, plan, uncommitted } = await makePlan(body);
    const run = await parts.startRun(file, plan);
    return reply.code(201).send({ ...run, warnings: plan.warnings, uncommitted });
  });
  app.get(`${base}/runs`, async ({ query }) => listPage(query, parts.listRuns, ({ id }) => id));
  app.get<{ Params: { id: string } }>(`${base}/runs/:id`, async ({ params }) => {
    const run = await parts.findRun(params.id);
    if (run === undefined) throw new NetkilnError("not_found", `there is no bootprep run "${params.id}"`);
    return run;
  });
}
