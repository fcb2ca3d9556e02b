import { chmod, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { findDescription, renderDescription, type KiwiSpec, type RecipeEntry } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { canonicalJson, sha256 } from "../../lib/files.ts";
import { resolveRooted } from "../../lib/rooted.ts";
import { countOf } from "../../lib/text.ts";
import { hostVersions } from "../host-packages.ts";
import {
  idOf,
  installedPackages,
  makeRepository,
  packageFiles,
  priorities,
  readPriorities,
  type Family,
  type PackageId,
} from "./kiwi-packages.ts";
import { kiwiFolders, runKiwi, type KiwiJob } from "./kiwi-run.ts";
import type { BaseMaker, BaseWorld, Lock, LockedPackage } from "./types.ts";

/** Debian packages whose version can change what kiwi makes. */
const tools = ["kiwi", "debootstrap", "dnf", "zypper", "rpm", "createrepo-c"] as const;
/** Names of files in a lock besides those of the description. */
const installedList = "installed packages";
const comps = "comps.xml";
/** Where kiwi finds the packages of a lock. */
const repositoryPath = "dir:///mnt/repository";
/** `$releasever` is in the description; this is for apt, which cannot do without a suite. */
const defaultSuite = "stable";

/** A description, rendered, and what of it decides how kiwi is called. */
interface Description {
  readonly files: KiwiJob["files"];
  readonly name: string;
  readonly text: string;
}

/**
 * A KIWI-ng description, run by kiwi-ng itself (`system prepare`), as IMS does with its recipes. Finding out what it
 * is made of takes a whole run, with a network; the tree is then made in a second run from the packages of the first
 * one alone, and is refused when that did not come to the same packages. `files` are those of the recipe.
 */
export function kiwiBase(files: readonly RecipeEntry[]): BaseMaker<KiwiSpec> {
  return {
    title: ({ profiles }) => `base (kiwi${profiles.length === 0 ? "" : `, ${profiles.join(", ")}`})`,
    inputs: async (spec) => ({ ...lockedBy(spec, files), epoch: String(spec.epoch), ...(await hostVersions(tools)) }),
    lockedBy: (spec) => lockedBy(spec, files),
    resolve: async (spec, world) => {
      const description = await readDescription(spec, descriptionFiles(spec, files), world);
      requireOffline(description.text);
      await runKiwi(
        job(spec, description, { network: true, args: overrides(world) }),
        world.folder,
        options(spec, world),
      );
      return lockPackages(spec, description, files, world);
    },
    make: async (spec, lock, tree, world) => {
      const entries = descriptionFiles(spec, files).map((file) => ({ ...file, sha256: lock.files[file.path] ?? "" }));
      const description = await readDescription(spec, entries, world);
      const { root, repository } = kiwiFolders(world.folder);
      const suite = suiteOf(description.text);
      await makeRepository(lock, suite, repository, world.blobs);
      const offline = {
        ...description,
        files: description.files.map((file) => withImageRepositories(file, description)),
      };
      const args = ["--ignore-repos-used-for-build", "--add-repo", repositoryArgument(lock.family, suite)];
      await runKiwi(job(spec, offline, { network: false, args }), world.folder, options(spec, world));
      await requireSame(lock, (await installedPackages(root)).packages, world);
      await takeTree(root, tree);
    },
  };
}

/** What kiwi reads: without recipe.yaml and what that one names. */
function descriptionFiles(spec: KiwiSpec, files: readonly RecipeEntry[]): RecipeEntry[] {
  const others = new Set(["recipe.yaml", ...spec.checks]);
  return files.filter(
    ({ path }) => !others.has(path) && (spec.files === undefined || !path.startsWith(`${spec.files}/`)),
  );
}

function lockedBy(spec: KiwiSpec, files: readonly RecipeEntry[]): Readonly<Record<string, string>> {
  const entries = descriptionFiles(spec, files).map(({ path, executable, sha256: digest }) => [
    path,
    executable,
    digest,
  ]);
  return {
    description: sha256(canonicalJson(entries)),
    template: sha256(canonicalJson(spec.template)),
    profiles: spec.profiles.join(" "),
    arch: spec.arch,
  };
}

async function readDescription(
  spec: KiwiSpec,
  entries: readonly RecipeEntry[],
  world: BaseWorld,
): Promise<Description> {
  const read = await Promise.all(
    entries.map(async ({ path, executable, sha256: digest }) => ({
      path,
      executable,
      content: await readFile(world.blobs.path(digest)),
    })),
  );
  const { files, warning } = renderDescription(read, spec.template);
  if (warning !== undefined) world.run.onLine(`warning: ${warning}`, "stderr");
  const name = findDescription(files.map(({ path }) => path));
  const found = files.find(({ path }) => path === name);
  if (name === undefined || found === undefined) {
    throw new NetkilnError("invalid_input", "the recipe holds no KIWI description (config.xml or *.kiwi)");
  }
  return { files, name, text: found.content.toString("utf8").replace(/<!--[\s\S]*?-->/g, "") };
}

/** What comes over the network by other ways than packages, and so cannot be kept for later. */
function requireOffline(text: string): void {
  const refuse = (what: string, hint: string) => {
    throw new NetkilnError("invalid_input", `the description ${what}, which cannot be made again without a network`, {
      hint,
    });
  };
  if (/\sderived_from="/.test(text)) refuse("starts from a container (derived_from)", "import that as from: {oci: …}");
  if (/\sbootstrap_package="/.test(text)) refuse("has a bootstrap_package", "list the packages themselves");
  if (/<collectionModule\b/.test(text)) refuse("enables module streams", "use a recipe with distribution: el");
}

function job(spec: KiwiSpec, description: Description, more: Pick<KiwiJob, "network" | "args">): KiwiJob {
  return { files: description.files, description: description.name, profiles: spec.profiles, arch: spec.arch, ...more };
}

function options(spec: KiwiSpec, world: BaseWorld) {
  return { ...world.run, env: { SOURCE_DATE_EPOCH: String(spec.epoch), PYTHONDONTWRITEBYTECODE: "1" } };
}

/** The `deb` lines of netkiln's configuration, instead of the repositories of the description. */
function overrides({ aptSources }: BaseWorld): string[] {
  if (aptSources === undefined) return [];
  const added = aptSources.flatMap((line, index) => {
    const [, uri, suite, components = "main"] = /^deb (?:\[[^\]]*\] )?(\S+) (\S+) ?(.*)$/.exec(line) ?? [];
    if (uri === undefined || suite === undefined) return [];
    return ["--add-repo", [uri, "apt-deb", `netkiln-${index}`, "", "", "", "", components, suite, ""].join(",")];
  });
  return ["--ignore-repos-used-for-build", ...added];
}

/** The suite that debootstrap is given: that of the repository which says so, or of the first that has one. */
function suiteOf(text: string): string {
  const repositories = text.match(/<repository\b[^>]*>/g) ?? [];
  const chosen = repositories.find((tag) => /\suse_for_bootstrap="true"/.test(tag)) ?? repositories.join("");
  return /\sdistribution="([^"]+)"/.exec(chosen)?.[1] ?? defaultSuite;
}

