import type { Command } from "commander";
import type { LockDescription } from "../api/native/recipes.ts";
import type { Build, Locked } from "../build/index.ts";
import { lockChangesLines } from "./lock-changes.ts";
import type { OpenSession } from "./command.ts";
import { formatBytes, printFields, printJson, printTable } from "./output.ts";
import { followBuild } from "./run-progress.ts";

interface Options {
  readonly update?: boolean;
  readonly dryRun?: boolean;
  readonly show?: boolean;
}

/** Adds `recipes lock`: the exact packages that a recipe's base is made of. */
export function addRecipeLock(recipes: Command, open: OpenSession): void {
  const command = recipes
    .command("lock <recipe>")
    .description("pin the exact packages that a recipe's images are made of")
    .option("--update", "look the packages up again, and show what has changed")
    .option("--dry-run", "only show what would change")
    .option("--show", "show the packages that are locked now");
  command.addHelpText(
    "after",
    "\nImages are made of the pinned packages until they are looked up again.\n\nExample:\n  netkiln recipes lock compute-debian12 --update",
  );
  command.action(async (recipe: string, { update = false, dryRun = false, show = false }: Options) => {
    const session = open(command);
    const { client, output } = session;
    const path = `/recipes/${encodeURIComponent(recipe)}/lock`;
    if (show) {
      const lock = await client.get<LockDescription>(path);
      if (output.json) return printJson(output, lock);
      printFields(output, [
        ["recipe", lock.recipe],
        ["lock", lock.digest],
        ["looked up", lock.created],
        ["pinned", lock.pinned ? "yes" : "no: it is looked up again when it is too old"],
        ["packages", `${lock.packages.length}, ${formatBytes(lock.bytes)}`],
      ]);
      output.print("");
      return printTable(
        output,
        ["PACKAGE", "VERSION", "ARCH"],
        lock.packages.map(({ name, version, arch }) => [name, version, arch]),
      );
    }
    const { build } = await client.send<{ build: Build }>("POST", path, { update: update || dryRun, dry_run: dryRun });
    const { result } = await followBuild(build, session);
    if (output.json) return;
    const { changes, kept, packages, bytes, digest } = result as Locked;
    for (const line of lockChangesLines(changes)) output.print(line);
    output.print(
      `${recipe}: ${packages} packages, ${formatBytes(bytes)}, lock ${digest.slice(0, 12)}${kept ? ", pinned" : ": nothing was changed"}`,
    );
  });
}
