import { constants } from "node:fs";
import { access, copyFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { digestFile } from "../../lib/files.ts";
import type { LockedPackage } from "../base/types.ts";
import { exchangeInTree, exchangeOf, runInSandbox, treeOf, type Sandbox } from "../sandbox/sandbox.ts";
import type { Scaffold } from "../sandbox/scaffold.ts";
import { packageManagerOf } from "../tree/package-manager.ts";

/** A package of a lock, and its file on this machine. */
export interface PackageFile extends LockedPackage {
  readonly file: string;
}

/** In the tree: where package managers leave what they have downloaded. */
export const keptIn = `${exchangeInTree}/packages`;
/** The repository of what is offered, by the name that rpm's managers know it by. */
export const offeredRepository = "netkiln-offered";
const offeredIn = `${exchangeInTree}/offered`;

/**
 * A scaffold with which package managers keep what they download, so that `downloadedPackages` finds it after the
 * layer was made: apt-get and zypper whoever calls them, dnf when `applyPackagesLayer` does (it has no setting that a
 * tree could be lent).
 */
export async function keepDownloads(scaffold: Scaffold, sandbox: Sandbox): Promise<Scaffold> {
  await mkdir(join(exchangeOf(sandbox), "packages"), { recursive: true });
  return {
    ...scaffold,
    aptOptions: [
      ...scaffold.aptOptions,
      `Dir::Cache::Archives "${keptIn}/";`,
      'APT::Keep-Downloaded-Packages "true";',
      // The program apt has a default of its own.
      'Binary::apt::APT::Keep-Downloaded-Packages "true";',
    ],
    ...(scaffold.rpmRepositories !== undefined && {
      // zypper keeps or throws away by repository; dnf takes no notice.
      rpmRepositories: scaffold.rpmRepositories.replaceAll(/^\[.*\]$/gm, "$&\nkeeppackages=1"),
    }),
  };
}

/** What was downloaded while a layer was made, sorted as in a lock; each file stands in the sandbox's work folder. */
export async function downloadedPackages(sandbox: Sandbox, options: RunOptions): Promise<PackageFile[]> {
  const folder = join(exchangeOf(sandbox), "packages");
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries
    .filter((entry) => entry.isFile() && basename(entry.parentPath) !== "partial")
    .map((entry) => join(entry.parentPath, entry.name));
  const debs = paths.filter((path) => path.endsWith(".deb")).map((path) => ({ path, ...debName(path) }));
  const rpms = await rpmNames(
    paths.filter((path) => path.endsWith(".rpm")),
    sandbox,
    options,
  );
  const packages = await Promise.all(
    [...debs, ...rpms].map(async ({ path, ...name }) => {
      const { sha256, size } = await digestFile(path);
      return { ...name, sha256, size, file: path };
    }),
  );
  const order = ({ name, version, arch }: LockedPackage) => [name, version, arch].join("\0");
  return packages.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

type Name = Pick<LockedPackage, "name" | "version" | "arch">;

/** As apt names the files in its archives (apt-pkg/acquire-item.cc): NAME_VERSION_ARCH.deb, with %3a for ":". */
function debName(path: string): Name {
  const parts = basename(path, ".deb").split("_").map(decodeURIComponent);
  const [name = "", version = "", arch = ""] = parts;
  if (parts.length === 3) return { name, version, arch };
  throw new NetkilnError("internal", `apt-get left a file with an unknown form of name: ${basename(path)}`);
}

/** The name of an RPM's file lacks the epoch, so the tree's own rpm is asked. */
async function rpmNames(
  paths: readonly string[],
  sandbox: Sandbox,
  options: RunOptions,
): Promise<(Name & { path: string })[]> {
  if (paths.length === 0) return [];
  const format = "%{NAME}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\t%{ARCH}\n";
  const inTree = paths.map((path) => exchangeInTree + path.slice(exchangeOf(sandbox).length));
  const argv = ["rpm", "-qp", "--nosignature", "--queryformat", format, ...inTree] as const;
  const { signal } = options;
  const { stdout } = await runInSandbox(apart(sandbox), { at: "tree", argv }, { signal });
  const lines = stdout.trimEnd().split("\n");
  if (lines.length !== paths.length) throw new NetkilnError("internal", "rpm did not tell the name of every package");
  return paths.map((path, index) => {
    const [name = "", version = "", arch = ""] = lines[index]?.split("\t") ?? [];
    return { path, name, version, arch };
  });
}

/** The same tree for a question: nothing that is asked changes it, or reaches the network. */
function apart(sandbox: Sandbox): Sandbox {
  return { ...sandbox, changes: { kind: "scratch" }, devices: true, network: false };
}

/**
 * Makes a repository of exactly these packages, in the sandbox's exchange folder, and returns the parts of a scaffold
 * with which they are the only source: for apt-get whoever calls it, for dnf and zypper when `applyPackagesLayer` does.
 * Nothing has to be reached over the network then.
 */
export async function offerPackages(
  packages: readonly PackageFile[],
  sandbox: Sandbox,
  options: RunOptions,
): Promise<Pick<Scaffold, "aptSources" | "aptOptions" | "rpmRepositories">> {
  const folder = join(exchangeOf(sandbox), "offered");
  await mkdir(folder, { recursive: true });
  const manager = await packageManagerOf(treeOf(sandbox));
  const names = packages.map(({ name, version, arch }) => `${name}_${version.replaceAll(":", "%3a")}_${arch}`);
  const suffix = manager === "apt" ? "deb" : "rpm";
  for (const [index, { file }] of packages.entries()) {
    // A copy, and no link: what runs in the tree may write to it.
    await copyFile(file, join(folder, `${names[index]}.${suffix}`), constants.COPYFILE_FICLONE);
  }
  if (manager === "apt") {
    await writeFile(join(folder, "Packages"), await packagesIndex(packages, names, sandbox, options));
    return {
      // Whose they are was checked when they came into the lock; now apt-get compares their digests with it.
      aptSources: [`deb [trusted=yes] file:${offeredIn} ./`],
      aptOptions: [
        'Dir::Etc::SourceList "/etc/apt/sources.list.d/netkiln-build.list";',
        'Dir::Etc::SourceParts "/dev/null";',
      ],
    };
  }
  await checkDigests(packages);
  const { signal } = options;
  const argv = ["createrepo_c", "--quiet", folder] as const;
  await runInSandbox(
    { ...apart(sandbox), changes: { kind: "none" }, devices: false },
    { at: "host", argv },
    { signal },
  );
  const repository = { name: offeredRepository, baseurl: `file://${offeredIn}`, enabled: "1", gpgcheck: "0" };
  const lines = Object.entries(repository).map(([name, value]) => `${name}=${value}\n`);
  return { aptSources: [], aptOptions: [], rpmRepositories: `[${offeredRepository}]\n${lines.join("")}` };
}

/** Whether `offerPackages` was called for the sandbox. */
export async function offersPackages(sandbox: Sandbox): Promise<boolean> {
  return access(join(exchangeOf(sandbox), "offered")).then(
    () => true,
    () => false,
  );
}

/** createrepo_c takes files as they are, so a damaged one would get a new digest. */
async function checkDigests(packages: readonly PackageFile[]): Promise<void> {
  for (const { name, file, sha256 } of packages) {
    if ((await digestFile(file)).sha256 === sha256) continue;
    throw new NetkilnError("work_failed", `the package ${name} is not what the lock says: ${file} is damaged`);
  }
}

/** The index of a Debian repository: each package's control file, and where it is (Debian wiki, RepositoryFormat). */
async function packagesIndex(
  packages: readonly PackageFile[],
  names: readonly string[],
  sandbox: Sandbox,
  { signal }: RunOptions,
): Promise<string> {
  const files = names.map((name) => `${offeredIn}/${name}.deb`);
  const script = 'for file; do dpkg-deb --field "$file" && echo || exit; done';
  const argv = ["/bin/sh", "-c", script, "dpkg-deb", ...files] as const;
  const { stdout } = await runInSandbox(apart(sandbox), { at: "tree", argv }, { signal });
  const stanzas = stdout.split("\n\n").filter((stanza) => stanza.trim() !== "");
  if (stanzas.length !== packages.length) {
    throw new NetkilnError("internal", "dpkg-deb did not tell the fields of every package");
  }
  return packages
    .map(({ size, sha256 }, index) => {
      const place = `Filename: ./${names[index]}.deb\nSize: ${size}\nSHA256: ${sha256}\n`;
      return `${stanzas[index]?.trim()}\n${place}\n`;
    })
    .join("");
}
