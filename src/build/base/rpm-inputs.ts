import type { ElSpec, SuseSpec } from "../../image/index.ts";

type RpmSpec = ElSpec | SuseSpec;

/** All packages that the recipe names; what they need is found out when they are locked. */
export function wantedPackages(spec: RpmSpec): string[] {
  return [...spec.packages, ...(spec.kernel?.package === undefined ? [] : [spec.kernel.package])];
}

/** Files of the recipe that `resolve` and `make` read; their content belongs to the key of the step, and to the lock. */
export function keyFiles(spec: RpmSpec): string[] {
  return [...new Set(spec.repositories.flatMap((repository) => repository.keys))].sort();
}

export function rpmLockedBy(spec: RpmSpec): Record<string, string> {
  return {
    release: spec.release,
    arch: spec.arch,
    repositories: spec.repositories.map(({ name, url }) => `${name}=${url}`).join(" "),
    ...trust(spec),
    packages: wantedPackages(spec).join(" "),
    "exclude packages": spec.exclude_packages.join(" "),
  };
}

/** Which keys may sign for which repository. */
export function trust(spec: RpmSpec): Record<string, string> {
  const words = spec.repositories.map(({ name, keys, signed }) => `${name}=${signed ? keys.join(",") : "unsigned"}`);
  return { keys: words.join(" ") };
}
