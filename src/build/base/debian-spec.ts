import type { DebianSpec } from "../../image/index.ts";

/** Debian's names of the architectures. */
export const debianArch = { x86_64: "amd64", aarch64: "arm64" } as const;

/** What a recipe asks for by name, in the order in which apt is asked. */
export function rootPackages({ packages, kernel }: DebianSpec): readonly string[] {
  return [...packages, ...(kernel?.package === undefined ? [] : [kernel.package])];
}
