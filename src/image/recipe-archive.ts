import { gunzipSync } from "node:zlib";
import { unpackTar } from "modern-tar";
import { canonicalJson, sha256 } from "../lib/files.ts";
import { NetkilnError, type Problem } from "../lib/errors.ts";
import { countOf, parseYamlAs } from "../lib/yaml.ts";
import { recipeSchema, type RecipeSpec } from "./schema.ts";

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
}

/**
 * Reads a recipe from a tar archive (plain or gzip), in memory. Nothing is unpacked to a disk, and an archive with a
 * path that leaves the recipe, a link or a device is refused whole.
 */
export async function readRecipeArchive(archive: Buffer, name: string): Promise<RecipeArchive> {
  const files = await readFiles(archive, name);
  const description = files.find((file) => file.path === "recipe.yaml");
  if (description === undefined) {
    throw new NetkilnError("invalid_input", `${name} holds no recipe.yaml`, {
      hint: "a recipe is a folder with recipe.yaml at its top",
    });
  }
  const spec = parseYamlAs(recipeSchema, description.content.toString("utf8"), "recipe.yaml");
  requireNamedFiles(spec, files);
  const digest = sha256(canonicalJson(files.map((file) => [file.path, file.executable, sha256(file.content)])));
  return { spec, files, digest };
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
