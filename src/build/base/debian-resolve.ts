import { copyFile, lstat, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DebianSpec } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Argv } from "../../lib/exec.ts";
import { aptSources, hostAptOptions } from "./apt-sources.ts";
import { openApt, type PrivateApt } from "./debian-apt.ts";
import { explainFailure } from "./debian-failure.ts";
import { indexText, statusText } from "./debian-index.ts";
import { readIndex, readWanted, type IndexedPackage, type WantedFile } from "./debian-schema.ts";
import { debianArch, rootPackages } from "./debian-spec.ts";
import { isWhole, sortPackages } from "./lock.ts";
import type { BaseWorld, Lock } from "./types.ts";

/** Downloads at the same time; each is an apt of its own, which asks one mirror for one file after the other. */
const downloads = 4;

/** A package to be locked, and where it can be fetched. */
interface Found extends IndexedPackage {
  readonly uri: string;
}

/** Asks apt what mmdebstrap would install today, and brings all of it into the blob store. */
export async function resolveDebian(spec: DebianSpec, world: BaseWorld): Promise<Lock> {
  const root = join(world.folder, "apt");
  const sources = await aptSources(spec, world.aptSources);
  const options = await hostAptOptions();
  const setup = { arch: debianArch[spec.arch], aptIsEssential: spec.variant === "apt", sources, options };
  let noSpace: string | undefined;
  const onLine: BaseWorld["run"]["onLine"] = (line, stream) => {
    if (line.includes("No space left on device")) noSpace = line;
    world.run.onLine(line, stream);
  };
  const watched = { ...world, run: { ...world.run, onLine } };
  try {
    const apt = await openApt(root, setup, watched);
    await apt.run(["apt-get", "update", "--error-on=any"]);
    const found = await selectPackages(spec, apt);
    await fetchPackages(found, apt, watched);
    const packages = sortPackages(found).map(({ name, version, arch, sha256, size }) => ({
      ...{ name, version, arch, sha256, size },
    }));
    const index = await world.blobs.putBytes(indexText(sortPackages(found)));
    return { family: "deb", packages, files: { Packages: index.sha256 } };
  } catch (error) {
    throw explainFailure(error, noSpace);
  }
}

/**
 * The same in two goes as mmdebstrap 1.3.5 (run_download, run_install): what is essential is there before the rest is
 * chosen, so that, for example, it keeps one of two alternatives although a package of the rest is another.
 */
async function selectPackages(spec: DebianSpec, apt: PrivateApt): Promise<Found[]> {
  const { essential, rest } = selections(spec);
  const first = await wantedBy(essential, apt);
  if (first.length === 0) {
    const what = `${spec.distribution} ${spec.suite} for ${spec.arch}`;
    throw new NetkilnError("work_failed", `the package sources have no essential packages of ${what}`, {
      hint: "check that they have this suite, the component main, and this architecture",
    });
  }
  await writeFile(apt.status, statusText(first));
  const second = rest === undefined ? [] : await wantedBy(rest, apt);
  return [...first, ...second];
}

/** Patterns are those of apt-patterns(7). */
export function selections(spec: DebianSpec): { essential: Argv; rest: Argv | undefined } {
  const arch = debianArch[spec.arch];
  const inSuite = (what: string) =>
    `?narrow(?or(?archive(^${spec.suite}$),?codename(^${spec.suite}$)),?architecture(${arch}),${what})`;
  const priorities = {
    apt: [],
    essential: [],
    minbase: ["required"],
    important: ["required", "important"],
    standard: ["required", "important", "standard"],
  }[spec.variant];
  const chosen = [...rootPackages(spec)];
  if (priorities.length > 0) {
    const either = `?or(${priorities.map((priority) => `?priority(${priority})`).join(",")})`;
    chosen.push(inSuite(`?and(${either},?not(?essential))`));
  }
  return {
    // To apt, essential is what is marked so, and apt itself.
    essential: spec.variant === "apt" ? ["dist-upgrade"] : ["install", inSuite("?essential")],
    rest: chosen.length === 0 ? undefined : ["install", ...chosen],
  };
}

