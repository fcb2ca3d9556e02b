import type { Stanza } from "./deb822.ts";
import type { IndexedPackage } from "./debian-schema.ts";
import type { LockedPackage } from "./types.ts";

/** What apt needs to choose the same packages again; what else an index says differs between archives. */
const keptFields = [
  ...["Package", "Version", "Architecture", "Multi-Arch", "Essential", "Important", "Protected"],
  ...["Priority", "Section", "Source", "Installed-Size"],
  ...["Pre-Depends", "Depends", "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Replaces", "Provides"],
] as const;

/** The file that dpkg calls NAME_VERSION_ARCH.deb, as apt names it in its cache: with %3a for a colon. */
export function debName({ name, version, arch }: Pick<LockedPackage, "name" | "version" | "arch">): string {
  return `${name}_${version.replaceAll(":", "%3a")}_${arch}.deb`;
}

/** A Packages index of these packages, in their order; equal for equal packages, whichever mirror they came from. */
export function indexText(packages: readonly IndexedPackage[]): string {
  return packages
    .map((found) => {
      const lines = keptLines(found.fields);
      lines.push(`Filename: pool/${debName(found)}`, `Size: ${found.size}`, `SHA256: ${found.sha256}`);
      return `${lines.join("\n")}\n`;
    })
    .join("\n");
}

/** dpkg's status file as it is when these packages are installed. */
export function statusText(packages: readonly IndexedPackage[]): string {
  return packages.map(({ fields }) => [...keptLines(fields), "Status: install ok installed\n"].join("\n")).join("\n");
}

function keptLines(fields: Stanza): string[] {
  return keptFields.flatMap((name) => {
    const value = fields.get(name.toLowerCase());
    return value === undefined ? [] : [`${name}: ${value.replaceAll("\n", "\n ")}`];
  });
}

/** A Release file for a flat repository that holds this index, with the names that a suite is asked for by. */
export function releaseText(suite: string, arch: string, index: { readonly sha256: string; readonly size: number }) {
  return `Suite: ${suite}
Codename: ${suite}
Architectures: all ${arch}
Date: Thu, 01 Jan 1970 00:00:00 UTC
SHA256:
 ${index.sha256} ${index.size} Packages
`;
}
