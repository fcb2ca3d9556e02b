import { clock, timestamp } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Digests } from "../lib/files.ts";
import { processName } from "../lib/process.ts";
import { explainFullDisk } from "./full-disk.ts";
import { slotOf, stepKey } from "./key.ts";
import { layerPartInputs } from "./layer-parts.ts";
import { settle } from "./plan.ts";
import type { BuildContext, Work } from "./work.ts";
import type { LayerPartKind, Planned, StepReport, StepResult } from "./types.ts";

/** What a step has made; `reused` says that another tree's result was good for this one too. */
export type Made = Partial<Pick<StepResult, "chain" | "layer" | "file" | "rootHash" | "downloads">> & {
  readonly reused?: true;
};

/**
 * Does a step on the tree `below` unless its result is kept already. A result counts from the moment at which its
 * record is written, and each is made once, however many builds in however many processes want it.
 */
export async function keepStep(
  step: Planned,
  below: string,
  work: Work,
  make: (folder: string) => Promise<Made>,
): Promise<StepResult> {
  const { context, journal, signal } = work;
  // What it stands on may have been made since the plan.
  const planned = await settle(step, below, context);
  const { key = "" } = planned;
  const kept = () => findKept(key, context);
  const early = await kept();
  if (early !== undefined) {
    await journal.report(step, { state: "cached", why: [] });
    return early;
  }
  await journal.report(step, { state: "running", why: planned.why });
  const started = clock.now().getTime();
  const seconds = () => (clock.now().getTime() - started) / 1000;
  try {
    let state: StepReport["state"] = "shared";
    const result = await context.flights.run(key, () =>
      alone(key, context, signal, async () => {
        const other = await kept();
        if (other !== undefined) return other;
        const { reused, ...made } = await context.layers.withWorkFolder(make);
        state = reused === true ? "cached" : "done";
        const record = { key, kind: planned.kind, chain: below, seconds: seconds(), created: timestamp(), ...made };
        await context.steps.put(planned.slot, planned.inputs, record);
        return record;
      }),
    );
    await journal.report(step, { state, seconds: seconds(), why: planned.why });
    return result;
  } catch (error) {
    // A step that was stopped because another one failed has not failed itself.
    const state = signal.aborted ? "waiting" : "failed";
    const told = await explainFullDisk(error, context.data);
    // A full disk has no room for the report either; what made it full is what has to be told.
    await journal
      .report(step, { state, ...(state === "failed" && { seconds: seconds() }), why: planned.why })
      .catch(() => undefined);
    throw atStep(planned, told);
  }
}

/**
 * What can be worked out of a layer again at any time, and is kept so that it need not: none of the steps that an
 * operator sees. `makeFile` gets a folder of its own.
 */
export async function keepOfLayer(
  kind: LayerPartKind,
  layer: string,
  { context, signal }: Pick<Work, "context" | "signal">,
  makeFile: (folder: string) => Promise<Digests>,
): Promise<Digests> {
  const { inputs, key } = layerPart(kind, layer, context);
  const find = () => findOfLayer(kind, layer, context);
  const make = async () => {
    const other = await find();
    if (other !== undefined) return other;
    const started = clock.now().getTime();
    const file = await context.layers.withWorkFolder(makeFile);
    const seconds = (clock.now().getTime() - started) / 1000;
    const record = { key, kind, chain: layer, seconds, created: timestamp(), file };
    await context.steps.put(slotOf(layer, kind, kind), inputs, record);
    return file;
  };
  // In turns, and not one for all: a build that is stopped must not take along others that want the same.
  return (await find()) ?? context.turns.take(key, () => alone(key, context, signal, make));
}

/** What is kept of a layer already. */
export async function findOfLayer(
  kind: LayerPartKind,
  layer: string,
  context: BuildContext,
): Promise<Digests | undefined> {
  return (await findKept(layerPart(kind, layer, context).key, context))?.file;
}

function layerPart(kind: LayerPartKind, layer: string, { settings }: Pick<BuildContext, "settings">) {
  const inputs = layerPartInputs(settings.squashfsLevel)[kind];
  return { inputs, key: stepKey(kind, inputs, layer) };
}

async function findKept(key: string, context: BuildContext): Promise<StepResult | undefined> {
  const result = await context.steps.find(key);
  return result !== undefined && (await context.isKept(result)) ? result : undefined;
}

const claimPollMs = 100;

/** Waits until no other process does the step of that key; within a process the caller sees to that. */
export async function alone<T>(
  key: string,
  { steps }: BuildContext,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const owner = processName();
  signal.throwIfAborted();
  while (!(await steps.claim(key, owner))) await clock.sleep(claimPollMs, signal);
  try {
    return await work();
  } finally {
    await steps.disclaim(key, owner);
  }
}

/** Names the step in a failure, so that the message alone says where it was. */
export function atStep(planned: Pick<Planned, "title">, error: unknown): unknown {
  if (!(error instanceof NetkilnError)) return error;
  return new NetkilnError(error.code, `${planned.title}: ${error.message}`, error);
}
