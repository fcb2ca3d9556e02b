import type { Run, RunItem } from "../bootprep/index.ts";
import type { Build, StepReport } from "../build/index.ts";
import { clock } from "../lib/clock.ts";
import { fromErrorRecord, NetkilnError } from "../lib/errors.ts";
import type { Session } from "./command.ts";
import { formatSeconds, paint, printJson, type Output } from "./output.ts";

const retryMs = 100;
/** Seconds between two looks at what is under way when nothing happens: the time that is shown goes on. */
const lookSeconds = 1;
/** Builds whose events are waited for: they stand in one URL. News of the others is seen at the next look. */
const buildsAsked = 100;
/** Seconds after which a build that nobody has taken is worth a word. */
const untakenSeconds = 5;
/** How long a server that went away is waited for: it may be restarting, and its run goes on then. */
const awaySeconds = 120;

/** Shows a bootprep run until it has ended, through restarts of the server; throws when it failed. */
export async function followRun(first: Run, session: Session): Promise<Run> {
  const { output } = session;
  const shown = new Map<string, string>();
  const started = clock.now().getTime();
  let run = first;
  let seen = 0;
  for (;;) {
    if (!output.json) await showRun(run, shown, started, session);
    if (run.status !== "running") break;
    const builds = run.items.flatMap(({ build, state }) =>
      build === undefined || state !== "running" ? [] : [`build:${build}`],
    );
    seen = await untilNews([`run:${run.id}`, ...builds.slice(0, buildsAsked)], seen, session);
    run = await patiently(session, () => session.client.get<Run>(`/bootprep/runs/${run.id}`));
  }
  if (output.json) printJson(output, run);
  const failed = run.items.filter((item) => item.state === "failed");
  // A template that lacks its image only repeats what happened to the image.
  const causes = failed.filter((item) => item.section !== "session_template");
  if (failed.length > 0) throw failureOf(causes.length > 0 ? causes : failed);
  return run;
}

function failureOf(failed: readonly RunItem[]): NetkilnError {
  const [first] = failed;
  const others = failed
    .slice(1)
    .map(({ section, name, error }) => `${section.replace("_", " ")} ${name}: ${error?.message ?? "failed"}`);
  return new NetkilnError(
    // A refusal or wrong input that only the run could find keeps its exit code.
    first?.error?.code ?? "work_failed",
    `${first?.section.replace("_", " ")} ${first?.name}: ${first?.error?.message ?? "failed"}`,
    {
      problems: first?.error?.problems,
      output: [...others, ...(first?.error?.output ?? [])],
      hint: [first?.error?.hint, first?.build && `netkiln builds logs ${first.build.slice(0, 8)} has the whole story`]
        .filter((part) => part !== undefined && part !== "")
        .join("; "),
    },
  );
}

/** Asks a server that may be away for a while, as it is while it restarts. */
export async function patiently<T>(session: Session, ask: () => Promise<T>): Promise<T> {
  const deadline = clock.now().getTime() + awaySeconds * 1000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const away = error instanceof NetkilnError && error.code === "unreachable";
      if (!away || clock.now().getTime() > deadline) throw error;
      session.output.status("the server is away; waiting for it");
      await clock.sleep(retryMs);
    }
  }
}

/** Waits until something has happened to one of the subjects after the event `seen`; returns the last that has. */
async function untilNews(subjects: readonly string[], seen: number, session: Session): Promise<number> {
  const query = new URLSearchParams(subjects.map((subject): [string, string] => ["subject", subject]));
  query.set("after", String(seen));
  query.set("wait", String(lookSeconds));
  const { next } = await patiently(session, () => session.client.get<{ next: number }>(`/events?${query}`));
  return next;
}

async function showRun(run: Run, shown: Map<string, string>, started: number, session: Session): Promise<void> {
  const { output } = session;
  const running: string[] = [];
  for (const item of run.items) {
    if (item.build !== undefined) running.push(...(await showBuild(item, item.build, shown, session)));
    const line = lineOf(item, output);
    if (line === undefined || shown.get(`${item.section} ${item.name}`) === line) continue;
    shown.set(`${item.section} ${item.name}`, line);
    output.print(line);
  }
  if (running.length > 0)
    output.status(`${formatSeconds((clock.now().getTime() - started) / 1000)}  ${running.join("  |  ")}`);
}

