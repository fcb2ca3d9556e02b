import { stat } from "node:fs/promises";
import { run } from "../lib/exec.ts";

/** What dpkg writes anew whenever a package of this host changes. */
const database = "/var/lib/dpkg/status";

let known: { readonly state: string; readonly versions: Promise<ReadonlyMap<string, string>> } | undefined;

/**
 * Versions of Debian packages on this host, by name: "none" for one that is not installed, and all that are installed
 * whose name fits `pattern`, as libraries have their version in their name.
 */
export async function hostVersions<Name extends string>(
  names: readonly Name[],
  pattern?: RegExp,
): Promise<Readonly<Record<Name, string>>> {
  const versions = await installedVersions();
  const fitting = [...versions].filter(([name]) => pattern?.test(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  const named = names.map((name) => [name, versions.get(name) ?? "none"]);
  return Object.fromEntries([...named, ...fitting]) as Record<Name, string>;
}

/** Asked for each step of each plan, so dpkg is asked again only when it has changed something. */
async function installedVersions(): Promise<ReadonlyMap<string, string>> {
  const { ino, size, mtimeNs } = await stat(database, { bigint: true });
  const state = `${ino}:${size}:${mtimeNs}`;
  if (known?.state !== state) known = { state, versions: askDpkg() };
  return known.versions;
}

async function askDpkg(): Promise<ReadonlyMap<string, string>> {
  const { stdout } = await run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Package} ${Version}\\n"]);
  return new Map(
    stdout.split("\n").flatMap((line) => {
      const [status, name = "", version = ""] = line.split(" ");
      return status === "installed" ? [[name, version] as const] : [];
    }),
  );
}
