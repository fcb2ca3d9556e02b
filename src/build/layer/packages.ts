import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv, RunOptions } from "../../lib/exec.ts";
import { exchangeInTree, exchangeOf, runInSandbox, treeOf, type Sandbox } from "../sandbox/sandbox.ts";
import { packageManagerOf, type PackageManager } from "../tree/package-manager.ts";
import { keptIn, offeredRepository, offersPackages } from "./package-cache.ts";

/**
 * Installs packages with the tree's own package manager, from the sources that the scaffold on top of the tree names,
 * and nothing that is only recommended. The manager's indexes stay outside the tree where it can be told so.
 * Throws `invalid_input` for a tree without a package manager, `work_failed` in the manager's words.
 */
export async function applyPackagesLayer(
  packages: readonly string[],
  epoch: number,
  sandbox: Sandbox,
  options: RunOptions,
): Promise<void> {
  const manager = await packageManagerOf(treeOf(sandbox));
  if (manager === undefined) {
    throw new NetkilnError("invalid_input", "the tree has no package manager: neither apt-get, dnf nor zypper", {
      hint: "bring what is needed as files, or by a script",
    });
  }
  await mkdir(exchangeOf(sandbox), { recursive: true });
  await writeFile(join(exchangeOf(sandbox), "apt.conf"), aptConfiguration);
  const argv = commands[manager](packages, await offersPackages(sandbox));
  const env = {
    SOURCE_DATE_EPOCH: String(epoch),
    APT_CONFIG: `${exchangeInTree}/apt.conf`,
    DEBIAN_FRONTEND: "noninteractive",
    PYTHONDONTWRITEBYTECODE: "1",
    // Hooks of kernel packages make no initrd: ours is made later, from the finished tree.
    INITRD: "No",
  };
  const { first, see } = firstMistake(manager);
  const onLine: RunOptions["onLine"] = (line, stream) => {
    see(line);
    options.onLine?.(line, stream);
  };
  await runInSandbox({ ...sandbox, devices: true }, { at: "tree", argv }, { ...options, env, onLine }).catch(
    (error: unknown) => {
      const cause = first();
      if (!(error instanceof NetkilnError) || cause === undefined) throw error;
      throw new NetkilnError("work_failed", `${programs[manager]} cannot install the packages: ${cause}`, {
        output: error.output.slice(-20),
        hint: "correct the layer's packages, or add the source that has them to the recipe",
        detail: error,
      });
    },
  );
}

const programs = { apt: "apt-get", dnf: "dnf", zypper: "zypper" } as const;

const commands: Record<PackageManager, (packages: readonly string[], onlyOffered: boolean) => Argv> = {
  apt: (packages) => [
    ...(["/bin/sh", "-c", 'apt-get update && exec apt-get install -y --no-install-recommends -- "$@"'] as const),
    ...["apt-get", ...packages],
  ],
  dnf: (packages, onlyOffered) => [
    ...(["dnf", "-y", "install", "--setopt=install_weak_deps=False", "--setopt=keepcache=1"] as const),
    `--setopt=cachedir=${keptIn}`,
    ...(onlyOffered ? ["--disablerepo=*", `--enablerepo=${offeredRepository}`] : []),
    ...["--", ...packages],
  ],
  zypper: (packages, onlyOffered) => [
    ...(["zypper", "--non-interactive", "--pkg-cache-dir", keptIn] as const),
    ...["install", "--no-recommends", "--auto-agree-with-licenses"],
    ...(onlyOffered ? ["--repo", offeredRepository] : []),
    ...["--", ...packages],
  ],
};

/** A source that cannot be read is a failure, not a reason to take older versions; nobody answers questions. */
const aptConfiguration = `APT::Update::Error-Mode "any";
Dpkg::Use-Pty "0";
Dpkg::Options { "--force-unsafe-io"; "--force-confdef"; "--force-confold"; };
`;

/** How each manager begins the line that says what is wrong; the first is the cause, what follows comes of it. */
const mistakes: Record<PackageManager, RegExp> = {
  apt: /^E: (.*)$/,
  dnf: /^(?:Error: (?!Unable to find a match)| +- |(?=No match for argument: ))(.+)$/,
  zypper: /^(?:Problem: |Error: |(?=No provider of ))(.+)$/,
};

function firstMistake(manager: PackageManager) {
  let found: string | undefined;
  return {
    see: (line: string) => void (found ??= mistakes[manager].exec(line)?.[1]),
    first: () => found,
  };
}
