import type { Command } from "commander";
import { clock } from "../lib/clock.ts";
import { countOf } from "../lib/text.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Session, SessionTemplate } from "../orchestration/index.ts";
import type { Boot } from "../telemetry/index.ts";
import { addNoun, ago, type OpenSession, type Session as CliSession } from "./command.ts";
import { timelineOf } from "./nodes.ts";
import { paint, printFields, printJson } from "./output.ts";
import { readYamlFile } from "./yaml-file.ts";

export function addTemplates(program: Command, open: OpenSession): void {
  const templates = addNoun<SessionTemplate>(program, open, {
    name: "templates",
    summary: "what to boot on which nodes (BOS session templates)",
    columns: [
      ["NAME", ({ name }) => name],
      ["BOOT SETS", ({ boot_sets }) => Object.keys(boot_sets).join(", ")],
      ["CONFIGURATION", ({ cfs }) => cfs?.configuration ?? ""],
    ],
    describe: (template, { output }) => printJson(output, template),
    example: "compute-1.0.0",
    deletable: true,
  });
  const put = templates
    .command("put <name>")
    .description("make or replace a template from a YAML or JSON file in the form of BOS v2");
  put.requiredOption("-f, --file <file>", "the template");
  put.addHelpText("after", "\nExample:\n  netkiln templates put compute -f template.yaml");
  put.action(async (name: string, { file }: { file: string }) => {
    const { client, output } = open(put);
    const path = `/templates/${encodeURIComponent(name)}`;
    const template = await client.send<SessionTemplate>("PUT", path, await readYamlFile(file));
    if (output.json) printJson(output, template);
    else output.print(`template ${template.name} has ${Object.keys(template.boot_sets).length} boot sets`);
  });
}

type SessionDetails = Session & { readonly failures: readonly { xname: string; message: string }[] };

export function addSessions(program: Command, open: OpenSession): void {
  const sessions = addNoun<SessionDetails>(program, open, {
    name: "sessions",
    summary: "booting, rebooting and shutting down nodes by a template",
    columns: [
      ["NAME", ({ name }) => name],
      ["OPERATION", ({ operation }) => operation],
      ["TEMPLATE", ({ template_name }) => template_name],
      ["STATUS", ({ status, error }) => (error === undefined || error === null ? status : `${status}, failed`)],
      ["STARTED", ({ start_time }) => ago(start_time, clock.now())],
    ],
    describe: (session, { output }) => {
      printFields(output, [
        ["session", session.name],
        ["operation", session.operation],
        ["template", session.template_name],
        ["limit", session.limit],
        ["status", session.status],
        ["nodes", session.components],
        ["started", session.start_time],
        ["ended", session.end_time ?? undefined],
        ["error", session.error ?? undefined],
      ]);
      for (const { xname, message } of session.failures) output.print(`${xname}: ${message}`);
    },
    example: "7c0b2f9e-0d4f-4a52-9d0b-6f1d4d7f9a10",
    deletable: true,
  });

  const create = sessions.command("create").description("boot, reboot or shut down the nodes of a template");
  create
    .requiredOption("-t, --template <name>", "the session template")
    .option("--operation <operation>", "boot, reboot or shutdown", "boot")
    .option("--name <name>", "name of the session")
    .option(
      "--limit <expression>",
      "only these nodes: xnames, aliases, groups and roles with commas; & for and, ! for not",
    )
    .option("--include-disabled", "also nodes that are disabled")
    .option("--max-boot-wait <seconds>", "how long a node may take until it reports")
    .option("--retries <count>", "how often a node's power is switched on before it counts as failed")
    .option("-w, --wait", "go on until the session has ended, and fail when it failed");
  create.addHelpText("after", "\nExample:\n  netkiln sessions create -t compute-1.0.0 --limit nid000001 --wait");
  create.action(async (options: CreateOptions) => {
    const session = open(create);
    const made = await createSession(options, session);
    if (options.wait === true) await waitForSession(made.name, session);
    else if (session.output.json) printJson(session.output, made);
    else session.output.print(`session ${made.name} is ${made.status}`);
  });
}

interface CreateOptions {
  readonly template: string;
  readonly operation: string;
  readonly name?: string;
  readonly limit?: string;
  readonly includeDisabled?: boolean;
  readonly maxBootWait?: string;
  readonly retries?: string;
  readonly wait?: boolean;
}

export async function createSession(options: CreateOptions, { client }: CliSession): Promise<Session> {
  return client.send<Session>("POST", "/sessions", {
    operation: options.operation,
    template_name: options.template,
    ...(options.name !== undefined && { name: options.name }),
    ...(options.limit !== undefined && { limit: options.limit }),
    ...(options.includeDisabled === true && { include_disabled: true }),
    options: {
      ...(options.maxBootWait !== undefined && { max_boot_wait_time: Number(options.maxBootWait) }),
      ...(options.retries !== undefined && { default_retry_policy: Number(options.retries) }),
    },
  });
}

const pollMs = 300;

/** Shows what the nodes of a session do until it has ended; throws when it failed. */
export async function waitForSession(name: string, { client, output }: CliSession): Promise<void> {
  const shown = new Set<string>();
  const started = clock.now().getTime();
  for (;;) {
    const session = await client.get<SessionDetails>(`/sessions/${encodeURIComponent(name)}`);
    const nodes = session.components.split(",").filter((xname) => xname !== "");
    for (const xname of nodes) await showNewPhases(xname, shown, started, { client, output });
    if (session.status === "complete") {
      if (output.json) printJson(output, session);
      if (session.error === undefined || session.error === null) return;
      throw new NetkilnError("work_failed", `session ${name} failed: ${session.error}`, {
        output: session.failures.map(({ xname, message }) => `${xname}: ${message}`),
      });
    }
    output.status(
      `session ${session.status}, ${countOf(nodes.length, "node")}, ${Math.round((clock.now().getTime() - started) / 1000)} s`,
    );
    await clock.sleep(pollMs);
  }
}

async function showNewPhases(
  xname: string,
  shown: Set<string>,
  since: number,
  { client, output }: CliSession,
): Promise<void> {
  const { items } = await client.get<{ items: Boot[] }>("/boots", { node: xname, limit: 1 });
  const [boot] = items;
  if (boot === undefined || Date.parse(boot.started) < since - 2000 || output.json) return;
  for (const [after = "", phase = "", , detail = ""] of timelineOf(boot)) {
    const key = `${boot.id} ${phase}`;
    if (shown.has(key)) continue;
    shown.add(key);
    output.print(
      `${paint(output, "dim", after)}  ${xname}  ${phase}${detail === "" ? "" : paint(output, "dim", `  ${detail}`)}`.slice(
        0,
        160,
      ),
    );
  }
}
