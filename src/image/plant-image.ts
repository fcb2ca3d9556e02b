import type { Image } from "./types.ts";

const digests = { sha256: "0".repeat(64), md5: "0".repeat(32), size: 1 };

/** For tests: the record of an image that nobody has built. */
export const plantImage = (id: string, name: string, verdict: Image["verdict"] = "none"): Image => ({
  id,
  name,
  created: "2026-01-01T00:00:00Z",
  arch: "x86_64",
  buildId: id,
  build: id,
  layers: [],
  chain: "",
  outputs: ["squashfs"],
  locks: {},
  tools: {},
  documents: {},
  artifacts: { rootfs: digests, manifest: digests },
  packageSource: { suite: "bookworm", components: ["main"] },
  initrd: undefined,
  kernelParameters: "",
  epoch: 0,
  recipe: undefined,
  base: undefined,
  checks: [],
  commits: [],
  verdict,
});
