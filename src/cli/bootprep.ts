import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { Run } from "../bootprep/index.ts";
import type { Planned } from "../build/index.ts";
import { NetkilnError, formatProblem, type Problem } from "../lib/errors.ts";
import { wasCut } from "../lib/http.ts";
import { countOf } from "../lib/yaml.ts";
import { printSteps } from "./build-requests.ts";
import { collect, type OpenSession, type Session } from "./command.ts";
import { paint, printJson, type Output } from "./output.ts";
import { followRun, patiently } from "./run-progress.ts";

interface Options {
  readonly dryRun?: boolean;
  readonly vars?: readonly string[];
  readonly varsFile?: readonly string[];
  readonly limit?: readonly string[];
  readonly skipExistingConfigs?: boolean;
  readonly overwriteConfigs?: boolean;
  readonly skipExistingImages?: boolean;
  readonly overwriteImages?: boolean;
  readonly skipExistingTemplates?: boolean;
  readonly overwriteTemplates?: boolean;
}

/** Read from beside the file when it is there, as sat reads the variables of the software recipe. */
const defaultVariables = "product_vars.yaml";

interface Notices {
  readonly warnings: readonly Problem[];
  readonly uncommitted: readonly { url: string; paths: readonly string[] }[];
}

export function addBootprep(program: Command, open: OpenSession): void {
  const bootprep = program
    .command("bootprep")
    .description("make what a SAT bootprep file says: configurations, images, session templates");
  const command = bootprep.command("run <file>").description("carry out a bootprep file");
  command
    .option("-d, --dry-run", "only say what would be done, which steps are cached, and why the others are not")
    .option("--vars <name=value>", "set a variable, such as default.suffix=-test; can be repeated", collect)
    .option(
      "--vars-file <file>",
      `read variables from a YAML file, after ${defaultVariables} beside the file; can be repeated`,
      collect,
    )
    .option("--limit <section>", "only configurations, images or session_templates; can be repeated", collect)
    .option("--skip-existing-configs", "keep configurations that exist, whatever is in them")
    .option("--overwrite-configs", "replace configurations that exist")
    .option("--skip-existing-images", "keep images that exist")
    .option("--overwrite-images", "replace images that exist, and delete the old ones")
    .option("--skip-existing-templates", "keep session templates that exist")
    .option("--overwrite-templates", "replace session templates that exist");
  command.addHelpText("after", "\nExample:\n  netkiln bootprep run --dry-run examples/compute/bootprep.yaml");
  command.action(async (file: string, options: Options) => {
    const session = open(command);
    const request = await readRequest(file, options);
    if (options.dryRun === true) await showPlan(request, session);
    else await runBootprep(request, session);
  });

  const why = bootprep.command("status <run>").description("show how far a run is");
  why.addHelpText("after", "\nExample:\n  netkiln bootprep status 4f1c2a9b-6f0e-4f57-8f5a-0d9a3a1c7e55");
  why.action(async (id: string) => {
    const session = open(why);
    const run = await session.client.get<Run>(`/bootprep/runs/${encodeURIComponent(id)}`);
    if (session.output.json) printJson(session.output, run);
    else
      for (const { section, name, state } of run.items)
        session.output.print(`${section.replace("_", " ")} ${name}: ${state}`);
  });
}

export async function readRequest(file: string, options: Options): Promise<Record<string, unknown>> {
  const directory = dirname(resolve(file));
  const beside = join(directory, defaultVariables);
  const implied = await readFile(beside, "utf8").catch(() => undefined);
  const files = implied === undefined ? [] : [{ file: defaultVariables, text: implied }];
  for (const name of options.varsFile ?? []) files.push({ file: name, text: await read(name) });
  return {
    file,
    text: await read(file),
    directory,
    variables: options.vars ?? [],
    variable_files: files,
    ...(options.limit !== undefined && { limit: options.limit }),
    existing: {
      ...policy("configurations", options.skipExistingConfigs, options.overwriteConfigs),
      ...policy("images", options.skipExistingImages, options.overwriteImages),
      ...policy("templates", options.skipExistingTemplates, options.overwriteTemplates),
    },
  };
}

function policy(section: string, skip: boolean | undefined, overwrite: boolean | undefined): Record<string, string> {
  if (skip === true && overwrite === true) {
    throw new NetkilnError("invalid_input", `existing ${section} can be skipped or overwritten, not both`);
  }
  if (skip === true) return { [section]: "skip" };
  return overwrite === true ? { [section]: "overwrite" } : {};
}

async function read(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "does not exist" : `cannot be read (${error.code})`;
    throw new NetkilnError("invalid_input", `${file} ${reason}`);
  });
}

export async function runBootprep(request: Record<string, unknown>, session: Session): Promise<Run> {
  const send = () => session.client.send<Run & Notices>("POST", "/bootprep/runs", request);
  // Sent twice it does no harm: what the first request has started is joined.
  const run = await send().catch((error: unknown) => {
    if (!wasCut(error)) throw error;
    return patiently(session, send);
  });
  if (!session.output.json) {
    showNotices(run, session.output);
    if (run.status === "running")
      session.output.print(paint(session.output, "dim", `run ${run.id} (netkiln bootprep status ${run.id})`));
  }
  return followRun(run, session);
}

function showNotices({ warnings, uncommitted }: Notices, output: Output): void {
  for (const warning of warnings) output.warn(`${paint(output, "yellow", "warning:")} ${formatProblem(warning)}`);
  for (const { url, paths } of uncommitted) {
    const more = paths.length > 3 ? `, and ${countOf(paths.length - 3, "other")}` : "";
    output.warn(
      `${paint(output, "yellow", "warning:")} ${url} has uncommitted changes that no image will have: ${paths.slice(0, 3).join(", ")}${more}`,
    );
  }
}

interface PlanAnswer extends Notices {
  readonly configurations: readonly {
    name: string;
    action: string;
    layers: readonly { playbook: string; commit: string; branch?: string }[];
  }[];
  readonly images: readonly {
    name: string;
    action: string;
    steps: readonly Pick<Planned, "title" | "state" | "why" | "expectedSeconds">[];
  }[];
  readonly templates: readonly { name: string; action: string }[];
}

async function showPlan(request: Record<string, unknown>, { client, output }: Session): Promise<void> {
  const plan = await client.send<PlanAnswer>("POST", "/bootprep/plans", request);
  if (output.json) return printJson(output, plan);
  showNotices(plan, output);
  for (const { name, action, layers } of plan.configurations) {
    output.print(`configuration ${paint(output, "bold", name)}: ${action}`);
    for (const { playbook, commit, branch } of layers) {
      output.print(`  ${playbook} at ${commit.slice(0, 12)}${branch === undefined ? "" : ` (${branch})`}`);
    }
  }
  for (const { name, action, steps } of plan.images) {
    output.print(`image ${paint(output, "bold", name)}: ${action}`);
    printSteps(steps, output);
  }
  for (const { name, action } of plan.templates)
    output.print(`session template ${paint(output, "bold", name)}: ${action}`);
}
