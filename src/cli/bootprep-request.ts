import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Option, type Command } from "commander";
import { NetkilnError } from "../lib/errors.ts";
import { collect } from "./command.ts";
import { paint, type Output } from "./output.ts";

export interface VariableOptions {
  readonly vars?: readonly string[];
  readonly varsFile?: readonly string[];
  readonly recipeVersion?: string;
}

export interface RequestOptions extends VariableOptions {
  readonly limit?: readonly string[];
  readonly resolveBranches?: boolean;
  readonly skipExistingConfigs?: boolean;
  readonly overwriteConfigs?: boolean;
  readonly skipExistingImages?: boolean;
  readonly overwriteImages?: boolean;
  readonly skipExistingTemplates?: boolean;
  readonly overwriteTemplates?: boolean;
}

/** Read from beside the file when it is there, as sat reads the variables of the software recipe. */
const defaultVariables = "product_vars.yaml";

export function addVariableOptions(command: Command): void {
  command
    .option("--vars <name=value>", "set a variable, such as default.suffix=-test; can be repeated", collect)
    .option(
      "--vars-file <file>",
      `read variables from a YAML file, after ${defaultVariables} beside the file; can be repeated`,
      collect,
    )
    .option(
      "--recipe-version <version>",
      `version of the HPC software recipe to take variables from, instead of the newest and of ${defaultVariables}`,
    );
}

export function addRequestOptions(command: Command): void {
  command
    .option("--limit <section>", "only configurations, images or session_templates; can be repeated", collect)
    .option("--no-resolve-branches", "configurations keep the branches beside the commits that they are at now")
    .option("--skip-existing-configs", "keep configurations that exist, whatever is in them")
    .option("--overwrite-configs", "replace configurations that exist")
    .option("--skip-existing-images", "keep images that exist")
    .option("--overwrite-images", "replace images that exist, and delete the old ones")
    .option("--skip-existing-templates", "keep session templates that exist")
    .option("--overwrite-templates", "replace session templates that exist");
}

interface WithoutEffect {
  readonly flags: string;
  readonly why: string;
  readonly choices?: readonly string[];
}

/** Options of `sat bootprep run` that have nothing to do here. */
const withoutEffect: readonly WithoutEffect[] = [
  { flags: "--public-key-file-path <file>", why: "images are built without an ssh key" },
  { flags: "--public-key-id <id>", why: "images are built without an ssh key" },
  { flags: "-D, --delete-ims-jobs", why: "images are builds, and no IMS jobs are left behind" },
  { flags: "--debug-on-failure", why: "no session is left behind; netkiln builds logs tells what failed" },
  { flags: "--bos-version <version>", why: "v2 is the only one", choices: ["v2"] },
  { flags: "--cfs-version <version>", why: "v2 and v3 have the same objects", choices: ["v2", "v3"] },
];

export function addOptionsWithoutEffect(command: Command): void {
  for (const { flags, why, choices } of withoutEffect) {
    const option = new Option(flags, `as in sat, without effect: ${why}`);
    command.addOption(choices === undefined ? option : option.choices(choices));
  }
}

/** Says of every option that was given and does nothing that it does nothing. */
export function tellWithoutEffect(options: Readonly<Record<string, unknown>>, output: Output): void {
  if (options["publicKeyFilePath"] !== undefined && options["publicKeyId"] !== undefined) {
    throw new NetkilnError("invalid_input", "--public-key-file-path and --public-key-id cannot be given together");
  }
  for (const { flags, why } of withoutEffect) {
    const option = new Option(flags);
    if (options[option.attributeName()] === undefined) continue;
    output.warn(`${paint(output, "yellow", "note:")} ${option.long} has no effect: ${why}`);
  }
}

export async function readRequest(file: string, options: RequestOptions): Promise<Record<string, unknown>> {
  return {
    file,
    text: await read(file),
    directory: dirname(resolve(file)),
    ...(await readVariables(options, file)),
    resolve_branches: options.resolveBranches ?? true,
    ...(options.limit !== undefined && { limit: options.limit }),
    existing: {
      ...policy("configurations", options.skipExistingConfigs, options.overwriteConfigs),
      ...policy("images", options.skipExistingImages, options.overwriteImages),
      ...policy("templates", options.skipExistingTemplates, options.overwriteTemplates),
    },
  };
}

/** Where the variables come from; `file` is the bootprep file, if there is one. */
export async function readVariables(
  { vars = [], varsFile = [], recipeVersion }: VariableOptions,
  file?: string,
): Promise<Record<string, unknown>> {
  const beside =
    file === undefined || recipeVersion !== undefined ? undefined : join(dirname(resolve(file)), defaultVariables);
  const implied = beside === undefined ? undefined : await readFile(beside, "utf8").catch(() => undefined);
  const files = implied === undefined ? [] : [{ file: defaultVariables, text: implied }];
  for (const name of varsFile) files.push({ file: name, text: await read(name) });
  return {
    variables: vars,
    variable_files: files,
    ...(recipeVersion !== undefined && { recipe_version: recipeVersion }),
  };
}

function policy(section: string, skip: boolean | undefined, overwrite: boolean | undefined): Record<string, string> {
  if (skip === true && overwrite === true) {
    throw new NetkilnError("invalid_input", `existing ${section} can be skipped or overwritten, not both`);
  }
  if (skip === true) return { [section]: "skip" };
  return overwrite === true ? { [section]: "overwrite" } : {};
}

async function read(file: string): Promise<string> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === "ENOENT" ? "does not exist" : `cannot be read (${error.code})`;
    throw new NetkilnError("invalid_input", `${file} ${reason}`);
  });
}
