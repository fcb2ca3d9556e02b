import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RecipeSpec } from "../../image/index.ts";
import { sha256 } from "../../lib/files.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { runIsolated } from "../sandbox/sandbox.ts";

/** Debian's names of the architectures. */
const debianArch = { x86_64: "amd64" } as const;

export interface DebianBase {
  readonly spec: RecipeSpec;
  readonly aptSources: readonly string[];
  readonly aptOptions: readonly string[];
}

/**
 * Makes a Debian tree with mmdebstrap in the empty folder `tree`.
 * Returns the identity of its package set: equal for equal packages and versions, wherever they came from.
 */
export async function makeDebianTree(base: DebianBase, tree: string, work: string, run: RunOptions): Promise<string> {
  const { spec } = base;
  const sources = join(work, "build.list");
  const options = join(work, "apt.conf");
  await writeFile(sources, lines(base.aptSources));
  await writeFile(options, lines(base.aptOptions), { mode: 0o600 });
  const packages = [...spec.packages, ...(spec.kernel === undefined ? [] : [spec.kernel.package])];
  // dpkg goes on after it, so it may stand far above the end of what was printed.
  let noSpace: string | undefined;
  await runIsolated(
    [
      "mmdebstrap",
      ...["--mode=root", "--format=directory"],
      `--architectures=${debianArch[spec.arch]}`,
      `--variant=${spec.variant}`,
      `--components=${spec.components.join(",")}`,
      ...(packages.length === 0 ? [] : [`--include=${packages.join(",")}`]),
      `--aptopt=${options}`,
      "--dpkgopt=force-unsafe-io",
      ...spec.exclude.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      ...[spec.suite, tree, sources],
    ],
    {
      ...run,
      onLine: (line, stream) => {
        if (line.includes("No space left on device")) noSpace = line;
        run.onLine?.(line, stream);
      },
      env: {
        SOURCE_DATE_EPOCH: String(spec.epoch),
        DEBIAN_FRONTEND: "noninteractive",
        PYTHONDONTWRITEBYTECODE: "1",
        // What it leaves behind when it is killed goes with the work folder.
        TMPDIR: work,
        // Hooks of the kernel package make no initrd: ours is made later, from the finished tree.
        INITRD: "No",
        ...run.env,
      },
    },
  ).catch((error: unknown) => {
    throw explainFailure(error, noSpace);
  });
  await removeBuildTraces(tree, spec);
  return sha256(await readFile(join(tree, "var/lib/dpkg/status")));
}

/** What mmdebstrap says of its own progress and end; what remains are the words of apt and dpkg. */
const wrapperLine =
  /^(I: |W: Download is performed unsandboxed|E: (setup failed|mmdebstrap failed)|Reading |Building )/;

/** Puts what apt or dpkg said last into the message, where mmdebstrap only has an exit code. */
export function explainFailure(error: unknown, noSpace?: string): unknown {
  if (!(error instanceof NetkilnError)) return error;
  if (noSpace !== undefined) return new NetkilnError(error.code, error.message, { output: [noSpace], detail: error });
  const output = error.output.filter((line) => !wrapperLine.test(line)).slice(-20);
  const cause = output.find((line) => line.startsWith("E: "))?.slice("E: ".length);
  if (cause === undefined) return error;
  const hint = /^(Unable to locate package|Package .* has no installation candidate|Version .* was not found)/.test(
    cause,
  )
    ? "correct the packages of recipe.yaml and import it again, or add the component that has them to its components"
    : error.hint;
  return new NetkilnError(error.code, `mmdebstrap failed: ${cause}`, { output, hint, detail: error });
}

/** What mmdebstrap copies from this host or keeps of its own options is not part of the image. */
async function removeBuildTraces(tree: string, spec: RecipeSpec): Promise<void> {
  const leftovers = ["etc/hostname", "etc/resolv.conf", "etc/apt/sources.list", "etc/apt/apt.conf.d/99mmdebstrap"];
  for (const path of [...leftovers, "etc/dpkg/dpkg.cfg.d/99mmdebstrap"]) await rm(join(tree, path), { force: true });
  for (const list of ["0000build.list", "build.list"]) {
    await rm(join(tree, "etc/apt/sources.list.d", list), { force: true });
  }
  // Kept, so that packages which a layer installs leave out the same paths.
  const excludes = spec.exclude.map((pattern) => `path-exclude=${pattern}`);
  if (excludes.length > 0) await writeFile(join(tree, "etc/dpkg/dpkg.cfg.d/netkiln"), lines(excludes));
}

function lines(values: readonly string[]): string {
  return values.map((line) => `${line}\n`).join("");
}
