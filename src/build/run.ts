import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { toJUnit, toText, type Verdict } from "../compliance/index.ts";
import { parseInventory, requireVouched, type Image, type Inventory } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { writeFileAtomic } from "../lib/files.ts";
import { requireArch } from "./base/emulation.ts";
import { sbomsOf, type TreeInventory } from "./describe/documents.ts";
import { readInventory } from "./describe/read.ts";
import { runGate } from "./gate.ts";
import { openJournal } from "./journal.ts";
import { keepStep } from "./keep-step.ts";
import { makeTree } from "./make-tree.ts";
import { pack } from "./pack.ts";
import { allSteps, planBuild } from "./plan.ts";
import { publish } from "./publish.ts";
import { imageBelow, rootTraits } from "./steps.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";
import type { ImageRequest, StepResult } from "./types.ts";
import { viewInTurns, type LazyView } from "./view-tree.ts";
import { releaseOf, sandboxOf, together, type BuildContext, type Tree, type Work } from "./work.ts";

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
  await requireUsable(request, context);
  const plan = await planBuild(request, context);
  const journal = await openJournal(id, allSteps(plan), context);
  const work: Work = { id, request, plan, journal, context, signal };
  try {
    const tree = await makeTree(work);
    const views = viewInTurns(tree, work);
    const [[gate, inventory], packed] = await together(
      work,
      (part) =>
        together(
          part,
          (checking) => passGate(tree, views.others, checking),
          (listing) => describeTree(tree, views.others, listing),
        ),
      (part) => pack(tree, views, part),
    );
    return await publish(tree, { gate, inventory, packed }, work);
  } catch (error) {
    journal.line(`==> failed: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof NetkilnError) for (const line of error.output) journal.line(`    ${line}`);
    throw error;
  } finally {
    await journal.close();
  }
}

/** Refuses what cannot be built here, or on what nobody vouches for, before anything is made. */
async function requireUsable(request: ImageRequest, context: BuildContext): Promise<void> {
  const below = imageBelow(request.base)?.image;
  if (below !== undefined) {
    await requireVouched(below, join(context.data, "keys"), (digest) => context.blobs.path(digest));
  }
  await requireArch(below?.arch ?? rootTraits(request.base).arch);
}

/** Undefined when there is nothing to check the image by. */
async function passGate(tree: Tree, view: LazyView, work: Work): Promise<StepResult | undefined> {
  const { plan, journal, context, signal } = work;
  if (plan.checks.length === 0) {
    await journal.report(plan.gate, { state: "done", seconds: 0, why: [] });
    journal.line("no checks came with the recipe or the layers: the image is published without a verdict");
    return undefined;
  }
  const result = await keepStep(plan.gate, tree.chain, work, async (folder) => {
    const sandbox: Sandbox = {
      ...sandboxOf(tree.layers, folder, context),
      changes: { kind: "scratch" },
      devices: true,
    };
    const verdict = await runGate(plan.checks, view, sandbox, signal);
    for (const line of toText(verdict)) journal.line(line);
    await keepVerdict(verdict, work);
    if (verdict.status !== "passed") {
      throw new NetkilnError("work_failed", `the gate refused the image: ${gateSummary(verdict)}`, {
        output: toText(verdict),
        hint: "correct the recipe, the playbooks or the checks; nothing was published",
      });
    }
    return { file: await context.blobs.putBytes(JSON.stringify(verdict)) };
  });
  const text = await readFile(context.blobs.path(result.file?.sha256 ?? ""), "utf8");
  await keepVerdict(JSON.parse(text) as Verdict, work);
  return result;
}

/** Lists all that the tree holds, for SBOMs and to tell images apart. */
async function describeTree(tree: Tree, view: LazyView, work: Work): Promise<TreeInventory> {
  const { plan, context, request } = work;
  let read: Inventory | undefined;
  const { file } = await keepStep(plan.inventory, tree.chain, work, async (folder) => {
    read = await readInventory((await view()).root, folder);
    return { file: await context.blobs.putBytes(JSON.stringify(read)) };
  });
  if (file === undefined) throw new NetkilnError("internal", "the inventory left no file behind");
  const inventory = read ?? parseInventory(await readFile(context.blobs.path(file.sha256), "utf8"), "the inventory");
  const { arch, epoch } = plan.inherited;
  const tool = { name: "netkiln", version: context.version };
  const subject = { name: request.name, buildId: releaseOf(tree).buildId, arch, epoch, tool };
  return { file, os: inventory.os, sboms: sbomsOf(subject, inventory) };
}

function gateSummary({ summary }: Verdict): string {
  return `${summary.failed} failed, ${summary.errors} could not be evaluated, ${summary.passed} passed`;
}

async function keepVerdict(verdict: Verdict, { journal, plan }: Work): Promise<void> {
  await writeFileAtomic(join(journal.folder, "verdict.json"), `${JSON.stringify(verdict, null, 2)}\n`);
  await writeFileAtomic(join(journal.folder, "verdict.xml"), toJUnit(verdict, { name: plan.name }));
}
