import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { clock } from "../lib/clock.ts";
import type { EventStore } from "../telemetry/index.ts";
import type { BuildStore } from "./store.ts";
import type { Planned, StepReport } from "./types.ts";

/** What a build says while it runs: its log, kept in a file, and the state of each step, kept in its record. */
export interface Journal {
  /** The build's own folder: `log`, `verdict.json`, `verdict.xml`. */
  readonly folder: string;
  line(text: string): void;
  report(step: Planned, change: Pick<StepReport, "state" | "seconds" | "why">): Promise<void>;
  close(): Promise<void>;
}

export function buildFolder(data: string, id: string): string {
  return join(data, "builds", id);
}

export async function openJournal(
  id: string,
  planned: readonly Planned[],
  context: { data: string; builds: BuildStore; events: EventStore },
): Promise<Journal> {
  const folder = buildFolder(context.data, id);
  await mkdir(folder, { recursive: true });
  const file = createWriteStream(join(folder, "log"), { flags: "a" });
  // A full disk must not end the build by way of its log; the step that needs the room will say so.
  file.on("error", () => undefined);
  const steps = new Map<string, StepReport>(
    planned.map((step) => [step.slot, { kind: step.kind, title: step.title, state: "waiting", why: step.why }]),
  );
  const write = (text: string) => void (file.writable && file.write(`${text}\n`));
  const save = () => context.builds.setSteps(id, [...steps.values()]);
  await save();
  return {
    folder,
    line: write,
    report: async (step, change) => {
      const report: StepReport = { kind: step.kind, title: step.title, ...change };
      steps.set(step.slot, report);
      const time = clock.now().toISOString().slice(11, 19);
      const took = change.seconds === undefined ? "" : ` in ${change.seconds.toFixed(1)} s`;
      write(`==> ${time} ${step.title}: ${change.state}${took}`);
      if (change.state === "running") for (const reason of change.why ?? []) write(`    because ${reason}`);
      await save();
      await context.events.record(`build:${id}`, "step", { ...report });
    },
    close: async () => {
      file.end();
      await finished(file).catch(() => undefined);
    },
  };
}
