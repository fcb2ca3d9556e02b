import type { ElSpec, SuseSpec } from "../../image/index.ts";

/** A file of the scaffold layer: path from the root without a leading slash, content, mode. */
export type ScaffoldFile = readonly [path: string, content: string, mode: number];

const keyFolder = "etc/pki/rpm-gpg/netkiln-build";

/**
 * What stands on top of an RPM tree while a layer installs packages, and is not part of the image: the repositories of
 * the recipe, with the keys that may sign each, for dnf and for zypper, whichever the tree has. `keys` are the texts of
 * the recipe's key files by path. For dnf, packages that the recipe excludes stay excluded.
 */
export function rpmScaffold(
  spec: Pick<ElSpec | SuseSpec, "distribution" | "repositories" | "exclude_packages">,
  keys: ReadonlyMap<string, string>,
): ScaffoldFile[] {
  const files: ScaffoldFile[] = [];
  const excluded = spec.exclude_packages.length === 0 ? [] : [`excludepkgs=${spec.exclude_packages.join(" ")}`];
  const sections = spec.repositories.map(({ name, url, keys: own, signed }) => {
    const trusted = own.map((key, index) => {
      const path = `${keyFolder}/${name}-${index}.asc`;
      files.push([path, keys.get(key) ?? "", 0o644]);
      return `file:///${path}`;
    });
    // One entry with all keys for dnf; zypper reads a list that goes on in indented lines as well.
    const check = signed ? ["gpgcheck=1", "repo_gpgcheck=0", `gpgkey=${trusted.join("\n       ")}`] : ["gpgcheck=0"];
    const zypp = spec.distribution === "suse" && signed ? ["pkg_gpgcheck=1"] : [];
    const all = [`[netkiln-${name}]`, `name=netkiln ${name}`, `baseurl=${url}`, "enabled=1", ...check, ...zypp];
    return [...all, ...(spec.distribution === "el" ? excluded : [])].map((line) => `${line}\n`).join("");
  });
  const folder = spec.distribution === "el" ? "etc/yum.repos.d" : "etc/zypp/repos.d";
  files.push([`${folder}/netkiln-build.repo`, sections.join("\n"), 0o600]);
  return files;
}
