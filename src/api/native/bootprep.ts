import type { FastifyInstance } from "fastify";
import { z } from "zod";
import {
  bootprepJsonSchema,
  bootprepSchemaPage,
  collectVariables,
  findRecipeVariables,
  listVariables,
  planBootprep,
  readBootprep,
  type Payload,
  type Plan,
  type PlanPorts,
  type RecipePorts,
  type Run,
} from "../../bootprep/index.ts";
import { allSteps, type BuildPlan } from "../../build/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { listPage, pageSchema } from "./page.ts";

export interface BootprepParts {
  readonly ports: PlanPorts;
  readonly recipe: RecipePorts;
  readonly planImages: (plan: Plan) => Promise<ReadonlyMap<string, BuildPlan>>;
  readonly uncommitted: (plan: Plan) => Promise<readonly { url: string; paths: readonly string[] }[]>;
  /** Starts a run and takes its first steps. */
  readonly startRun: (file: string, plan: Plan) => Promise<Run>;
  readonly findRun: (id: string) => Promise<Run | undefined>;
  readonly listRuns: (page: { limit: number; after: string | undefined }) => Promise<readonly Run[]>;
  /** What clients of CFS and BOS would send for the plan, or for the run. */
  readonly planPayloads: (plan: Plan) => Promise<readonly Payload[]>;
  readonly runPayloads: (run: Run) => Promise<readonly Payload[]>;
  /** The text of a bootprep file to begin with. */
  readonly example: () => Promise<string>;
}

const variablesSchema = z.strictObject({
  variables: z.array(z.string()).default([]),
  variable_files: z.array(z.strictObject({ file: z.string(), text: z.string() })).default([]),
  /** Of the HPC software recipe; the newest when not given. */
  recipe_version: z.string().min(1).optional(),
});

const policy = z.enum(["skip", "overwrite", "abort"]).optional();
const requestSchema = variablesSchema.extend({
  /** What to call the file in messages. */
  file: z.string().min(1),
  text: z.string(),
  /** Absolute folder of the file: relative git URLs start there. */
  directory: z.string().startsWith("/"),
  limit: z.array(z.enum(["configurations", "images", "session_templates"])).optional(),
  resolve_branches: z.boolean().default(true),
  existing: z.strictObject({ configurations: policy, images: policy, templates: policy }).default({}),
});

const base = "/apis/netkiln/v1/bootprep";

/** A bootprep file comes whole, with its variables: the same text is planned, and then run. */
export function registerBootprep(app: FastifyInstance, parts: BootprepParts): void {
  registerRuns(app, parts);
  /** What can be used in a file, and where it comes from. */
  app.post(`${base}/variables`, async ({ body }) => {
    const { sources, warnings } = await readSources(parseAs(variablesSchema, body, "the request"), parts);
    return { items: listVariables(sources), warnings };
  });
  app.get(`${base}/schema`, async () => bootprepJsonSchema());
  app.get(`${base}/schema.html`, async (_request, reply) =>
    reply.type("text/html; charset=utf-8").send(bootprepSchemaPage()),
  );
  app.get(`${base}/example`, async () => ({ text: await parts.example() }));
}

async function readSources(
  { variables, variable_files, recipe_version }: z.infer<typeof variablesSchema>,
  { recipe }: BootprepParts,
) {
  const { file, warnings } = await findRecipeVariables(recipe_version, recipe);
  const files = file === undefined ? variable_files : [file, ...variable_files];
  return { sources: { files, assignments: variables }, warnings };
}

async function makePlan(body: unknown, parts: BootprepParts) {
  const request = parseAs(requestSchema, body, "the request");
  const { sources, warnings } = await readSources(request, parts);
  const file = readBootprep({ file: request.file, text: request.text, variables: collectVariables(sources) });
  const { configurations, images, templates } = request.existing;
  const plan = await planBootprep(file, parts.ports, {
    directory: request.directory,
    resolveBranches: request.resolve_branches,
    ...(request.limit !== undefined && { limit: request.limit }),
    existing: {
      ...(configurations !== undefined && { configurations }),
      ...(images !== undefined && { images }),
      ...(templates !== undefined && { templates }),
    },
  });
  // Also before a run: a mistake in what the images are made of is told before anything has changed.
  const [builds, uncommitted] = await Promise.all([parts.planImages(plan), parts.uncommitted(plan)]);
  return {
    file: request.file,
    plan,
    builds,
    warnings: [...warnings, ...plan.warnings],
    uncommitted,
  };
}

function registerRuns(app: FastifyInstance, parts: BootprepParts): void {
  /** What a run would do: every step of every image, and why those run that are not cached. Changes nothing. */
  app.post(`${base}/plans`, { config: { body: requestSchema } }, async ({ body }) => {
    const { plan, builds, warnings, uncommitted } = await makePlan(body, parts);
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
      payloads: await parts.planPayloads(plan),
      warnings,
      uncommitted,
    };
  });
  app.post(`${base}/runs`, { config: { body: requestSchema } }, async ({ body }, reply) => {
    const { file, plan, warnings, uncommitted } = await makePlan(body, parts);
    const run = await parts.startRun(file, plan);
    return reply.code(201).send({ ...run, warnings, uncommitted });
  });
  app.get(`${base}/runs`, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(query, parts.listRuns, ({ id }) => id),
  );
  const find = async (id: string) => {
    const run = await parts.findRun(id);
    if (run === undefined) throw new NetkilnError("not_found", `there is no bootprep run "${id}"`);
    return run;
  };
  app.get<{ Params: { id: string } }>(`${base}/runs/:id`, async ({ params }) => find(params.id));
  app.get<{ Params: { id: string } }>(`${base}/runs/:id/payloads`, async ({ params }) => ({
    items: await parts.runPayloads(await find(params.id)),
  }));
}