function lineOf(item: RunItem, output: Output): string | undefined {
  const name = `${item.section.replace("_", " ")} ${paint(output, "bold", item.name)}`;
  switch (item.state) {
    case "waiting":
      return undefined;
    case "running":
      return `${name}: build ${item.build?.slice(0, 8)}`;
    case "done":
      return `${name}: ${paint(output, "green", "done")}${item.section === "image" ? ` (${item.image})` : ""}`;
    case "reused":
      return `${name}: ${paint(output, "green", "unchanged")}${item.section === "image" ? ` (${item.image})` : ""}`;
    case "failed":
      return `${name}: ${paint(output, "red", "failed")}`;
  }
}

/** Shows a build until it has ended; throws when it failed. */
export async function followBuild(first: Build, session: Session): Promise<Build> {
  const { output } = session;
  const shown = new Map<string, string>();
  const started = clock.now().getTime();
  let seen = 0;
  for (;;) {
    if (!output.json) {
      const running = await showBuild({ name: first.image }, first.id, shown, session);
      const seconds = formatSeconds((clock.now().getTime() - started) / 1000);
      if (running.length > 0) output.status(`${seconds}  ${running.join("  |  ")}`);
    }
    const build = await patiently(session, () => session.client.get<Build>(`/builds/${first.id}`));
    if (build.error !== undefined) throw fromErrorRecord(build.error);
    if (build.status === "succeeded") {
      if (!output.json) await showBuild({ name: first.image }, first.id, shown, session);
      else printJson(output, build);
      return build;
    }
    seen = await untilNews([`build:${first.id}`], seen, session);
  }
}

/** Prints what changed in a build's steps; returns the titles of those that run. */
async function showBuild(
  item: Pick<RunItem, "name">,
  id: string,
  shown: Map<string, string>,
  session: Session,
): Promise<string[]> {
  const { output } = session;
  if (shown.get(id) === "ended") return [];
  const build = await patiently(session, () => session.client.get<Build>(`/builds/${id}`));
  if (shown.get(id) === undefined) {
    shown.set(id, "shown");
    output.print(headingOf(build, paint(output, "bold", item.name)));
    if ("section" in item)
      shown.set(`image ${item.name}`, lineOf({ ...item, state: "running" } as RunItem, output) ?? "");
  }
  for (const step of build.steps) {
    const key = `${id} ${step.title}`;
    if (step.state === "waiting" || shown.get(key) === step.state) continue;
    shown.set(key, step.state);
    for (const line of stepLines(item.name, step, output)) output.print(line);
  }
  if (
    build.status === "pending" &&
    shown.get(`${id} untaken`) === undefined &&
    secondsSince(build.created) > untakenSeconds
  ) {
    shown.set(`${id} untaken`, "told");
    output.warn(
      `${paint(output, "yellow", "warning:")} no worker has taken build ${id.slice(0, 8)} yet: is one running (netkiln worker, as root)?`,
    );
  }
  if (build.status === "succeeded" || build.status === "failed") shown.set(id, "ended");
  return build.steps.filter(({ state }) => state === "running").map(({ title }) => `${item.name}: ${title}`);
}

/** `name` is that of the image; a lock's names the recipe, and says so. */
function headingOf({ kind, id }: Build, name: string): string {
  const short = id.slice(0, 8);
  switch (kind) {
    case "image":
      return `image ${name}: build ${short}`;
    case "verify":
      return `image ${name}: build ${short}, to compare`;
    case "lock":
      return `${name}: lookup ${short}`;
  }
}

function stepLines(image: string, step: StepReport, output: Output): string[] {
  const what = `  ${image}  ${step.title}`;
  switch (step.state) {
    case "cached":
      return [paint(output, "dim", `${what}: cached`)];
    case "shared":
      return [paint(output, "dim", `${what}: shared with another image`)];
    case "running":
      return [
        `${what}: running${(step.why ?? []).length > 0 ? paint(output, "yellow", `  (${step.why?.join("; ")})`) : ""}`,
      ];
    case "done":
      return [`${what}: ${paint(output, "green", "done")} in ${formatSeconds(step.seconds ?? 0)}`];
    case "failed":
      return [`${what}: ${paint(output, "red", "failed")} after ${formatSeconds(step.seconds ?? 0)}`];
    case "waiting":
      return [];
  }
}

function secondsSince(time: string): number {
  return (clock.now().getTime() - Date.parse(time)) / 1000;
}
