import { NetkilnError, type Problem } from "../lib/errors.ts";
import { renderTemplateFile } from "../lib/template.ts";
import { countOf } from "../lib/text.ts";
import { parseYamlAs } from "../lib/yaml.ts";
import { templateListSchema } from "./kiwi-schema.ts";

/** Where an IMS recipe says which of its files are templates (ims-python-helper, fetch.py). */
const templateList = ".ims_recipe_template.yaml";

export interface DescriptionFile {
  readonly path: string;
  readonly content: Buffer;
}

/** The file that kiwi reads: config.xml, or the one `*.kiwi` at the top; undefined when there is none. */
export function findDescription(paths: readonly string[]): string | undefined {
  if (paths.includes("config.xml")) return "config.xml";
  const found = paths.filter((path) => /^[^/]+\.kiwi$/.test(path));
  if (found.length < 2) return found[0];
  throw new NetkilnError("invalid_input", `the recipe has more than one description: ${found.join(", ")}`, {
    hint: "kiwi takes config.xml or the one file *.kiwi at the top",
  });
}

/** What becomes of the files of a recipe: those that its template list names, rendered, and why none were. */
export interface Rendered<File extends DescriptionFile> {
  readonly files: readonly File[];
  readonly warning: string | undefined;
}

/**
 * Renders the template files of an IMS recipe with its dictionary. Variables that it lacks are mistakes, which IMS
 * renders as nothing; everything else is as IMS has it: a list without a dictionary is a mistake too, and a dictionary
 * without a list is passed over with a warning.
 */
export function renderDescription<File extends DescriptionFile>(
  files: readonly File[],
  dictionary: Readonly<Record<string, string>>,
): Rendered<File> {
  const given = Object.keys(dictionary).length > 0;
  const list = files.find(({ path }) => path === templateList);
  if (list === undefined) {
    const warning = `the recipe has no ${templateList}: its files are used as they are, and the values for templates are not`;
    return { files, warning: given ? warning : undefined };
  }
  const { template_files } = parseYamlAs(templateListSchema, list.content.toString("utf8"), templateList);
  const wanted = new Set(template_files.map((path) => path.replace(/^(\.\/)+/, "")));
  requireFiles(wanted, files);
  if (wanted.size > 0 && !given) {
    throw new NetkilnError("invalid_input", `${templateList} names templates, and no values are given for them`, {
      hint: "give each value with --template KEY=VALUE",
    });
  }
  const problems: Problem[] = [];
  const rendered = files.map((file) => {
    if (!wanted.has(file.path)) return file;
    try {
      const text = renderTemplateFile(file.content.toString("utf8"), dictionary, file.path);
      return { ...file, content: Buffer.from(text) };
    } catch (error) {
      if (!(error instanceof NetkilnError)) throw error;
      problems.push(...error.problems);
      return file;
    }
  });
  if (problems.length === 0) return { files: rendered, warning: undefined };
  throw new NetkilnError("invalid_input", `the templates of the recipe have ${countOf(problems.length, "mistake")}`, {
    problems,
    hint: "give each value with --template KEY=VALUE",
  });
}

function requireFiles(wanted: ReadonlySet<string>, files: readonly DescriptionFile[]): void {
  const missing = [...wanted].filter((path) => !files.some((file) => file.path === path));
  if (missing.length === 0) return;
  throw new NetkilnError(
    "invalid_input",
    `${templateList} names what the recipe does not hold: ${missing.join(", ")}`,
    {
      hint: "its paths are relative to the top of the recipe, and stay inside",
    },
  );
}
