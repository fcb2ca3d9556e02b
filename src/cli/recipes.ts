import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import type { Recipe, RecipeSpec } from "../image/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { clock } from "../lib/clock.ts";
import { addNoun, ago, collect, type OpenSession } from "./command.ts";
import { printFields, printJson } from "./output.ts";
import { addUndelete } from "./undelete.ts";
import { addRecipeLock } from "./recipe-lock.ts";
import { packFolder } from "./pack.ts";

export function addRecipes(program: Command, open: OpenSession): void {
  const recipes = addNoun<Recipe>(program, open, {
    name: "recipes",
    summary: "what trees are made from",
    columns: [
      ["NAME", ({ name }) => name],
      ["FROM", ({ spec }) => systemOf(spec)],
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
        ["from", systemOf(spec)],
        ["arch", spec.arch],
        ["packages", "packages" in spec ? spec.packages.join(" ") : undefined],
        ["kernel", spec.kernel === undefined ? "none: its images cannot be booted" : spec.kernel.package],
        ["parameters", spec.kernel?.parameters],
        ["checks", spec.checks.join(" ")],
        ["date epoch", String(spec.epoch)],
        ["files", files.map(({ path }) => path).join("\n         ")],
      ]);
    },
    example: "compute-debian12",
    deletable: true,
    filters: [["--deleted", "those that are deleted and can be brought back"]],
  });
  addUndelete<Recipe>(recipes, open, "recipe");

  addImport(recipes, open);
  addRecipeLock(recipes, open);
}

interface ImportOptions {
  readonly name?: string;
  readonly template?: readonly string[];
  readonly profile?: readonly string[];
  readonly arch?: string;
}

function addImport(recipes: Command, open: OpenSession): void {
  const command = recipes
    .command("import <folder>")
    .description("import a recipe from a folder, or from a tar archive of one; also a KIWI description")
    .option("--name <name>", "name of a KIWI description as a recipe")
    .option("--template <key=value>", "value for the templates of a KIWI description; may be repeated", collect)
    .option("--profile <profile>", "profile of a KIWI description; may be repeated", collect)
    .option("--arch <arch>", "architecture of a KIWI description: x86_64 or aarch64");
  command.addHelpText(
    "after",
    `
Examples:
  netkiln recipes import examples/compute/recipe
  netkiln recipes import kiwi.tar.gz --name compute-sles15 --template CSM_RELEASE=1.6.1 --arch aarch64`,
  );
  command.action(async (path: string, options: ImportOptions) => {
    const { client, output } = open(command);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) throw new NetkilnError("invalid_input", `${path} does not exist`);
    const archive = found.isDirectory() ? await packFolder(path) : await readFile(path);
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(options)) for (const one of [value].flat()) query.append(key, one);
    const route = query.size === 0 ? "/recipes" : `/recipes?${query}`;
    const recipe = await client.upload<Imported>(route, "application/x-tar", archive);
    for (const warning of recipe.warnings) output.warn(`warning: ${warning}`);
    if (output.json) printJson(output, recipe);
    else
      output.print(
        `recipe ${recipe.name} ${recipe.changed ? "imported" : "unchanged"} (${recipe.digest.slice(0, 12)}, from ${basename(path)})`,
      );
  });
}

type Imported = Recipe & { readonly changed: boolean; readonly warnings: readonly string[] };

/** `debian bookworm`, `el 9`, `image compute-1.0.0`. */
function systemOf(spec: RecipeSpec): string {
  switch (spec.distribution) {
    case "debian":
    case "ubuntu":
      return `${spec.distribution} ${spec.suite}`;
    case "el":
    case "suse":
      return `${spec.distribution} ${spec.release}`;
    case "kiwi":
      return "kiwi description";
    default: {
      const [kind, what] = Object.entries(spec.from).find(([name]) => name !== "sha256") ?? [];
      return `${kind} ${what}`;
    }
  }
}
