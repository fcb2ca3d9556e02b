import { NetkilnError } from "../lib/errors.ts";
import { baseOf, familyOf } from "./base/index.ts";
import { compareLocks, lockSummary } from "./base/lock.ts";
import type { Lock } from "./base/types.ts";
import { openJournal } from "./journal.ts";
import { atStep } from "./keep-step.ts";
import { readLock } from "./make-layer.ts";
import { resolveLock } from "./make-tree.ts";
import { planLock } from "./plan.ts";
import type { BuildTask, Locked } from "./types.ts";
import type { BuildContext } from "./work.ts";

const emptyLock: Lock = { family: "files", packages: [], files: {} };

/**
 * Looks up what a recipe's base is to be made of and pins that: images of the recipe are made of exactly this until it
 * is looked up again. Says what changed. Without `update`, what is known already is pinned as it is; a dry run pins
 * nothing.
 */
export async function renewLock(
  id: string,
  { recipe, update, dryRun }: BuildTask & { kind: "lock" },
  context: BuildContext,
  signal: AbortSignal,
): Promise<Locked> {
  if (baseOf(recipe, context.settings) === undefined) {
    throw new NetkilnError("invalid_input", `recipe ${recipe.name} adds to another one: lock that one`);
  }
  const planned = await planLock(recipe, `recipe ${recipe.name}`, context);
  const journal = await openJournal(id, [planned], context);
  const family = familyOf(recipe, context.settings);
  const before = await context.steps.lock(family);
  const old = before && (await readLock(before.digest, { context }).catch(() => undefined));
  try {
    await journal.report(planned, { state: "running", why: [] });
    const stays = old === undefined || update ? undefined : before;
    const digest =
      stays?.digest ??
      (await context.layers.withWorkFolder((folder) =>
        resolveLock({ kind: "lock", recipe }, folder, { context, journal, signal }),
      ));
    const lock = await readLock(digest, { context });
    if (!dryRun) await context.steps.putLock(family, digest, true, stays?.created);
    await journal.report(planned, { state: "done", why: [] });
    const { packages, bytes } = lockSummary(lock);
    return { digest, packages, bytes, changes: compareLocks(old ?? emptyLock, lock), kept: !dryRun };
  } catch (error) {
    await journal.report(planned, { state: "failed", why: [] });
    throw atStep(planned, error);
  } finally {
    await journal.close();
  }
}
