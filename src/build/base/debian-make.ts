import { copyFile, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { DebianSpec } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv } from "../../lib/exec.ts";
import { runIsolated } from "../sandbox/sandbox.ts";
import { parseDeb822 } from "./deb822.ts";
import { explainFailure } from "./debian-failure.ts";
import { debName, releaseText } from "./debian-index.ts";
import { debianArch, rootPackages } from "./debian-spec.ts";
import { isEmulated, requireArch } from "./emulation.ts";
import { requireWhole } from "./lock.ts";
import type { BaseWorld, Lock } from "./types.ts";

const excludeScript = fileURLToPath(new URL("debian-exclude.sh", import.meta.url));
const script = fileURLToPath(new URL("debian-make.sh", import.meta.url));

/** Makes a tree from the blobs of a lock and nothing else, with mmdebstrap, in the empty folder `tree`. */
export async function makeDebian(spec: DebianSpec, lock: Lock, tree: string, world: BaseWorld): Promise<void> {
  await requireArch(spec.arch);
  await requireWhole(world.blobs, lock);
  const repository = join(world.folder, "repository");
  await writeRepository(repository, spec, lock, world);
  await placePackages(tree, lock, world);
  await writeExcludes(tree, spec.exclude);
  await runMmdebstrap(repository, tree, spec, world);
  await removeBuildTraces(tree);
  await requireInstalled(tree, lock);
}

/** An index without packages: these are in apt's cache already, where they are taken for fetched. */
async function writeRepository(folder: string, spec: DebianSpec, lock: Lock, { blobs }: BaseWorld): Promise<void> {
  await mkdir(folder, { mode: 0o755 });
  const sha256 = lock.files["Packages"] ?? "";
  const index = join(folder, "Packages");
  await copyFile(blobs.path(sha256), index);
  const { length: size } = await readFile(index);
  await writeFile(join(folder, "excludes"), spec.exclude.map((pattern) => `${pattern}\n`).join(""));
  await writeFile(join(folder, "Release"), releaseText(spec.suite, debianArch[spec.arch], { sha256, size }));
}

/** Links, as the blobs stand on the same file system and are only read. */
async function placePackages(tree: string, lock: Lock, { blobs }: BaseWorld): Promise<void> {
  const archives = join(tree, "var/cache/apt/archives");
  await mkdir(archives, { recursive: true, mode: 0o755 });
  for (const locked of lock.packages) await link(blobs.path(locked.sha256), join(archives, debName(locked)));
}

/** Kept, so that packages which a layer installs leave out the same paths. */
async function writeExcludes(tree: string, patterns: readonly string[]): Promise<void> {
  if (patterns.length === 0) return;
  const folder = join(tree, "etc/dpkg/dpkg.cfg.d");
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await writeFile(join(folder, "netkiln"), patterns.map((pattern) => `path-exclude=${pattern}\n`).join(""));
}

async function runMmdebstrap(repository: string, tree: string, spec: DebianSpec, world: BaseWorld): Promise<void> {
  const sources = join(world.folder, "build.list");
  await writeFile(sources, "deb [trusted=yes] file:/mnt ./\n");
  const packages = rootPackages(spec);
  // dpkg goes on after it, so it may stand far above the end of what was printed.
  let noSpace: string | undefined;
  const argv: Argv = [
    // The first word after the isolation: a network that nothing is reached by.
    ...(["unshare", "--net", "--"] as const),
    ...["/bin/sh", script, repository, tree, isEmulated(spec.arch) ? "yes" : "no"],
    "mmdebstrap",
    ...["--mode=root", "--format=directory"],
    `--architectures=${debianArch[spec.arch]}`,
    `--variant=${spec.variant}`,
    ...(packages.length === 0 ? [] : [`--include=${packages.join(",")}`]),
    // Nothing here is signed; without keys it does not look for the one that a suite needs.
    `--keyring=${repository}`,
    "--dpkgopt=force-unsafe-io",
    `--extract-hook=${excludeScript}`,
    // The packages are there before it starts, and apt's cache is emptied below.
    "--skip=check/empty,cleanup/apt",
    ...[spec.suite, tree, sources],
  ];
  await runIsolated(argv, {
    name: "mmdebstrap",
    signal: world.run.signal,
    onLine: (line, stream) => {
      if (line.includes("No space left on device")) noSpace = line;
      world.run.onLine(line, stream);
    },
    env: {
      SOURCE_DATE_EPOCH: String(spec.epoch),
      DEBIAN_FRONTEND: "noninteractive",
      PYTHONDONTWRITEBYTECODE: "1",
      // What it leaves behind when it is killed goes with the work folder.
      TMPDIR: world.folder,
      // Hooks of the kernel package make no initrd: ours is made later, from the finished tree.
      INITRD: "No",
    },
  }).catch((error: unknown) => {
    throw explainFailure(error, noSpace);
  });
}

/** What mmdebstrap copies from this host or keeps of its own options is not part of the image. */
async function removeBuildTraces(tree: string): Promise<void> {
  const files = ["etc/hostname", "etc/resolv.conf", "etc/apt/sources.list.d/0000build.list"];
  for (const path of [...files, "etc/dpkg/dpkg.cfg.d/99mmdebstrap"]) await rm(join(tree, path), { force: true });
  for (const folder of ["var/cache/apt", "var/lib/apt/lists"]) {
    await rm(join(tree, folder), { recursive: true, force: true });
    await mkdir(join(tree, folder), { mode: 0o755 });
  }
}

/** A tree that holds other packages than its lock says would be described wrongly for as long as it lives. */
export async function requireInstalled(tree: string, lock: Lock): Promise<void> {
  const status = parseDeb822(await readFile(join(tree, "var/lib/dpkg/status"), "utf8"));
  const installed = status
    .filter((stanza) => stanza.get("status") === "install ok installed")
    .map((stanza) => `${stanza.get("package")} ${stanza.get("version")} ${stanza.get("architecture")}`);
  const locked = lock.packages.map(({ name, version, arch }) => `${name} ${version} ${arch}`);
  const output = [
    ...locked.filter((one) => !installed.includes(one)).map((one) => `not installed: ${one}`),
    ...installed.filter((one) => !locked.includes(one)).map((one) => `not in the lock: ${one}`),
  ];
  if (output.length === 0) return;
  throw new NetkilnError("work_failed", `mmdebstrap installed other packages than those of the lock: ${output[0]}`, {
    output: output.slice(0, 20),
    hint: "the recipe and its lock do not belong together: lock its packages again",
  });
}
