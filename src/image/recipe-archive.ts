import { gunzipSync } from "node:zlib";
import { unpackTar } from "modern-tar";
import { canonicalJson, sha256 } from "../lib/files.ts";
import { NetkilnError, type Problem } from "../lib/errors.ts";
import { parseAs } from "../lib/parse.ts";
import { countOf } from "../lib/text.ts";
import { parseYaml, parseYamlAs } from "../lib/yaml.ts";
import { findDescription, renderDescription } from "./kiwi.ts";
import { recipeSchemaFor, type RecipeSpec } from "./schema.ts";

/** Recipes are descriptions; what is bigger belongs in a package or a repository. */
export const maxRecipeBytes = 64 * 1024 * 1024;

export interface RecipeFile {
  readonly path: string;
  readonly executable: boolean;
  readonly content: Buffer;
}

export interface RecipeArchive {
  readonly spec: RecipeSpec;
  readonly files: readonly RecipeFile[];
  /** sha256 over the paths, modes and contents of all files: times and the form of the archive do not count. */
  readonly digest: string;
  /** What was passed over in it. */
  readonly warnings: readonly string[];
}

/** What a KIWI description cannot say of itself, and its import does. */
export interface KiwiImport {
  readonly name?: string | undefined;
  /** Values for the files that `.ims_recipe_template.yaml` names. */
  readonly template?: Readonly<Record<string, string>> | undefined;
  readonly profiles?: readonly string[] | undefined;
  readonly arch?: string | undefined;
}

/**
 * Reads a recipe from a tar archive (plain or gzip), in memory. Nothing is unpacked to a disk, and an archive with a
 * path that leaves the recipe, a link or a device is refused whole. A KIWI description without a recipe.yaml, as
 * recipes of IMS are, becomes a recipe by what its import says.
 */
export async function readRecipeArchive(archive: Buffer, name: string, kiwi: KiwiImport = {}): Promise<RecipeArchive> {
  const files = await readFiles(archive, name);
  const description = files.find((file) => file.path === "recipe.yaml");
  const options = Object.keys(kiwi).filter((key) => kiwi[key as keyof KiwiImport] !== undefined);
  if (description === undefined) return readKiwiRecipe(files, name, kiwi);
  if (options.length > 0) {
    throw new NetkilnError("invalid_input", `${name} has a recipe.yaml, which says ${options.join(", ")} itself`, {
      hint: "these options are for KIWI descriptions without one",
    });
  }
  const text = description.content.toString("utf8");
  const spec = parseYamlAs(recipeSchemaFor(parseYaml(text, "recipe.yaml").value), text, "recipe.yaml");
  requireNamedFiles(spec, files);
  if (spec.distribution !== "kiwi") return { spec, files, digest: digestOf(files), warnings: [] };
  if (findDescription(files.map(({ path }) => path)) === undefined) throw noDescription(name);
  const { warning } = renderDescription(files, spec.template);
  return { spec, files, digest: digestOf(files), warnings: warning === undefined ? [] : [warning] };
}

function readKiwiRecipe(files: readonly RecipeFile[], name: string, kiwi: KiwiImport): RecipeArchive {
  if (findDescription(files.map(({ path }) => path)) === undefined) throw noDescription(name);
  if (kiwi.name === undefined) {
    throw new NetkilnError("invalid_input", `${name} is a KIWI description, which has no name as a recipe`, {
      hint: "give it one with --name",
    });
  }
  const { template = {}, profiles = [], arch } = kiwi;
  const document = { name: kiwi.name, distribution: "kiwi", template, profiles, ...(arch !== undefined && { arch }) };
  const spec = parseAs(recipeSchemaFor(document), document, "the import of a KIWI description");
  const { warning } = renderDescription(files, template);
  const digest = sha256(canonicalJson([digestOf(files), spec]));
  return { spec, files, digest, warnings: warning === undefined ? [] : [warning] };
}

function noDescription(name: string): NetkilnError {
  return new NetkilnError("invalid_input", `${name} holds no recipe.yaml and no KIWI description`, {
    hint: "a recipe is a folder with recipe.yaml at its top; one of KIWI has config.xml or a file *.kiwi there",
  });
}

function digestOf(files: readonly RecipeFile[]): string {
  return sha256(canonicalJson(files.map((file) => [file.path, file.executable, sha256(file.content)])));
}

async function readFiles(archive: Buffer, name: string): Promise<RecipeFile[]> {
  const problems: Problem[] = [];
  const files = new Map<string, RecipeFile>();
  for (const { header, data } of await unpack(archive, name)) {
    const path = header.name.replace(/^(\.\/)+/, "").replace(/\/$/, "");
    const refusal = refuse(header.name, header.type);
    if (refusal !== undefined) {
      problems.push({ file: name, message: `entry "${header.name}": ${refusal}` });
    } else if (header.type === "file" && path !== "") {
      files.set(path, { path, executable: ((header.mode ?? 0) & 0o100) !== 0, content: Buffer.from(data ?? []) });
    }
  }
  if (problems.length > 0) {
    throw new NetkilnError(
      "invalid_input",
      `${name} is refused: ${countOf(problems.length, "unsafe entry", "unsafe entries")}`,
      {
        problems,
        hint: "a recipe holds plain files and folders with paths inside it; make links in a playbook",
      },
    );
  }
  return [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function refuse(path: string, type: string | undefined): string | undefined {
  if (path.startsWith("/")) return "its path is absolute";
  if (path.split("/").includes("..")) return 'its path has ".."';
  if (path.includes("\0") || path.includes("\n")) return "its path has control characters";
  if (type === "symlink" || type === "link") return "it is a link";
  if (type !== "file" && type !== "directory") return `it is a ${type ?? "thing of unknown type"}`;
  return undefined;
}

async function unpack(archive: Buffer, name: string) {
  try {
    const gzip = archive[0] === 0x1f && archive[1] === 0x8b;
    const plain = gzip ? gunzipSync(archive, { maxOutputLength: maxRecipeBytes }) : archive;
    if (plain.length > maxRecipeBytes) throw new Error(`larger than ${maxRecipeBytes} bytes`);
    return await unpackTar(plain, { strict: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NetkilnError("invalid_input", `${name} is no tar archive, or a damaged one: ${reason}`, {
      hint: "a recipe comes as a tar archive, plain or gzip, of a folder with recipe.yaml at its top",
    });
  }
}

function requireNamedFiles(spec: RecipeSpec, files: readonly RecipeFile[]): void {
  const missing = spec.checks.filter((path) => !files.some((file) => file.path === path));
  if (spec.files !== undefined && !files.some((file) => file.path.startsWith(`${spec.files}/`)))
    missing.push(spec.files);
  if (missing.length === 0) return;
  throw new NetkilnError("invalid_input", `recipe.yaml names what the recipe does not hold: ${missing.join(", ")}`);
}
