import type { Command } from "commander";
import type { GcReport, GcRun, KeptThing, StoreStatus, Why } from "../artifact/index.ts";
import { clock } from "../lib/clock.ts";
import { fromErrorRecord } from "../lib/errors.ts";
import type { OpenSession, Session } from "./command.ts";
import { formatBytes, paint, printFields, printJson, printTable, type Output } from "./output.ts";
import { patiently } from "./run-progress.ts";

export function addStore(program: Command, open: OpenSession): void {
  const store = program.command("store").description("what is stored, why, and what can go");
  addStatus(store, open);
  addWhy(store, open);
  addGc(store, open);
}

function addStatus(store: Command, open: OpenSession): void {
  const command = store.command("status").description("count what is stored, with its size");
  command.addHelpText("after", "\nExample:\n  netkiln store status");
  command.action(async () => {
    const { client, output } = open(command);
    const status = await client.get<StoreStatus>("/store");
    if (output.json) return printJson(output, status);
    const rows = Object.entries(status.stored).map(([kind, { count, bytes }]) => [
      `${kind}s`,
      String(count),
      formatBytes(bytes),
    ]);
    printTable(output, ["WHAT", "COUNT", "SIZE"], rows);
    output.print("");
    const { gc } = status;
    printFields(output, [
      ["images", `${status.images}, and ${status.deletedImages} deleted`],
      ["can go", amount(status.garbage)],
      ["too young to go", amount(status.young)],
      ["last gc", gc && `${gc.created}, ${gc.status}${gc.finished === undefined ? ` (${gc.phase})` : ""}`],
    ]);
  });
}

function addWhy(store: Command, open: OpenSession): void {
  const command = store
    .command("why <name>")
    .description("say why an image is kept, or a blob or a layer by its digest or the beginning of it");
  command.addHelpText("after", "\nExample:\n  netkiln store why compute-1.0.0");
  command.action(async (name: string) => {
    const { client, output } = open(command);
    const why = await client.get<Why>(`/store/why/${encodeURIComponent(name)}`);
    if (output.json) return printJson(output, why);
    if ("state" in why) return showThing(why, output);
    output.print(`${why.kind} ${paint(output, "bold", why.name)}`);
    for (const sentence of why.because) output.print(`  ${sentence}`);
    if (why.fate === "delete") output.print("  nothing: the next garbage collection deletes it");
    if (why.fate === "destroy") output.print("  nothing: the next garbage collection ends it for good");
    output.print(`${formatBytes(why.bytes)}, of which nothing else needs ${formatBytes(why.bytesAlone)}`);
  });
}

function showThing(why: Extract<Why, { state: string }>, output: Output): void {
  output.print(`${why.kind} ${paint(output, "bold", why.name)}, ${formatBytes(why.bytes)}`);
  for (const { name, because } of why.keptBy) output.print(`  ${name}: ${because.join("; ")}`);
  if (why.state === "young") output.print("  nothing leads to it, but it is too young to go");
  if (why.state === "condemned") output.print("  nothing leads to it: the next garbage collection removes it");
}

function addGc(store: Command, open: OpenSession): void {
  const command = store
    .command("gc")
    .description(
      "apply the retention rules, end old boots, boot tokens, accesses and events, and remove what nothing leads to",
    );
  command.option("-d, --dry-run", "only say what would be removed, and why the largest things are kept");
  command.addHelpText("after", "\nExample:\n  netkiln store gc --dry-run");
  command.action(async ({ dryRun }: { dryRun?: boolean }) => {
    const session = open(command);
    const { client, output } = session;
    if (dryRun === true) {
      const report = await client.send<GcReport>("POST", "/store/gc-plans");
      if (output.json) printJson(output, report);
      else showReport(report, { would: true }, output);
      return;
    }
    const run = await follow(await client.send<GcRun>("POST", "/store/gc-runs"), session);
    if (output.json) printJson(output, run);
    if (run.error !== undefined) throw fromErrorRecord(run.error);
    if (!output.json) showReport(run.report, { would: false }, output);
  });
}

const pollMs = 200;

async function follow(started: GcRun, session: Session): Promise<GcRun> {
  const { client, output } = session;
  let run = started;
  let told = "";
  for (;;) {
    if (run.finished !== undefined) return run;
    if (run.phase !== told && !output.json)
      output.print(paint(output, "dim", `gc ${run.id.slice(0, 8)}: ${run.phase}`));
    told = run.phase;
    output.status(`${formatBytes(run.report.freed)} freed`);
    await clock.sleep(pollMs);
    run = await patiently(session, () => client.get<GcRun>(`/store/gc-runs/${run.id}`));
  }
}

/** Smaller things are only counted. */
const shownItems = 20;

function showReport(report: GcReport, { would }: { would: boolean }, output: Output): void {
  for (const { name, id, fate } of report.images) {
    output.print(fate === "delete" ? `delete image ${name} (${id})` : `end image ${name} (${id}) for good`);
  }
  for (const { name, id } of report.recipes) output.print(`end recipe ${name} (${id}) for good`);
  for (const { kind, name, bytes } of report.items.slice(0, shownItems)) {
    output.print(`remove ${kind} ${name.slice(0, 12)}, ${formatBytes(bytes)}`);
  }
  const { length } = report.items;
  if (length > shownItems) output.print(`remove ${length - shownItems} more`);
  if (would && report.keptMost.length > 0) {
    output.print("");
    printTable(output, ["KEPT", "DIGEST", "SIZE", "WHY"], report.keptMost.map(keptRow));
    output.print("");
  }
  for (const [kind, count] of Object.entries(report.history ?? {})) {
    if (count > 0) output.print(`end ${count} old ${kind}${count === 1 ? "" : kind === "boot access" ? "es" : "s"}`);
  }
  const counts = Object.entries(report.removed).filter(([, { count }]) => count > 0);
  const what = counts.map(([kind, { count }]) => `${count} ${kind}${count === 1 ? "" : "s"}`).join(", ");
  const freed = `${formatBytes(report.freed)} ${would ? "would be freed" : "freed"}`;
  output.print(`${freed}${what === "" ? "" : `: ${what}`}; ${amount(report.kept)} kept`);
  if (report.young.count > 0) output.print(`${amount(report.young)} too young to go`);
}

function keptRow({ kind, name, bytes, keptBy }: KeptThing): string[] {
  const [first] = keptBy;
  const more = keptBy.length > 1 ? ` and ${keptBy.length - 1} more` : "";
  const why = first === undefined ? "" : `${first.name.replace(/ \([0-9a-f-]{36}\)$/, "")}${more}`;
  return [
    kind,
    name.slice(0, 12),
    formatBytes(bytes),
    `${why}${first === undefined ? "" : `: ${first.because[0] ?? ""}`}`,
  ];
}

function amount({ count, bytes }: { count: number; bytes: number }): string {
  return `${count} ${count === 1 ? "thing" : "things"} (${formatBytes(bytes)})`;
}
