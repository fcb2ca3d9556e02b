import type { DebianSpec } from "../../image/index.ts";
import { run } from "../../lib/exec.ts";
import { makeDebian } from "./debian-make.ts";
import { resolveDebian } from "./debian-resolve.ts";
import type { BaseMaker } from "./types.ts";

/** Debian and Ubuntu, made with apt and mmdebstrap. */
export const debian: BaseMaker<DebianSpec> = {
  title: (spec) => `base (${spec.distribution} ${spec.suite})`,
  inputs: async (spec) => ({
    ...debian.lockedBy(spec),
    exclude: spec.exclude.join(" "),
    ...(await toolVersions()),
  }),
  lockedBy: ({ distribution, suite, arch, variant, components, packages, kernel }) => ({
    ...{ distribution, suite, arch, variant },
    components: components.join(" "),
    packages: packages.join(" "),
    "kernel package": kernel?.package ?? "none",
  }),
  resolve: resolveDebian,
  make: makeDebian,
};

/** Versions on this host; a tree's own dpkg does most of the work, and is in its lock. */
async function toolVersions(): Promise<Record<string, string>> {
  const tools = ["mmdebstrap", "apt"];
  const { stdout } = await run(["dpkg-query", "-W", "-f=${Package} ${Version}\\n", ...tools], { okExitCodes: "any" });
  const found = new Map(stdout.split("\n").map((line) => line.split(" ") as [string, string]));
  return Object.fromEntries(tools.map((name) => [name, found.get(name) ?? "none"]));
}
