import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import type { Recipe } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { clock } from "../lib/clock.ts";
import { addNoun, ago, type OpenSession } from "./command.ts";
import { printFields, printJson } from "./output.ts";
import { packFolder } from "./pack.ts";

export function addRecipes(program: Command, open: OpenSession): void {
  const recipes = addNoun<Recipe>(program, open, {
    name: "recipes",
    summary: "what trees are made from",
    columns: [
      ["NAME", ({ name }) => name],
      ["SUITE", ({ spec }) => `${spec.distribution} ${spec.suite}`],
      ["ARCH", ({ spec }) => spec.arch],
      ["DIGEST", ({ digest }) => digest.slice(0, 12)],
      ["IMPORTED", ({ created }) => ago(created, clock.now())],
    ],
    describe: ({ id, name, digest, created, spec, files }, { output }) => {
      printFields(output, [
        ["name", name],
        ["id", id],
        ["digest", digest],
        ["imported", created],
        ["system", `${spec.distribution} ${spec.suite} ${spec.arch} (${spec.variant})`],
        ["packages", spec.packages.join(" ")],
        ["kernel", spec.kernel?.package ?? "none: its images cannot be booted"],
        ["parameters", spec.kernel?.parameters],
        ["checks", spec.checks.join(" ")],
        ["date epoch", String(spec.epoch)],
        ["files", files.map(({ path }) => path).join("\n         ")],
      ]);
    },
    example: "compute-debian12",
    deletable: true,
  });

  const command = recipes
    .command("import <folder>")
    .description("import a recipe from a folder, or from a tar archive of one");
  command.addHelpText("after", "\nExample:\n  netkiln recipes import examples/compute/recipe");
  command.action(async (path: string) => {
    const { client, output } = open(command);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) throw new NetkilnError("invalid_input", `${path} does not exist`);
    const archive = found.isDirectory() ? await packFolder(path) : await readFile(path);
    const recipe = await client.upload<Recipe & { changed: boolean }>("/recipes", "application/x-tar", archive);
    if (output.json) printJson(output, recipe);
    else
      output.print(
        `recipe ${recipe.name} ${recipe.changed ? "imported" : "unchanged"} (${recipe.digest.slice(0, 12)}, from ${basename(path)})`,
      );
  });
}
