import type { Inventory, InventoryPackage } from "../../image/index.ts";

type Named = Pick<InventoryPackage, "kind" | "name" | "version" | "arch">;

/**
 * The package URL of a package (https://github.com/package-url/purl-spec, types deb, rpm, pypi and npm). Those of the
 * system are in the namespace of their distribution, which os-release names.
 */
export function purlOf({ kind, name, version, arch }: Named, os: Inventory["os"]): string {
  switch (kind) {
    case "deb": {
      const distro = os.codename ?? `${os.id}-${os.versionId ?? ""}`;
      return purl(`deb/${os.id}/${encode(name)}`, version, { arch, distro });
    }
    case "rpm": {
      const [, epoch, rest = version] = /^(\d+):(.*)$/.exec(version) ?? [];
      const namespace = os.id.startsWith("opensuse") ? "opensuse" : os.id;
      const distro = os.versionId === undefined ? os.id : `${os.id}-${os.versionId}`;
      return purl(`rpm/${namespace}/${encode(name)}`, rest, { arch, distro, epoch });
    }
    case "pypi":
      return purl(`pypi/${encode(name.toLowerCase().replaceAll("_", "-"))}`, version, {});
    case "npm":
      return purl(`npm/${name.split("/").map(encode).join("/")}`, version, {});
  }
}

function purl(name: string, version: string, qualifiers: Readonly<Record<string, string | undefined>>): string {
  const pairs = Object.entries(qualifiers)
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key, value]) => `${key}=${encode(value ?? "")}`);
  return `pkg:${name}@${encode(version)}${pairs.length === 0 ? "" : `?${pairs.sort().join("&")}`}`;
}

/** The colon of a Debian epoch stays as it is; what RFC 3986 reserves besides and encodeURIComponent leaves is quoted. */
function encode(text: string): string {
  return encodeURIComponent(text)
    .replaceAll("%3A", ":")
    .replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