function repositoryArgument(family: Lock["family"], suite: string): string {
  // Source, type, alias, priority, image, packages signed, keys, components, suite, index signed. What the packages
  // were signed with was checked when they were locked; now their digests are.
  const type = family === "deb" ? "apt-deb" : "rpm-md";
  const debian = family === "deb" ? ["main", suite] : ["", ""];
  return [repositoryPath, type, "netkiln", "", "false", "false", "", ...debian, "false"].join(",");
}

/** Repositories that stay in the image are only written there; otherwise they would be asked for packages, too. */
function withImageRepositories(file: KiwiJob["files"][number], description: Description): KiwiJob["files"][number] {
  if (file.path !== description.name) return file;
  const text = file.content
    .toString("utf8")
    .replace(/<repository\b[^>]*>/g, (tag) => tag.replace(/\simageinclude="true"/, ' imageonly="true"'));
  return { ...file, content: Buffer.from(text) };
}

async function lockPackages(
  spec: KiwiSpec,
  { text }: Description,
  files: readonly RecipeEntry[],
  world: BaseWorld,
): Promise<Lock> {
  const { root, cache } = kiwiFolders(world.folder);
  const { family, packages: installed } = await installedPackages(root);
  // Package managers do not copy what they find on this machine.
  const local = [...text.matchAll(/<source\s+path="(?:dir:\/\/|file:\/\/)?(\/[^"]+)"/g)].map((found) => found[1] ?? "");
  const fetched = await packageFiles(family, [cache]);
  const wanted = new Map(fetched);
  const missing = installed.filter((id) => !fetched.has(idOf(id)));
  if (missing.length > 0) {
    const nearby = await packageFiles(family, local);
    for (const id of missing) {
      const found = nearby.get(idOf(id));
      if (found === undefined) throw notKept(missing);
      wanted.set(idOf(id), found);
    }
  }
  const packages: LockedPackage[] = [];
  for (const { file, ...id } of [...wanted.values()].sort((a, b) => (order(a) < order(b) ? -1 : 1))) {
    const own = join(world.folder, "package");
    await run(["cp", "--reflink=auto", file, own]);
    const { sha256: digest, size } = await world.blobs.putFile(own);
    packages.push({ ...id, sha256: digest, size });
  }
  const list = installed.map(idOf).sort();
  const listed = (await world.blobs.putBytes(JSON.stringify(list))).sha256;
  return {
    family,
    packages,
    files: {
      ...Object.fromEntries(descriptionFiles(spec, files).map((file) => [file.path, file.sha256])),
      [installedList]: listed,
      ...(family === "deb" && { [priorities]: await keepPriorities(packages, root, cache, world) }),
      ...(await keepGroups(family, text, cache, world)),
    },
  };
}

