import type { DebianSpec } from "../../image/index.ts";
import { hostVersions } from "../host-packages.ts";
import { makeDebian } from "./debian-make.ts";
import { resolveDebian } from "./debian-resolve.ts";
import type { BaseMaker } from "./types.ts";

/** A tree's own dpkg does most of the work, and is in its lock. */
const tools = ["mmdebstrap", "apt"] as const;

/** Debian and Ubuntu, made with apt and mmdebstrap. */
export const debian: BaseMaker<DebianSpec> = {
  title: (spec) => `base (${spec.distribution} ${spec.suite})`,
  inputs: async (spec) => ({
    ...debian.lockedBy(spec),
    exclude: spec.exclude.join(" "),
    ...(await hostVersions(tools)),
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
