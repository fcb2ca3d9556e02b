import type { Command } from "commander";
import type { Payload, Run } from "../bootprep/index.ts";
import type { Planned } from "../build/index.ts";
import { formatProblem, type Problem } from "../lib/errors.ts";
import { wasCut } from "../lib/http.ts";
import { countOf } from "../lib/text.ts";
import { addReference } from "./bootprep-reference.ts";
import {
  addOptionsWithoutEffect,
  addRequestOptions,
  addVariableOptions,
  readRequest,
  tellWithoutEffect,
  type RequestOptions,
} from "./bootprep-request.ts";
import {
  besideReport,
  formatOption,
  outputFolderOption,
  printAs,
  reportOf,
  savePayloads,
  type Format,
} from "./bootprep-results.ts";
import { printSteps } from "./build-requests.ts";
import type { OpenSession, Session } from "./command.ts";
import { paint, printJson, type Output } from "./output.ts";
import { followRun, patiently } from "./run-progress.ts";

interface Options extends RequestOptions {
  readonly dryRun?: boolean;
  readonly saveFiles?: boolean;
  readonly outputDir: string;
  readonly format: Format;
}

interface Notices {
  readonly warnings: readonly Problem[];
  readonly uncommitted: readonly { url: string; paths: readonly string[] }[];
}

export function addBootprep(program: Command, open: OpenSession): void {
  const bootprep = program
    .command("bootprep")
    .description("make what a SAT bootprep file says: configurations, images, session templates");
  const command = bootprep.command("run <file>").description("carry out a bootprep file");
  command.option("-d, --dry-run", "only say what would be done, which steps are cached, and why the others are not");
  addVariableOptions(command);
  addRequestOptions(command);
  command
    .option("-s, --save-files", "write what a client would send to CFS and BOS for it, one JSON file for each")
    .addOption(outputFolderOption())
    .addOption(formatOption());
  addOptionsWithoutEffect(command);
  command.addHelpText("after", "\nExample:\n  netkiln bootprep run --dry-run examples/compute/bootprep.yaml");
  command.action(async (file: string, options: Options) => {
    const session = open(command);
    tellWithoutEffect({ ...options }, session.output);
    const request = await readRequest(file, options);
    if (options.dryRun === true) await showPlan(request, options, session);
    else await runAndReport(request, options, session);
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
  addReference(bootprep, open);
}

async function runAndReport(
  request: Record<string, unknown>,
  { format, saveFiles, outputDir }: Options,
  session: Session,
): Promise<void> {
  const { client, output } = session;
  const isReport = format !== "pretty" && !output.json;
  const beside = isReport ? { client, output: besideReport(output) } : session;
  const started = await startRun(request, beside);
  try {
    const run = await followRun(started, beside);
    if (isReport) await printAs(format, reportOf(run), output);
  } finally {
    // Also of a run that failed: what was made before is in them.
    if (saveFiles === true) {
      const { items } = await client.get<{ items: Payload[] }>(`/bootprep/runs/${started.id}/payloads`);
      await save(items, outputDir, output);
    }
  }
}

export async function runBootprep(request: Record<string, unknown>, session: Session): Promise<Run> {
  return followRun(await startRun(request, session), session);
}

async function startRun(request: Record<string, unknown>, session: Session): Promise<Run> {
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
  return run;
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

/** The files' names go beside what is printed for programs. */
async function save(payloads: readonly Payload[], folder: string, output: Output): Promise<void> {
  for (const file of await savePayloads(payloads, folder)) output.warn(`saved: ${file}`);
}

interface PlanAnswer extends Notices {
  readonly configurations: readonly {
    name: string;
    action: string;
    layers: readonly { playbook: string; commit: string; branch?: string; headOf?: string }[];
  }[];
  readonly images: readonly {
    name: string;
    action: string;
    steps: readonly Pick<Planned, "title" | "state" | "why" | "expectedSeconds">[];
  }[];
  readonly templates: readonly { name: string; action: string }[];
  readonly payloads: readonly Payload[];
}

async function showPlan(
  request: Record<string, unknown>,
  { format, saveFiles, outputDir }: Options,
  { client, output }: Session,
): Promise<void> {
  const plan = await client.send<PlanAnswer>("POST", "/bootprep/plans", request);
  if (output.json) printJson(output, plan);
  else if (format !== "pretty") await printAs(format, plan, output);
  else printPlan(plan, output);
  if (saveFiles === true) await save(plan.payloads, outputDir, output);
}

function printPlan(plan: PlanAnswer, output: Output): void {
  showNotices(plan, output);
  for (const { name, action, layers } of plan.configurations) {
    output.print(`configuration ${paint(output, "bold", name)}: ${action}`);
    for (const { playbook, commit, branch, headOf = branch } of layers) {
      output.print(`  ${playbook} at ${commit.slice(0, 12)}${headOf === undefined ? "" : ` (${headOf})`}`);
    }
  }
  for (const { name, action, steps } of plan.images) {
    output.print(`image ${paint(output, "bold", name)}: ${action}`);
    printSteps(steps, output);
  }
  for (const { name, action } of plan.templates)
    output.print(`session template ${paint(output, "bold", name)}: ${action}`);
}