const order = (id: PackageId) => [id.name, id.version, id.arch].join("\0");

function notKept(missing: readonly PackageId[]): NetkilnError {
  const some = missing.slice(0, 10).map(idOf);
  return new NetkilnError(
    "work_failed",
    `kiwi installed ${countOf(missing.length, "package")} that it did not keep: ${some.join(", ")}`,
    {
      hint: "packages come from the repositories of the description; archives and scripts may bring files, not packages",
    },
  );
}

async function keepPriorities(
  packages: readonly LockedPackage[],
  root: string,
  cache: string,
  world: BaseWorld,
): Promise<string> {
  const found = await readPriorities([join(cache, "apt-get/lists"), join(root, "var/lib/apt/lists")]);
  const kept = packages.flatMap((id) => (found[idOf(id)] === undefined ? [] : [[idOf(id), found[idOf(id)]]]));
  return (await world.blobs.putBytes(canonicalJson(Object.fromEntries(kept)))).sha256;
}

/** dnf reads from the repository which packages are in a group. */
async function keepGroups(
  family: Family,
  text: string,
  cache: string,
  world: BaseWorld,
): Promise<Readonly<Record<string, string>>> {
  if (family !== "rpm" || !/<namedCollection\b/.test(text) || !/<packagemanager>\s*(dnf|microdnf)/.test(text))
    return {};
  const names = await readdir(cache, { recursive: true });
  const found = names.filter((name) => /comps[^/]*\.xml(\.gz|\.xz|\.zst)?$/.test(name));
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new NetkilnError("work_failed", `the groups of the description come from ${found.length} repositories`, {
      hint: "only one of them can be kept for later; name the packages of the other groups themselves",
    });
  }
  const unpack = { gz: "gzip", xz: "xz", zst: "zstd" }[only.slice(only.lastIndexOf(".") + 1)];
  const { stdout } = await run(unpack === undefined ? ["cat", join(cache, only)] : [unpack, "-dc", join(cache, only)]);
  return { [comps]: (await world.blobs.putBytes(stdout)).sha256 };
}

/** The same packages have to be there as when they were locked, or a tree would be another one without anybody knowing. */
async function requireSame(lock: Lock, installed: readonly PackageId[], world: BaseWorld): Promise<void> {
  const path = world.blobs.path(lock.files[installedList] ?? "");
  const before = new Set(JSON.parse(await readFile(path, "utf8")) as string[]);
  const now = new Set(installed.map(idOf));
  const gone = [...before].filter((id) => !now.has(id));
  const added = [...now].filter((id) => !before.has(id));
  if (gone.length + added.length === 0) return;
  throw new NetkilnError("work_failed", "kiwi installed other packages from the lock than when it was made", {
    output: [...gone.map((id) => `- ${id}`), ...added.map((id) => `+ ${id}`)].slice(0, 40),
    hint: "the description depends on more than its packages, such as a script that installs some over the network",
  });
}

/** What kiwi leaves in a tree, and what in it differs from run to run. */
const leftovers = [
  ...[
    "image",
    ".kconfig",
    ".profile",
    ".kiwi_grub_config.trigger",
    "var/cache/kiwi",
    "var/cache/dnf",
    "var/cache/zypp",
  ],
  ...["var/log/dnf.log", "var/log/dnf.rpm.log", "var/log/dnf.librepo.log", "var/log/hawkey.log", "var/log/zypper.log"],
  ...["var/log/zypp", "var/lib/dnf/history.sqlite-shm", "var/lib/dnf/history.sqlite-wal"],
];

async function takeTree(root: string, tree: string): Promise<void> {
  for (const path of leftovers) await rm(join(root, path), { recursive: true, force: true });
  // Device nodes are made at boot.
  for (const name of await readdir(join(root, "dev"))) await rm(join(root, "dev", name), { recursive: true });
  for (const name of await readdir(root)) await rename(join(root, name), join(tree, name));
  await chmod(tree, 0o755);
  // debootstrap writes the repository that it was given; those that are to stay have files of their own.
  // It also writes the name of the machine that it runs on.
  for (const [path, trace] of [
    ["etc/apt/sources.list", /\/mnt\/repository/],
    ["etc/hostname", /^netkiln$/m],
  ] as const) {
    const found = await resolveRooted(tree, path, false);
    const text = found === undefined ? "" : await readFile(join(tree, found), "utf8").catch(() => "");
    if (trace.test(text)) await rm(join(tree, path));
  }
}
