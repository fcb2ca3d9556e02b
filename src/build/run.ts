import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { toJUnit, toText, type Verdict } from "../compliance/index.ts";
import { manifestText, type Image, type ImageArtifacts, type ImageStore } from "../image/index.ts";
import { clock, timestamp } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { canonicalJson, sha256, writeFileAtomic, type Digests } from "../lib/files.ts";
import type { SingleFlight } from "../lib/single-flight.ts";
import type { Turns } from "../lib/turns.ts";
import type { EventStore } from "../telemetry/index.ts";
import { aptSources, hostAptOptions } from "./base/apt-sources.ts";
import { makeDebianTree } from "./base/debian.ts";
import { runGate } from "./gate.ts";
import { openJournal, type Journal } from "./journal.ts";
import { applyAnsibleLayer } from "./layer/ansible.ts";
import { stageFiles } from "./layer/files.ts";
import { layOver } from "./layer/lay-over.ts";
import { stageRelease } from "./layer/release.ts";
import type { LayerStore } from "./layers.ts";
import { normalise } from "./normalise.ts";
import { makeInitrd } from "./output/initrd.ts";
import { findKernel, takeKernel } from "./output/kernel.ts";
import { firstDifference } from "./output/reuse.ts";
import { packSquashfs } from "./output/squashfs.ts";
import { commitsOf, formatVersion, planBuild, slotOf, type PlanContext } from "./plan.ts";
import { writeScaffold, type Sandbox } from "./sandbox/sandbox.ts";
import type { BuildStore } from "./store.ts";
import type { BuildPlan, ImageRequest, Planned, PlannedTreeStep, StepReport, StepResult } from "./types.ts";

export interface BuildContext extends PlanContext {
  readonly data: string;
  readonly layers: LayerStore;
  readonly images: ImageStore;
  readonly builds: BuildStore;
  readonly events: EventStore;
  /** For steps that take turns, so that one can take what another has made. */
  readonly turns: Turns;
  /** Steps under way in this process, by key: a base that two images share is built once. */
  readonly flights: SingleFlight<StepResult>;
}

/** How a step runs its tools: their lines go to the build's log, and they can be stopped. */
type StreamedRun = { readonly signal: AbortSignal; readonly onLine: (line: string) => void };

/** A build under way: what its steps share. */
interface Work {
  readonly id: string;
  readonly request: ImageRequest;
  readonly plan: BuildPlan;
  readonly journal: Journal;
  readonly context: BuildContext;
  readonly signal: AbortSignal;
}

/**
 * Builds, gates, packs and publishes one image. Every finished step is kept, so a build that is run again goes on
 * from there; nothing is visible before the last line.
 */
