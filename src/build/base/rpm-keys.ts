import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ElSpec } from "../../image/index.ts";
import { NetkilnError, type Problem } from "../../lib/errors.ts";
import type { BaseWorld } from "./types.ts";
import { runApart } from "./rpm-world.ts";

export type RpmRepository = ElSpec["repositories"][number];

/** Packages of one repository; dnf and zypper trust a key for all repositories at once, netkiln only for its own. */
export interface PackageFiles {
  readonly repository: RpmRepository;
  readonly files: readonly string[];
}

/** Copies the keys of a repository into the step's folder; returns their paths below it. */
export async function placeKeys(repository: RpmRepository, world: BaseWorld): Promise<string[]> {
  const placed: string[] = [];
  await mkdir(join(world.folder, "keys", repository.name), { recursive: true });
  for (const [index, key] of repository.keys.entries()) {
    const path = join("keys", repository.name, `${index}.asc`);
    await writeFile(join(world.folder, path), await readFile(world.recipeFile(key)));
    placed.push(path);
  }
  return placed;
}

/**
 * Checks each package against the keys of the repository that it came from. Throws `refused` with every package that
 * is not signed by one of them, or is not what was signed; of repositories with `signed: false` only the latter.
 */
export async function checkSignatures(packages: readonly PackageFiles[], world: BaseWorld): Promise<void> {
  const problems: Problem[] = [];
  for (const { repository, files } of packages) {
    if (files.length === 0) continue;
    const database = ["--define", `_dbpath ${join(world.folder, "keyrings", repository.name)}`];
    const expected = repository.signed ? await importKeys(repository, database, world) : "";
    const level = repository.signed ? ["--define", "_pkgverify_level all"] : ["--nosignature"];
    const checked = await runApart(["rpmkeys", ...database, ...level, "--checksig", "-v", ...files], world, {
      okExitCodes: "any",
    });
    const reports = readReports(checked.stdout);
    for (const file of files) {
      const fault = faultOf(reports.get(file) ?? [], repository.signed);
      if (fault === undefined) continue;
      const spoken = checked.stderr.split("\n").filter((line) => line.includes(file));
      const words = spoken.map((line) => line.replace(file, basename(file)).replace(/^error: /, ""));
      const text = [`${basename(file)} of the repository "${repository.name}" ${fault}`, ...words].join(": ");
      problems.push({ message: repository.signed ? `${text}; expected ${expected}` : text });
    }
  }
  if (problems.length === 0) return;
  const [first] = problems;
  const message = problems.length === 1 ? (first?.message ?? "") : `${problems.length} packages cannot be trusted`;
  throw new NetkilnError("refused", message, {
    problems: problems.length === 1 ? [] : problems,
    hint: "nothing was kept; if the repository is as it should be, correct the keys of it in recipe.yaml",
  });
}

/** Makes a key ring of the repository's own; returns what its keys are called, for messages. */
async function importKeys(repository: RpmRepository, database: readonly string[], world: BaseWorld): Promise<string> {
  const placed = await placeKeys(repository, world);
  for (const [index, path] of placed.entries()) {
    await runApart(["rpmkeys", ...database, "--import", join(world.folder, path)], world).catch((error: unknown) => {
      throw error instanceof NetkilnError
        ? new NetkilnError(
            "invalid_input",
            `${repository.keys[index]} is no OpenPGP public key that rpm can read`,
            error,
          )
        : error;
    });
  }
  const { stdout } = await runApart(["rpm", ...database, "-q", "gpg-pubkey", "--qf", "%{VERSION}\\n"], world);
  const ids = stdout.split("\n").filter((line) => line !== "");
  return `key ${ids.join(" or ")} (${repository.keys.join(", ")})`;
}

/** The lines that rpmkeys -v prints below the name of each file (rpm 4.18, lib/rpmchecksig.c). */
function readReports(stdout: string): Map<string, string[]> {
  const reports = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of stdout.split("\n")) {
    if (line.startsWith("    ")) current.push(line.trim());
    else if (line.endsWith(":")) reports.set(line.slice(0, -1), (current = []));
  }
  return reports;
}

/** What is wrong with a package, as the end of a sentence; undefined when it is as it should be. */
export function faultOf(report: readonly string[], signed: boolean): string | undefined {
  const bad = report.find((line) => line.includes(": BAD"));
  if (bad !== undefined) return `is damaged or was changed: ${bad.replace(/ \(.*$/, "")}`;
  const digested = report.some((line) => line.endsWith("digest: OK"));
  if (!digested) return "is damaged";
  if (!signed) return undefined;
  const foreign = report.map((line) => /key ID ([0-9a-f]+): (NOKEY|NOTTRUSTED)$/.exec(line)).find(Boolean);
  if (foreign) return `is signed with key ${foreign[1]}`;
  if (!report.some((line) => /Signature, key ID [0-9a-f]+: OK$/.test(line))) return "is not signed";
  const other = report.find((line) => !line.endsWith(": OK"));
  return other === undefined ? undefined : `cannot be verified: ${other}`;
}
