/**
 * YAML for commands. The library is loaded when one needs it: that takes longer than loading everything else that the
 * most do.
 */
import { readFile } from "node:fs/promises";
import { NetkilnError } from "../lib/errors.ts";

/** What a YAML or JSON file holds. Throws `invalid_input` with every mistake and its place. */
export async function readYamlFile(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8").catch(() => {
    throw new NetkilnError("invalid_input", `${file} cannot be read`);
  });
  const { parseYaml } = await import("../lib/yaml.ts");
  const { value, problems } = parseYaml(text, file);
  if (problems.length > 0) throw new NetkilnError("invalid_input", `${file} cannot be parsed`, { problems });
  return value;
}

/** A value as lines to print, without the last one's end. */
export async function yamlLines(value: unknown): Promise<string> {
  const { formatYaml } = await import("../lib/yaml.ts");
  return formatYaml(value).trimEnd();
}
