import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SuseSpec } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv } from "../../lib/exec.ts";
import { hostVersions } from "../host-packages.ts";
import { settleDatabase } from "./rpm-database.ts";
import { explainRpmFailure, type ToolWords } from "./rpm-failure.ts";
import { rpmLockedBy, trust, wantedPackages } from "./rpm-inputs.ts";
import { placeKeys, type RpmRepository } from "./rpm-keys.ts";
import { compareInstalled, lockDownloads, makeRepositories, packagesBelow } from "./rpm-lock.ts";
import { openOffline, openOnline, type RpmWorld } from "./rpm-world.ts";
import type { BaseMaker, BaseWorld } from "./types.ts";

const tools = ["zypper", "libsolv1", "librpm9", "createrepo-c"] as const;

/** SUSE Linux Enterprise and openSUSE, installed from outside with zypper. */
export const suse: BaseMaker<SuseSpec> = {
  title: (spec) => `base (suse ${spec.release})`,
  inputs: async (spec) => ({
    release: spec.release,
    arch: spec.arch,
    ...trust(spec),
    epoch: String(spec.epoch),
    ...(await hostVersions(tools, /^libzypp\d/)),
  }),
  lockedBy: (spec) => ({ ...rpmLockedBy(spec), patterns: spec.patterns.join(" ") }),

  resolve: async (spec, world) => {
    // A pattern is what a package patterns-* provides; libsolv of Debian knows no patterns beside packages.
    const wanted = [...wantedPackages(spec), ...spec.patterns.map((pattern) => `pattern() = ${pattern}`)];
    if (wanted.length === 0) throw new NetkilnError("invalid_input", "the recipe names no packages and no patterns");
    const online = await openOnline(spec, world);
    await writeConfiguration(spec, world);
    for (const repository of spec.repositories) {
      // Signatures are checked once all is downloaded, by repository; zypper would trust each key for all of them.
      await writeSource(repository, repository.url, ["gpgcheck=0"], world);
    }
    // Alone, as an install would go on without a repository that cannot be read.
    await zypper(spec, online, ["refresh", "--force"]);
    if (spec.exclude_packages.length > 0) {
      await mkdir(join(world.folder, "resolve/etc/zypp"), { recursive: true });
      await zypper(spec, online, ["addlock", ...spec.exclude_packages]);
    }
    await zypper(spec, online, ["--no-refresh", "install", "--no-recommends", "--download-only", ...wanted]);
    const cache = join(online.tree, "var/cache/zypp/packages");
    const downloads = spec.repositories.map(async (repository) => ({
      repository,
      files: await packagesBelow(join(cache, repository.name)),
      modules: undefined,
    }));
    return lockDownloads(await Promise.all(downloads), world);
  },

  make: async (spec, lock, tree, world) => {
    const repositories = await makeRepositories(spec.repositories, lock, world);
    const offline = await openOffline(spec, tree, world);
    await writeConfiguration(spec, world);
    for (const repository of repositories) {
      const keys = repository.signed ? await placeKeys(repository, world) : [];
      const trusted = keys.map((path) => `gpgkey=file://${offline.folder}/${path}`);
      // The metadata are made here and not signed, so that each package's own signature counts.
      const check = repository.signed
        ? ["gpgcheck=1", "repo_gpgcheck=0", "pkg_gpgcheck=1", ...trusted]
        : ["gpgcheck=0"];
      await writeSource(repository, `dir://${offline.folder}/repositories/${repository.name}`, check, world);
    }
    const names = lock.packages.map(({ name, version, arch }) => `${name}.${arch}=${version}`);
    await zypper(spec, offline, ["install", "--no-recommends", "--download-in-advance", ...names]);
    await compareInstalled(tree, lock, world);
    await settleDatabase(spec, tree, world);
  },
};

async function writeConfiguration(spec: SuseSpec, world: BaseWorld): Promise<void> {
  await mkdir(join(world.folder, "repos.d"), { recursive: true });
  const lines = ["[main]", `arch = ${spec.arch}`, "solver.onlyRequires = true", "download.max_silent_tries = 2"];
  await writeFile(join(world.folder, "zypp.conf"), lines.map((line) => `${line}\n`).join(""));
}

async function writeSource(
  { name }: RpmRepository,
  url: string,
  check: readonly string[],
  world: BaseWorld,
): Promise<void> {
  const own = [`[${name}]`, `name=${name}`, `baseurl=${url}`, "type=rpm-md", "enabled=1", "autorefresh=0"];
  const lines = [...own, "keeppackages=1", ...check];
  await writeFile(join(world.folder, "repos.d", `${name}.repo`), lines.map((line) => `${line}\n`).join(""), {
    mode: 0o600,
  });
}

/**
 * zypper(8): done; done, and the machine or zypper itself should be started anew; done, and a script of a package failed.
 * dnf ends with 0 in the last case, so neither fails a build; the log tells it.
 */
const doneCodes = [0, 102, 103, 107];

async function zypper(spec: SuseSpec, world: RpmWorld, command: readonly string[]): Promise<void> {
  const where = ["--root", world.tree, "--reposd-dir", `${world.folder}/repos.d`, "--releasever", spec.release];
  const argv: Argv = ["zypper", "--non-interactive", "--gpg-auto-import-keys", ...where, ...command];
  await world.run(argv, { okExitCodes: doneCodes }).catch((error: unknown) => {
    throw explainRpmFailure(error, zypperWords);
  });
}

const zypperWords: ToolWords = {
  tool: "zypper",
  noise:
    /^(Loading repository data|Reading installed packages|Building repository|rpm: |Additional rpm output|History:)/,
  causes: [
    /^(No provider of .* found)/,
    /^(Download \(curl\) error for .*)/,
    /^(File .* not found on medium .*)/,
    /(Digest verification failed for file '[^']*')/,
    /^(?:Problem: )(.*)/,
    /^(\[.*\] Valid metadata not found .*)/,
    /^(Error.*)/,
  ],
  mistakes: /No provider of|nothing provides|Problem: /,
};
