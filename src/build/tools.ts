import { hostVersions } from "./host-packages.ts";

/** Debian packages whose version can change what a step makes. */
const packages = [
  "mmdebstrap",
  "ansible",
  "ansible-core",
  "strace",
  "rpm",
  "erofs-utils",
  "cryptsetup-bin",
  "gzip",
  "zstd",
] as const;

/** Of Node; it packs squashfs images. */
const zstdOfNode = "zstd of Node";

export type ToolVersions = Readonly<Record<(typeof packages)[number] | typeof zstdOfNode, string>>;

/** Versions of the build tools on this host; "none" for one that is not installed. */
export async function readToolVersions(): Promise<ToolVersions> {
  return { ...(await hostVersions(packages)), [zstdOfNode]: process.versions.zstd ?? "none" };
}
