import { run } from "../lib/exec.ts";

/** Debian packages whose version can change what a step makes. */
const packages = [
  "mmdebstrap",
  "ansible",
  "ansible-core",
  "strace",
  "rpm",
  "squashfs-tools",
  "erofs-utils",
  "cryptsetup-bin",
  "gzip",
  "zstd",
] as const;

export type ToolVersions = Readonly<Record<(typeof packages)[number], string>>;

/** Versions of the build tools on this host; "none" for one that is not installed. */
export async function readToolVersions(): Promise<ToolVersions> {
  const format = "-f=${Package} ${Version}\\n";
  const { stdout } = await run(["dpkg-query", "-W", format, ...packages], { okExitCodes: "any" });
  const found = new Map(stdout.split("\n").map((line) => line.split(" ") as [string, string]));
  return Object.fromEntries(packages.map((name) => [name, found.get(name) ?? "none"])) as ToolVersions;
}