async function wantedBy(request: Argv, apt: PrivateApt): Promise<Found[]> {
  const files = readWanted(await apt.run(["apt-get", "--yes", "--print-uris", ...request], "quiet"));
  if (files.length === 0) return [];
  const names = files.map(({ name, version, arch }) => `${name}:${arch}=${version}`);
  const shown = readIndex(await apt.run(["apt-cache", "show", ...names], "quiet"));
  const byDigest = new Map(shown.map((stanza) => [stanza.sha256, stanza]));
  return files.map((file) => ({ ...describedBy(byDigest, file), uri: file.uri }));
}

function describedBy(byDigest: ReadonlyMap<string, IndexedPackage>, file: WantedFile): IndexedPackage {
  const found = file.sha256 === undefined ? undefined : byDigest.get(file.sha256);
  if (found?.name === file.name && found.version === file.version && found.size === file.size) return found;
  throw new NetkilnError("work_failed", `the archive gives no SHA256 for ${file.name} ${file.version}`, {
    hint: `it comes from ${file.uri}; a package can be locked only from an archive whose index has SHA256`,
  });
}

async function fetchPackages(found: readonly Found[], apt: PrivateApt, world: BaseWorld): Promise<void> {
  const missing: Found[] = [];
  for (const wanted of found) if (!(await isWhole(world.blobs, wanted))) missing.push(wanted);
  const bytes = missing.reduce((sum, { size }) => sum + size, 0);
  world.run.onLine(
    `${found.length} packages: ${found.length - missing.length} are here, ${missing.length} to fetch (${bytes} bytes)`,
    "stdout",
  );
  const done = await Promise.allSettled(inParts(missing, downloads).map((part, index) => fetchPart(index, part)));
  const failed = done.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;

  async function fetchPart(index: number, part: readonly Found[]): Promise<void> {
    const folder = join(world.folder, `download-${index}`);
    await apt.makeFolder(folder);
    const words = part.flatMap(({ uri, sha256 }) => [uri, join(folder, sha256), `SHA256:${sha256}`]);
    let taken: ReadonlySet<string> = new Set();
    try {
      await apt.run(["/usr/lib/apt/apt-helper", "-q", "download-file", ...words]);
    } finally {
      // Also after a failure: what has come is not fetched again.
      taken = await takeFiles(folder, part, world);
    }
    for (const { uri, sha256 } of part) {
      if (taken.has(sha256)) continue;
      throw new NetkilnError("work_failed", `${uri} is not the file that its archive's index names`);
    }
  }
}

/** Takes what has come whole into the blob store; returns the digests. */
async function takeFiles(folder: string, part: readonly Found[], world: BaseWorld): Promise<Set<string>> {
  const taken = new Set<string>();
  for (const { sha256, size } of part) {
    const file = join(folder, sha256);
    const found = await stat(file).catch(() => undefined);
    if (found?.size !== size) continue;
    // For a source on this host apt makes a link to the file, which is not ours to take.
    const own = join(folder, `${sha256}.copy`);
    if ((await lstat(file)).isSymbolicLink()) await copyFile(file, own);
    else await rename(file, own);
    taken.add((await world.blobs.putFile(own)).sha256);
  }
  return taken;
}

/** At most `count` lists of about the same size in bytes. */
function inParts(packages: readonly Found[], count: number): Found[][] {
  const parts = Array.from({ length: count }, () => ({ bytes: 0, packages: [] as Found[] }));
  for (const found of [...packages].sort((a, b) => b.size - a.size)) {
    const smallest = parts.reduce((a, b) => (b.bytes < a.bytes ? b : a));
    smallest.packages.push(found);
    smallest.bytes += found.size;
  }
  return parts.map((part) => part.packages).filter((part) => part.length > 0);
}
