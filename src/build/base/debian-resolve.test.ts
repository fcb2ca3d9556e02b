import assert from "node:assert/strict";
import { test } from "node:test";
import type { DebianSpec } from "../../image/index.ts";
import { selections } from "./debian-resolve.ts";

function specOf(more: Partial<DebianSpec>): DebianSpec {
  return {
    ...{ name: "x", distribution: "debian", suite: "bookworm", arch: "x86_64", variant: "minbase" },
    ...{ components: ["main"], packages: [], exclude: [], layers: [], checks: [], outputs: ["squashfs"], epoch: 0 },
    ...more,
  };
}

const narrow = (arch: string, what: string) =>
  `?narrow(?or(?archive(^bookworm$),?codename(^bookworm$)),?architecture(${arch}),${what})`;
const essential = ["install", narrow("amd64", "?essential")];

test("each variant asks for what mmdebstrap asks for", () => {
  const rest = (...priorities: string[]) =>
    narrow("amd64", `?and(?or(${priorities.map((one) => `?priority(${one})`).join(",")}),?not(?essential))`);
  assert.deepEqual(selections(specOf({ variant: "essential" })), { essential, rest: undefined });
  assert.deepEqual(selections(specOf({ variant: "apt" })), { essential: ["dist-upgrade"], rest: undefined });
  assert.deepEqual(selections(specOf({})), { essential, rest: ["install", rest("required")] });
  assert.deepEqual(selections(specOf({ variant: "important" })), {
    essential,
    rest: ["install", rest("required", "important")],
  });
  assert.deepEqual(selections(specOf({ variant: "standard" })), {
    essential,
    rest: ["install", rest("required", "important", "standard")],
  });
});

test("packages come in the recipe's order, the kernel after them", () => {
  const spec = specOf({
    variant: "apt",
    packages: ["zstd", "attr=1:2.5"],
    kernel: { package: "linux-image-arm64", parameters: "" },
  });
  assert.deepEqual(selections(spec).rest, ["install", "zstd", "attr=1:2.5", "linux-image-arm64"]);
});

test("packages are chosen for the architecture of the tree", () => {
  assert.deepEqual(selections(specOf({ arch: "aarch64" })).essential, ["install", narrow("arm64", "?essential")]);
});
