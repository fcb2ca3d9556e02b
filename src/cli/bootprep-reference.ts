/** What there is to know before a bootprep file is written: variables, an example, the schema. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import type { ListedVariable } from "../bootprep/index.ts";
import { formatProblem, type Problem } from "../lib/errors.ts";
import { addVariableOptions, readVariables, type VariableOptions } from "./bootprep-request.ts";
import { formatOption, outputFolderOption, printAs, refuseToWrite, type Format } from "./bootprep-results.ts";
import type { OpenSession, Session } from "./command.ts";
import { paint, printJson, printTable } from "./output.ts";
import { yamlLines } from "./yaml-file.ts";

const exampleFile = "example-bootprep-input.yaml";
const docsFile = "bootprep-schema-docs.html";

export function addReference(bootprep: Command, open: OpenSession): void {
  const variables = bootprep
    .command("list-vars [file]")
    .description("list the variables that a bootprep file can use, and where their values come from");
  addVariableOptions(variables);
  variables.addOption(formatOption());
  variables.addHelpText("after", "\nExample:\n  netkiln bootprep list-vars --vars default.suffix=-test bootprep.yaml");
  variables.action(async (file: string | undefined, options: VariableOptions & { format: Format }) =>
    listVariables(await readVariables(options, file), options.format, open(variables)),
  );

  const example = bootprep
    .command("generate-example")
    .description(`write ${exampleFile}: a bootprep file to begin with, made of what the server has`)
    .addOption(outputFolderOption());
  example.addHelpText("after", "\nExample:\n  netkiln bootprep generate-example -o examples");
  example.action(async ({ outputDir }: { outputDir: string }) => {
    const session = open(example);
    const { text } = await session.client.get<{ text: string }>("/bootprep/example");
    // Somebody may have written in the one that is there.
    await writeNew(join(outputDir, exampleFile), text, "wx", session);
  });

  const docs = bootprep
    .command("generate-docs")
    .description(`write ${docsFile}: the schema of bootprep files as a page`)
    .addOption(outputFolderOption());
  docs.addHelpText("after", "\nExample:\n  netkiln bootprep generate-docs -o /srv/www");
  docs.action(async ({ outputDir }: { outputDir: string }) => {
    const session = open(docs);
    const { body } = await session.client.raw("/bootprep/schema.html");
    await writeNew(join(outputDir, docsFile), body.toString(), "w", session);
  });

  const schema = bootprep
    .command("view-schema")
    .description("print the schema of bootprep files: JSON Schema, as YAML, or as JSON with --json");
  schema.addHelpText("after", "\nExample:\n  netkiln bootprep view-schema > bootprep-schema.yaml");
  schema.action(async () => {
    const { client, output } = open(schema);
    const found = await client.get<Record<string, unknown>>("/bootprep/schema");
    if (output.json) printJson(output, found);
    else output.print(await yamlLines(found));
  });
}

async function listVariables(
  request: Record<string, unknown>,
  format: Format,
  { client, output }: Session,
): Promise<void> {
  type Answer = { readonly items: readonly ListedVariable[]; readonly warnings: readonly Problem[] };
  const { items, warnings } = await client.send<Answer>("POST", "/bootprep/variables", request);
  for (const warning of warnings) output.warn(`${paint(output, "yellow", "warning:")} ${formatProblem(warning)}`);
  if (output.json) return printJson(output, items);
  if (format !== "pretty") return printAs(format, items, output);
  const shown = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
  printTable(
    output,
    ["VARIABLE", "VALUE", "SOURCE"],
    items.map(({ name, value, source }) => [name, shown(value), source]),
  );
}

async function writeNew(file: string, text: string, flag: "w" | "wx", { output }: Session): Promise<void> {
  const folder = join(file, "..");
  await mkdir(folder, { recursive: true }).catch(refuseToWrite(folder));
  await writeFile(file, text, { flag }).catch(refuseToWrite(file));
  if (output.json) printJson(output, { file });
  else output.print(`written: ${file}`);
}