export async function runBuild(
  id: string,
  request: ImageRequest,
  context: BuildContext,
  signal: AbortSignal,
): Promise<Image> {
  const plan = await planBuild(request, context);
  const journal = await openJournal(id, [...plan.tree, plan.gate, ...Object.values(plan.outputs)], context);
  const work: Work = { id, request, plan, journal, context, signal };
  try {
    const tree = await makeTree(work);
    const [verdict, artifacts] = await together(
      work,
      (part) => passGate(tree, part),
      (part) => pack(tree, part),
    );
    return await publish(tree, verdict, artifacts, work);
  } catch (error) {
    journal.line(`==> failed: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof NetkilnError) for (const line of error.output) journal.line(`    ${line}`);
    throw error;
  } finally {
    await journal.close();
  }
}

/** Does two things at once; when one fails, the other is stopped, and the failure is the one's. */
async function together<A, B>(
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

/** A finished tree: its layers, the topmost first, and the identity of its content. */
interface Tree {
  readonly layers: readonly string[];
  readonly identity: string;
  /** The image that it was made from. */
  readonly base: Image["base"];
}

async function makeTree(work: Work): Promise<Tree> {
  const { plan, context } = work;
  const { base } = work.request;
  let tree: Tree = {
    layers: plan.baseLayers,
    identity: plan.baseIdentity ?? "",
    base: base.kind === "image" ? { name: base.image.name, buildId: base.image.buildId } : undefined,
  };
  for (const planned of plan.tree) {
    const below = tree;
    const result = await keepStep(planned, work, async (folder) => {
      const upper = join(folder, "tree");
      await mkdir(upper, { mode: 0o755 });
      const identity = await makeLayer(planned, below, upper, folder, work);
      await normalise(upper, plan.inherited.epoch, planned.kind === "base");
      await context.layers.commit(upper, planned.key);
      return { identity };
    });
    tree = { ...tree, layers: [planned.key, ...tree.layers], identity: result.identity };
    if (planned.step.kind === "release" && planned !== plan.tree.at(-1)) {
      tree = { ...tree, base: { name: planned.step.name, buildId: tree.identity } };
    }
  }
  return tree;
}

/** Inputs that say when or from where a tree was built, not what is in it. */
const circumstances = new Set(["packages as of", "package sources"]);

async function makeLayer(
  planned: PlannedTreeStep,
  below: Tree,
  upper: string,
  folder: string,
  work: Work,
): Promise<string> {
  const { step } = planned;
  const { context, plan } = work;
  const content = Object.entries(planned.inputs).filter(([name]) => !circumstances.has(name));
  const identity = sha256(canonicalJson([step.kind, below.identity, content])).slice(0, 32);
  const options = { signal: work.signal, onLine: (line: string) => work.journal.line(line) };
  const sandbox = { ...sandboxOf(below.layers, folder, context), changes: { kind: "keep", upper } } as const;
  switch (step.kind) {
    case "base": {
      const { spec } = step.recipe;
      const packageSet = await makeDebianTree({ spec, ...(await aptSetup(work)) }, upper, folder, options);
      return sha256(canonicalJson([identity, packageSet])).slice(0, 32);
    }
    case "files":
      await layOver((staging) => stageFiles(step.recipe, context.blobs, staging), sandbox, options);
      return identity;
    case "ansible": {
      const scaffold = join(folder, "scaffold");
      const resolvConf = await readFile("/etc/resolv.conf", "utf8").catch(() => undefined);
      await writeScaffold(scaffold, { ...(await aptSetup(work)), resolvConf });
      const scaffolded: Sandbox = { ...sandbox, lower: [scaffold, ...sandbox.lower], devices: true, network: true };
      await applyAnsibleLayer(step, plan.inherited.epoch, context.git, scaffolded, options);
      return identity;
    }
    case "release": {
      const release = { name: step.name, buildId: identity, commits: step.commits, epoch: plan.inherited.epoch };
      await layOver((staging) => stageRelease(release, staging), sandbox, options);
      return identity;
    }
  }
}

async function aptSetup({ plan, context }: Work) {
  return {
    aptSources: await aptSources(plan.inherited.packageSource, context.settings.aptSources),
    aptOptions: await hostAptOptions(),
  };
}

/** The tree of some layers, read-only, without devices and without a network; a step asks for more as it needs it. */
function sandboxOf(layers: readonly string[], work: string, context: BuildContext): Sandbox {
  return {
    layers: context.layers.root,
    lower: [...layers, context.layers.empty],
    changes: { kind: "none" },
    work,
    devices: false,
    network: false,
  };
}

async function passGate(tree: Tree, work: Work): Promise<Image["verdict"]> {
  const { plan, journal, context, signal } = work;
  if (plan.checks.length === 0) {
    await journal.report(plan.gate, { state: "done", seconds: 0 });
    journal.line("no checks came with the recipe or the layers: the image is published without a verdict");
    return "none";
  }
  const result = await keepStep(plan.gate, work, async (folder) => {
    const sandbox: Sandbox = {
      ...sandboxOf(tree.layers, folder, context),
      changes: { kind: "scratch" },
      devices: true,
    };
    const verdict = await runGate(plan.checks, sandbox, signal);
    for (const line of toText(verdict)) journal.line(line);
    await keepVerdict(verdict, work);
    if (verdict.status !== "passed") {
      throw new NetkilnError("work_failed", `the gate refused the image: ${gateSummary(verdict)}`, {
        output: toText(verdict),
        hint: "correct the recipe, the playbooks or the checks; nothing was published",
      });
    }
    return { identity: tree.identity, file: await context.blobs.putBytes(JSON.stringify(verdict)) };
  });
  const text = await readFile(context.blobs.path(result.file?.sha256 ?? ""), "utf8");
  await keepVerdict(JSON.parse(text) as Verdict, work);
  return "passed";
}

function gateSummary({ summary }: Verdict): string {
  return `${summary.failed} failed, ${summary.errors} could not be evaluated, ${summary.passed} passed`;
}

async function keepVerdict(verdict: Verdict, { journal, plan }: Work): Promise<void> {
  await writeFileAtomic(join(journal.folder, "verdict.json"), `${JSON.stringify(verdict, null, 2)}\n`);
  await writeFileAtomic(join(journal.folder, "verdict.xml"), toJUnit(verdict, { name: plan.name }));
}

async function pack(tree: Tree, work: Work): Promise<Omit<ImageArtifacts, "manifest">> {
  const { plan, context } = work;
  const { rootfs, kernel, initrd } = plan.outputs;
  const { squashfsLevel } = context.settings;
  const makeRootfs = (part: Work) =>
    keepFile(rootfs, tree, part, (sandbox, options) =>
      packSquashfs(sandbox, squashfsLevel, plan.inherited.epoch, options),
    );
  if (kernel === undefined || initrd === undefined) return { rootfs: await makeRootfs(work) };
  const [rootfsFile, [kernelFile, initrdFile]] = await together(work, makeRootfs, async (part) => [
    await keepFile(kernel, tree, part, async (sandbox, options) =>
      takeKernel(sandbox, await findKernel(sandbox, part.signal), options),
    ),
    await keepInitrd(initrd, tree, part),
  ]);
  return { rootfs: rootfsFile, kernel: kernelFile, initrd: initrdFile };
}

async function keepFile(
  planned: Planned,
  tree: Tree,
  work: Work,
  make: (sandbox: Sandbox, options: StreamedRun) => Promise<string>,
): Promise<Digests> {
  const { context, signal, journal } = work;
  const { file } = await keepStep(planned, work, async (folder) => {
    const options = { signal, onLine: (line: string) => journal.line(line) };
    const path = await make(sandboxOf(tree.layers, folder, context), options);
    return { identity: tree.identity, file: await context.blobs.putFile(path) };
  });
  if (file === undefined) throw new NetkilnError("internal", `${planned.title} left no file behind`);
  return file;
}

/** Makes the initrd, or takes one that was made from a tree which is the same as far as dracut looked. */
async function keepInitrd(planned: Planned, tree: Tree, work: Work): Promise<Digests> {
  const { context, plan, journal, signal } = work;
  const family = sha256(canonicalJson([formatVersion, planned.inputs, plan.inherited.epoch]));
  const { file } = await keepStep(planned, work, (folder) =>
    // Two images of one run often want the same: the second one waits, and takes what the first has made.
    context.turns.take(family, async () => {
      // The turn may have come after the gate has refused the image.
      signal.throwIfAborted();
      let because: string | undefined;
      for (const trace of await context.steps.traces(family)) {
        if (!(await context.blobs.has(trace.file.sha256))) continue;
        const difference = await firstDifference(trace, tree.layers, context.layers.root);
        if (difference === undefined) {
          journal.line("nothing has changed that dracut looked at: the initrd of an earlier tree is taken");
          return { identity: tree.identity, file: trace.file, reused: true };
        }
        because ??= difference;
      }
      if (because !== undefined) journal.line(`dracut runs again: ${because}`);
      const options = { signal, onLine: (line: string) => journal.line(line) };
      const traced = context.tools.strace !== "none";
      const made = await makeInitrd(sandboxOf(tree.layers, folder, context), plan.inherited, traced, options);
      const digests = await context.blobs.putFile(made.file);
      if (made.looks !== undefined) {
        await context.steps.putTrace(family, { layers: tree.layers, ...made.looks, file: digests });
      }
      return { identity: tree.identity, file: digests };
    }),
  );
  if (file === undefined) throw new NetkilnError("internal", `${planned.title} left no file behind`);
  return file;
}

/** Writes the manifest and then the one record that makes the image exist; the same image is not published twice. */
async function publish(
  tree: Tree,
  verdict: Image["verdict"],
  artifacts: Omit<ImageArtifacts, "manifest">,
  work: Work,
): Promise<Image> {
  const { request, plan, context } = work;
  const same = await context.images.findSameImage(request.name, tree.identity);
  if (same !== undefined && sameArtifacts(same.artifacts, artifacts)) return same;
  const id = clock.uuid();
  const created = timestamp();
  const manifest = await context.blobs.putBytes(manifestText(id, created, artifacts));
  const image: Image = {
    id,
    name: request.name,
    created,
    ...plan.inherited,
    buildId: tree.identity,
    build: work.id,
    layers: tree.layers,
    artifacts: { ...artifacts, manifest },
    base: tree.base,
    commits: [...commitsOf(request.base), ...(request.configuration?.layers ?? [])],
    checks: await Promise.all(
      plan.checks.map(async ({ file, text }) => ({ file, sha256: (await context.blobs.putBytes(text)).sha256 })),
    ),
    verdict,
  };
  await context.images.publish(image);
  await context.events.record(`build:${work.id}`, "published", { image: id, name: request.name });
  return image;
}

function sameArtifacts(a: ImageArtifacts, b: Omit<ImageArtifacts, "manifest">): boolean {
  return (["rootfs", "kernel", "initrd"] as const).every((name) => a[name]?.sha256 === b[name]?.sha256);
}

/** What a step has made; `reused` says that another tree's result was good for this one too. */
type Made = Pick<StepResult, "identity" | "file"> & { readonly reused?: true };

/** Does a step unless its result is kept already; a result counts from the moment at which its record is written. */
async function keepStep(planned: Planned, work: Work, make: (folder: string) => Promise<Made>): Promise<StepResult> {
  const { context, journal, signal } = work;
  const kept = async () => {
    const result = await context.steps.find(planned.key);
    return result !== undefined && (await context.isKept(result)) ? result : undefined;
  };
  const early = await kept();
  if (early !== undefined) {
    await journal.report(planned, { state: "cached" });
    return early;
  }
  await journal.report(planned, { state: "running" });
  const started = clock.now().getTime();
  const seconds = () => (clock.now().getTime() - started) / 1000;
  try {
    let state: StepReport["state"] = "shared";
    const result = await context.flights.run(planned.key, async () => {
      signal.throwIfAborted();
      const { reused, ...made } = await context.layers.withWorkFolder(make);
      state = reused === true ? "cached" : "done";
      const created = timestamp();
      const record = { key: planned.key, kind: planned.kind, seconds: seconds(), created, ...made };
      await context.steps.put(slotOf(work.request.name, planned.kind, planned.title), planned.inputs, record);
      return record;
    });
    await journal.report(planned, { state, seconds: seconds() });
    return result;
  } catch (error) {
    // A step that was stopped because another one failed has not failed itself.
    await journal.report(planned, signal.aborted ? { state: "waiting" } : { state: "failed", seconds: seconds() });
    throw atStep(planned, error);
  }
}

/** Names the step in a failure, so that the message alone says where it was. */
function atStep(planned: Planned, error: unknown): unknown {
  if (!(error instanceof NetkilnError)) return error;
  return new NetkilnError(error.code, `${planned.title}: ${error.message}`, error);
}
