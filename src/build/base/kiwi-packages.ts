import { link, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore } from "../../artifact/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { run, type Argv } from "../../lib/exec.ts";
import { orUndefined } from "../../lib/rooted.ts";
import { runIsolated } from "../sandbox/sandbox.ts";
import { withoutNetwork } from "./inspect.ts";
import type { Lock, LockedPackage } from "./types.ts";

export type Family = "deb" | "rpm";
/** A package, without what only its file has. */
export type PackageId = Pick<LockedPackage, "name" | "version" | "arch">;

/** Arguments of one command; the kernel takes 2 MiB of them, and a path may have 4096 bytes. */
const atOnce = 200;
const rpmFormat = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n";

export function idOf({ name, version, arch }: PackageId): string {
  return `${name} ${version} ${arch}`;
}

/** The packages that are installed in a tree which kiwi made, whichever database it has. */
export async function installedPackages(tree: string): Promise<{ family: Family; packages: readonly PackageId[] }> {
  const status = await orUndefined(readFile(join(tree, "var/lib/dpkg/status"), "utf8"));
  if (status !== undefined) return { family: "deb", packages: status.split("\n\n").flatMap(fromStatus) };
  for (const path of ["usr/lib/sysimage/rpm", "var/lib/rpm"]) {
    const entries = await orUndefined(readdir(join(tree, path)));
    if (entries === undefined || entries.length === 0) continue;
    const argv = withoutNetwork(["rpm", "--dbpath", join(tree, path), "-qa", "--qf", rpmFormat]);
    const { stdout } = await runIsolated(argv, { name: "rpm" });
    // The keys that packages are checked with stand in the same database.
    return { family: "rpm", packages: fromRpm(stdout).filter(({ name }) => name !== "gpg-pubkey") };
  }
  throw new NetkilnError(
    "work_failed",
    "the tree that kiwi made has no packages: there is no database of dpkg or rpm",
    {
      hint: "a description has to install packages with apt, dnf or zypper",
    },
  );
}

function fromStatus(stanza: string): PackageId[] {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1] ?? "";
  if (!field("Status").endsWith(" installed")) return [];
  return [{ name: field("Package"), version: field("Version"), arch: field("Architecture") }];
}

function fromRpm(text: string): PackageId[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [name = "", version = "", arch = ""] = line.split("\t");
      return { name, version, arch };
    });
}

/** The package files below some folders, by what they say of themselves. */
export async function packageFiles(
  family: Family,
  folders: readonly string[],
): Promise<ReadonlyMap<string, PackageId & { readonly file: string }>> {
  const found = new Map<string, PackageId & { readonly file: string }>();
  for (const folder of folders) {
    const names = (await orUndefined(readdir(folder, { recursive: true }))) ?? [];
    const files = names.filter((name) => name.endsWith(`.${family}`)).map((name) => join(folder, name));
    for (let at = 0; at < files.length; at += atOnce) {
      const some = files.slice(at, at + atOnce);
      for (const [index, id] of (await readIds(family, some)).entries()) {
        const file = some[index] ?? "";
        if (!found.has(idOf(id))) found.set(idOf(id), { ...id, file });
      }
    }
  }
  return found;
}

async function readIds(family: Family, files: readonly string[]): Promise<PackageId[]> {
  if (family === "rpm") {
    // Whether they are signed as they should be was kiwi's to say.
    const argv: Argv = ["rpm", "-qp", "--nosignature", "--nodigest", "--qf", rpmFormat, ...files];
    return fromRpm((await run(argv)).stdout);
  }
  const ids: PackageId[] = [];
  for (const file of files) {
    const format = "--showformat=${Package}\\t${Version}\\t${Architecture}\\n";
    ids.push(...fromRpm((await run(["dpkg-deb", "--show", format, file])).stdout));
  }
  return ids;
}

/** In the files of a lock: the priorities of its packages by what they are, as the archive has them. */
export const priorities = "priorities";

/**
 * The priorities that the indexes which kiwi fetched give to packages. They overrule those in the packages themselves,
 * and debootstrap begins with what is required.
 */
export async function readPriorities(folders: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const found: Record<string, string> = {};
  for (const folder of folders) {
    for (const name of (await orUndefined(readdir(folder))) ?? []) {
      if (!name.endsWith("_Packages")) continue;
      const text = await orUndefined(readFile(join(folder, name), "utf8"));
      for (const stanza of text?.split("\n\n") ?? []) {
        const field = (key: string) => new RegExp(`^${key}: (.*)$`, "m").exec(stanza)?.[1] ?? "";
        found[idOf({ name: field("Package"), version: field("Version"), arch: field("Architecture") })] =
          field("Priority");
      }
    }
  }
  return found;
}

/** Makes a repository of exactly the packages of a lock; its files are those of the store, by another name. */
export async function makeRepository(lock: Lock, suite: string, folder: string, blobs: BlobStore): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const stanzas: string[] = [];
  const kept = lock.files[priorities];
  const priority = new Map(
    kept === undefined
      ? []
      : Object.entries(JSON.parse(await readFile(blobs.path(kept), "utf8")) as Record<string, string>),
  );
  for (const { name, version, arch, sha256, size } of lock.packages) {
    const file = `${name}_${version.replaceAll(":", "%3a")}_${arch}.${lock.family}`;
    await link(blobs.path(sha256), join(folder, file));
    if (lock.family !== "deb") continue;
    const { stdout } = await run(["dpkg-deb", "--field", join(folder, file)]);
    const control = stdout
      .trimEnd()
      .replace(/^Priority: .*$/m, (own) => `Priority: ${priority.get(idOf({ name, version, arch })) ?? own.slice(10)}`);
    stanzas.push(`${control}\nFilename: ${file}\nSize: ${size}\nSHA256: ${sha256}\n`);
  }
  if (lock.family === "deb") await indexDebs(folder, suite, stanzas);
  else {
    const comps = lock.files["comps.xml"];
    if (comps !== undefined) await writeFile(join(folder, "comps.xml"), await readFile(blobs.path(comps)));
    const groups = comps === undefined ? [] : ["--groupfile", "comps.xml"];
    await run(["createrepo_c", "--quiet", ...groups, folder]);
  }
}

/** A repository with one suite and the component "main" (https://wiki.debian.org/DebianRepository/Format). */
async function indexDebs(folder: string, suite: string, stanzas: readonly string[]): Promise<void> {
  const { stdout: arch } = await run(["dpkg", "--print-architecture"]);
  const path = `main/binary-${arch.trim()}`;
  // debootstrap sees no stanza that no blank line ends when it looks for what others need.
  const text = stanzas.map((stanza) => `${stanza}\n`).join("");
  const top = join(folder, "dists", suite);
  await mkdir(join(top, path), { recursive: true, mode: 0o755 });
  await writeFile(join(top, path, "Packages"), text);
  const { stdout } = await run(["sha256sum", join(top, path, "Packages")]);
  const release = [
    ...[
      "Origin: netkiln",
      `Suite: ${suite}`,
      `Codename: ${suite}`,
      "Components: main",
      `Architectures: ${arch.trim()}`,
    ],
    ...["SHA256:", ` ${stdout.slice(0, 64)} ${Buffer.byteLength(text)} ${path}/Packages`, ""],
  ];
  await writeFile(join(top, "Release"), release.join("\n"));
}
