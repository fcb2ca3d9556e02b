import type { Image, ImageStore } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { SingleFlight } from "../lib/single-flight.ts";
import type { Turns } from "../lib/turns.ts";
import type { EventStore } from "../telemetry/index.ts";
import type { Journal } from "./journal.ts";
import type { LayerStore } from "./layers.ts";
import type { PlanContext } from "./plan.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import type { BuildStore } from "./store.ts";
import type { ReadLayers } from "./read-layers.ts";
import type { BuildPlan, ImageRequest, Planned, StepResult } from "./types.ts";

/** What builds need of the house. */
export interface BuildContext extends PlanContext {
  readonly data: string;
  /** netkiln's own. */
  readonly version: string;
  readonly layers: LayerStore;
  readonly images: ImageStore;
  readonly builds: BuildStore;
  readonly events: EventStore;
  /** For steps that take turns, so that one can take what another has made. */
  readonly turns: Turns;
  readonly read: ReadLayers;
  /** Folder of modules that Ansible has packed. */
  readonly packedModules: string;
  /** Steps under way in this process, by key: a base that two images share is built once. */
  readonly flights: SingleFlight<StepResult>;
}

/** A build under way: what its steps share. */
export interface Work {
  readonly id: string;
  readonly request: ImageRequest;
  readonly plan: BuildPlan;
  readonly journal: Journal;
  readonly context: BuildContext;
  readonly signal: AbortSignal;
}

/** How a step runs its tools: their lines go to the build's log, and they can be stopped. */
export interface StreamedRun {
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

export function streamedRun({ signal, journal }: Work): StreamedRun {
  return { signal, onLine: (line) => journal.line(line) };
}

/** A finished tree, or the part of it that stands. */
export interface Tree {
  /** Diff IDs, the topmost first. */
  readonly layers: readonly string[];
  readonly chain: string;
  /** What its bases are made of: the digest of each lock, by family. */
  readonly locks: Image["locks"];
  /** What made it, as provenance tells it. */
  readonly steps: readonly Pick<Planned, "kind" | "title" | "key" | "inputs">[];
  /** The newest image in it; its build id is what nodes report. */
  readonly release: Image["base"];
  /** The image below that one. */
  readonly base: Image["base"];
}

/** Every tree that becomes an image ends with a release. */
export function releaseOf({ release }: Tree): NonNullable<Tree["release"]> {
  if (release !== undefined) return release;
  throw new NetkilnError("internal", "a tree without a release is no image's");
}

/** The tree of some layers, read-only, without devices and without a network; a step asks for more as it needs it. */
export function sandboxOf(
  layers: readonly string[],
  work: string,
  { layers: store }: Pick<BuildContext, "layers">,
): Sandbox {
  return {
    layers: store.root,
    // What is undone and done again is the same layer twice. Overlayfs takes a folder once; of the lower one nothing shows.
    lower: [...new Set(layers), store.empty],
    changes: { kind: "none" },
    work,
    devices: false,
    network: false,
  };
}

/** Does two things at once; when one fails, the other is stopped, and the failure is the one's. */
export async function together<A, B>(
  work: Work,
  first: (part: Work) => Promise<A>,
  second: (part: Work) => Promise<B>,
): Promise<[A, B]> {
  const stop = new AbortController();
  const part: Work = { ...work, signal: AbortSignal.any([work.signal, stop.signal]) };
  let failure: { readonly error: unknown } | undefined;
  const guard = (error: unknown) => {
    failure ??= { error };
    stop.abort();
    throw error;
  };
  const both = [first(part).catch(guard), second(part).catch(guard)] as const;
  const results = await Promise.allSettled(both);
  if (failure !== undefined) throw failure.error;
  const [a, b] = results as [PromiseFulfilledResult<A>, PromiseFulfilledResult<B>];
  return [a.value, b.value];
}
