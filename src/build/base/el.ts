import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ElSpec } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv } from "../../lib/exec.ts";
import { hostVersions } from "../host-packages.ts";
import { settleDatabase } from "./rpm-database.ts";
import { explainRpmFailure, type ToolWords } from "./rpm-failure.ts";
import { rpmLockedBy, trust, wantedPackages } from "./rpm-inputs.ts";
import { placeKeys, type RpmRepository } from "./rpm-keys.ts";
import { compareInstalled, lockDownloads, makeRepositories, packagesBelow, type Downloaded } from "./rpm-lock.ts";
import { majorRelease, openOffline, openOnline, type RpmWorld } from "./rpm-world.ts";
import type { BaseMaker, BaseWorld } from "./types.ts";

const tools = ["dnf", "python3-dnf", "libdnf2", "libsolv1", "librpm9", "createrepo-c"] as const;

/** Enterprise Linux (and Fedora), installed from outside with dnf 4. */
export const el: BaseMaker<ElSpec> = {
  title: (spec) => `base (el ${spec.release})`,
  inputs: async (spec) => ({
    release: spec.release,
    arch: spec.arch,
    ...trust(spec),
    modules: spec.modules.join(" "),
    epoch: String(spec.epoch),
    ...(await hostVersions(tools)),
  }),
  lockedBy: (spec) => ({ ...rpmLockedBy(spec), modules: spec.modules.join(" "), groups: spec.groups.join(" ") }),

  resolve: async (spec, world) => {
    const wanted = [...wantedPackages(spec), ...spec.groups.map((group) => `@${group}`)];
    if (wanted.length === 0) throw new NetkilnError("invalid_input", "the recipe names no packages and no groups");
    const online = await openOnline(spec, world);
    const sources = await Promise.all(spec.repositories.map((repository) => onlineSource(repository, world)));
    await writeConfiguration(spec, [`excludepkgs=${spec.exclude_packages.join(" ")}`], sources, world);
    await enableModules(spec, online);
    await dnf(spec, online, ["install", "--downloadonly", ...wanted]);
    const cache = join(online.tree, "var/cache/dnf");
    return lockDownloads(await Promise.all(spec.repositories.map((one) => downloaded(one, cache))), world);
  },

  make: async (spec, lock, tree, world) => {
    const repositories = await makeRepositories(spec.repositories, lock, world);
    const offline = await openOffline(spec, tree, world);
    const sources = await Promise.all(repositories.map((repository) => localSource(repository, offline, world)));
    await writeConfiguration(spec, [], sources, world);
    await enableModules(spec, offline);
    const names = lock.packages.map(({ name, version, arch }) => `${name}-${version}.${arch}`);
    await dnf(spec, offline, ["install", ...names]);
    await compareInstalled(tree, lock, world);
    await settleDatabase(spec, tree, world);
  },
};

/**
 * dnf.conf(5), with nothing of this host's own. Weak dependencies are left out, as they are from Debian trees: what an
 * image needs is named in its recipe.
 */
async function writeConfiguration(
  spec: ElSpec,
  more: readonly string[],
  sources: readonly string[],
  world: BaseWorld,
): Promise<void> {
  const major = majorRelease(spec);
  const platform = major === Infinity ? [] : [`module_platform_id=platform:${major < 36 ? "el" : "f"}${major}`];
  const own = ["reposdir=", "varsdir=", "pluginconfpath=", "plugins=0", "countme=0"];
  const exact = ["best=1", "install_weak_deps=0", "installonly_limit=0", "skip_if_unavailable=0", ...platform];
  const downloads = ["keepcache=1", "deltarpm=0", "retries=2", "timeout=30"];
  const lines = ["[main]", ...own, ...exact, ...downloads, ...more, ...sources];
  await writeFile(join(world.folder, "dnf.conf"), lines.map((line) => `${line}\n`).join(""), { mode: 0o600 });
}

/** [main] is dnf's own section, and "main" a good name for a repository. */
const idOf = ({ name }: RpmRepository) => `recipe-${name}`;

/** Signatures are checked once all is downloaded, by repository; dnf would trust each key for all of them. */
async function onlineSource(repository: RpmRepository, world: BaseWorld): Promise<string> {
  const { name, url } = repository;
  // dnf does not put packages of a file:// repository into its cache, but does so for a mirror list with nothing else.
  const mirrors = join(world.folder, `${name}.mirrors`);
  if (url.startsWith("file:")) await writeFile(mirrors, `${url}\n`);
  const where = url.startsWith("file:") ? `mirrorlist=file://${mirrors}` : `baseurl=${url}`;
  return [`[${idOf(repository)}]`, `name=${name}`, where, "gpgcheck=0"].join("\n");
}

async function localSource(repository: RpmRepository, { folder }: RpmWorld, world: BaseWorld): Promise<string> {
  const keys = repository.signed ? await placeKeys(repository, world) : [];
  const trusted = keys.map((path) => `file://${folder}/${path}`).join(" ");
  const check = repository.signed ? ["gpgcheck=1", `gpgkey=${trusted}`] : ["gpgcheck=0"];
  const { name } = repository;
  return [`[${idOf(repository)}]`, `name=${name}`, `baseurl=file://${folder}/repositories/${name}`, ...check].join(
    "\n",
  );
}

async function enableModules(spec: ElSpec, world: RpmWorld): Promise<void> {
  if (spec.modules.length > 0) await dnf(spec, world, ["module", "enable", ...spec.modules]);
}

const hostArch = process.arch === "arm64" ? "aarch64" : "x86_64";

async function dnf(spec: ElSpec, world: RpmWorld, command: readonly string[]): Promise<void> {
  const where = ["-c", `${world.folder}/dnf.conf`, `--installroot=${world.tree}`, `--releasever=${spec.release}`];
  const foreign = spec.arch === hostArch ? [] : [`--forcearch=${spec.arch}`];
  const argv: Argv = ["dnf", "-y", ...where, ...foreign, ...command];
  await world.run(argv).catch((error: unknown) => {
    throw explainRpmFailure(error, dnfWords);
  });
}

const dnfWords: ToolWords = {
  tool: "dnf",
  noise: /^(Last metadata expiration|Dependencies resolved|Complete!|.* B\/s \| .*|=+)$|^Last metadata/,
  causes: [
    /^(Module or Group '.*' is not available)/,
    /^(missing groups or modules: .*)/,
    /^ {2}- ((?:Status code|Curl error).*)/,
    /^\[MIRROR\] (.*)/,
    /^Error: (.*)/,
  ],
  mistakes: /Unable to find a match|is not available|missing groups or modules|nothing provides|conflicting requests/,
};

/** What dnf has kept in its cache of one repository: `NAME-HASH/packages` and `NAME-HASH/repodata`. */
async function downloaded(repository: RpmRepository, cache: string): Promise<Downloaded> {
  const names = await readdir(cache);
  // Another repository's name may begin with this one's; a hash has 16 hexadecimal digits and no dash.
  const own = names.find((name) => name.replace(/-[0-9a-f]{16}$/, "") === idOf(repository));
  const folder = join(cache, own ?? idOf(repository));
  const metadata = await readdir(join(folder, "repodata")).catch(() => []);
  const modules = metadata.find((name) => /modules\.yaml(\.\w+)?$/.test(name));
  return {
    repository,
    files: await packagesBelow(join(folder, "packages")),
    modules: modules === undefined ? undefined : join(folder, "repodata", modules),
  };
}
