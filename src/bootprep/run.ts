/** Carrying out a plan, in steps that can be taken again: what is done is in the run's record, nothing elsewhere. */
import { NetkilnError, toErrorRecord, type ErrorRecord } from "../lib/errors.ts";
import type { Plan, PlannedConfiguration, PlannedImage, PlannedTemplate } from "./ports.ts";

export type RunItemState = "waiting" | "running" | "done" | "reused" | "failed";

/** A configuration, image or session template of the file, and how far it is. */
export interface RunItem {
  readonly section: "configuration" | "image" | "session_template";
  readonly name: string;
  readonly state: RunItemState;
  /** The build that makes the image. */
  readonly build?: string;
  /** The image's id. */
  readonly image?: string;
  /** What the plan does with it; not known of runs of before 0.2.0. */
  readonly action?: string;
  /** The configuration of an image or a session template. */
  readonly configuration?: string;
  /** The Ansible groups of an image that is configured. */
  readonly groups?: readonly string[];
  readonly error?: ErrorRecord;
}

export interface Run {
  readonly id: string;
  readonly file: string;
  readonly status: "running" | "succeeded" | "failed";
  readonly created: string;
  readonly finished?: string;
  readonly items: readonly RunItem[];
}

export type StartedImage =
  | { readonly kind: "image"; readonly image: string }
  | { readonly kind: "build"; readonly build: string };

export type BuildOutcome =
  | { readonly kind: "running" }
  | { readonly kind: "image"; readonly image: string }
  | { readonly kind: "failed"; readonly error: ErrorRecord };

/** What a run changes; every call may come twice, as after a crash, and must then change nothing more. */
export interface RunPorts {
  putConfiguration(configuration: PlannedConfiguration): Promise<void>;
  startImage(image: PlannedImage & { action: "build" }, plan: Plan): Promise<StartedImage>;
  outcomeOf(build: string): Promise<BuildOutcome>;
  putTemplate(
    template: Exclude<PlannedTemplate, { action: "skip" }>,
    image: string,
  ): Promise<{ readonly changed: boolean }>;
  /** Not when something else uses the image: then it stays. */
  deleteImage(id: string): Promise<void>;
}

export function itemsOf(plan: Plan): RunItem[] {
  const state = "waiting";
  return [
    ...plan.configurations.map(({ name, action }): RunItem => ({ section: "configuration", name, action, state })),
    ...plan.images.map((image): RunItem => {
      const { name, action } = image;
      const item = { section: "image", name, action, state } as const;
      if (image.action === "skip" || image.configuration === undefined) return item;
      return { ...item, configuration: image.configuration, groups: image.groups };
    }),
    ...plan.templates.map((template): RunItem => {
      const { name, action } = template;
      const item = { section: "session_template", name, action, state } as const;
      return template.action === "skip" ? item : { ...item, configuration: template.configuration };
    }),
  ];
}

/**
 * Takes every step of a run that can be taken now: configurations first, then all images at once (a build waits for
 * the trees below it by itself), then the templates whose images are there, and at last the deletion of what was
 * replaced. Returns how the items stand.
 */
export async function advance(plan: Plan, items: readonly RunItem[], ports: RunPorts): Promise<RunItem[]> {
  const next: RunItem[] = [];
  const imageOf = (name: string) => next.find((item) => item.section === "image" && item.name === name);
  for (const item of items) {
    if (item.state === "done" || item.state === "reused" || item.state === "failed") {
      next.push(item);
      continue;
    }
    next.push(
      await attempt(item, async () => {
        if (item.section === "configuration") return advanceConfiguration(item, plan, ports);
        if (item.section === "image") return advanceImage(item, plan, ports);
        return advanceTemplate(item, plan, ports, imageOf);
      }),
    );
  }
  if (statusOf(next) !== "running") await deleteReplaced(plan, next, ports);
  return next;
}

/** Images that were replaced go last, when no template of the file names them any more. */
async function deleteReplaced(plan: Plan, items: readonly RunItem[], ports: RunPorts): Promise<void> {
  for (const planned of plan.images) {
    const made = items.find(({ section, name }) => section === "image" && name === planned.name);
    if (planned.action !== "build" || made?.state !== "done") continue;
    for (const id of planned.replaces) if (id !== made.image) await ports.deleteImage(id);
  }
}

async function attempt(item: RunItem, step: () => Promise<RunItem>): Promise<RunItem> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof NetkilnError)) throw error;
    return { ...item, state: "failed", error: toErrorRecord(error) };
  }
}

async function advanceConfiguration(item: RunItem, plan: Plan, ports: RunPorts): Promise<RunItem> {
  const planned = plan.configurations.find(({ name }) => name === item.name);
  if (planned === undefined || planned.action === "skip" || planned.action === "reuse") {
    return { ...item, state: "reused" };
  }
  await ports.putConfiguration(planned);
  return { ...item, state: "done" };
}

async function advanceImage(item: RunItem, plan: Plan, ports: RunPorts): Promise<RunItem> {
  const planned = plan.images.find(({ name }) => name === item.name);
  if (planned === undefined) return { ...item, state: "reused" };
  if (planned.action === "skip") return { ...item, state: "reused", image: planned.id };
  if (item.build === undefined) {
    const started = await ports.startImage(planned, plan);
    if (started.kind === "image") return { ...item, state: "reused", image: started.image };
    return { ...item, state: "running", build: started.build };
  }
  const outcome = await ports.outcomeOf(item.build);
  if (outcome.kind === "running") return item;
  if (outcome.kind === "failed") return { ...item, state: "failed", error: outcome.error };
  return { ...item, state: "done", image: outcome.image };
}

async function advanceTemplate(
  item: RunItem,
  plan: Plan,
  ports: RunPorts,
  imageOf: (name: string) => RunItem | undefined,
): Promise<RunItem> {
  const planned = plan.templates.find(({ name }) => name === item.name);
  if (planned === undefined || planned.action === "skip") return { ...item, state: "reused" };
  const made = planned.image.kind === "existing" ? undefined : imageOf(planned.image.name);
  if (made?.state === "failed") throw new NetkilnError("work_failed", `its image ${made.name} was not built`);
  const image = planned.image.kind === "existing" ? planned.image.id : made?.image;
  if (image === undefined) return item;
  const { changed } = await ports.putTemplate(planned, image);
  return { ...item, state: changed ? "done" : "reused", image };
}

export function statusOf(items: readonly RunItem[]): Run["status"] {
  if (items.some((item) => item.state === "waiting" || item.state === "running")) return "running";
  return items.some((item) => item.state === "failed") ? "failed" : "succeeded";
}
