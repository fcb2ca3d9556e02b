import assert from "node:assert/strict";
import { test } from "node:test";
import type { ElSpec, SuseSpec } from "../../image/index.ts";
import { rpmScaffold } from "./rpm-scaffold.ts";

const keys = new Map([
  ["keys/one.asc", "ONE"],
  ["keys/two.asc", "TWO"],
]);
const recipe = (more: Readonly<Record<string, unknown>>) => {
  const repositories = [
    { name: "base", url: "http://mirror.test/base", keys: ["keys/one.asc", "keys/two.asc"], signed: true },
    { name: "own", url: "http://mirror.test/own", keys: [], signed: false },
  ];
  return { name: "node", repositories, packages: ["a"], exclude_packages: ["b", "c"], ...more } as unknown as
    | ElSpec
    | SuseSpec;
};

test("layers find the recipe's repositories, each with its own keys", () => {
  assert.deepEqual(rpmScaffold(recipe({ distribution: "el", release: "9" }), keys), [
    ["etc/pki/rpm-gpg/netkiln-build/base-0.asc", "ONE", 0o644],
    ["etc/pki/rpm-gpg/netkiln-build/base-1.asc", "TWO", 0o644],
    [
      "etc/yum.repos.d/netkiln-build.repo",
      `[netkiln-base]
name=netkiln base
baseurl=http://mirror.test/base
enabled=1
gpgcheck=1
repo_gpgcheck=0
gpgkey=file:///etc/pki/rpm-gpg/netkiln-build/base-0.asc
       file:///etc/pki/rpm-gpg/netkiln-build/base-1.asc
excludepkgs=b c

[netkiln-own]
name=netkiln own
baseurl=http://mirror.test/own
enabled=1
gpgcheck=0
excludepkgs=b c
`,
      0o600,
    ],
  ]);
});

test("zypper finds them where it looks, and checks each package", () => {
  const files = rpmScaffold(recipe({ distribution: "suse", release: "15.6" }), keys);
  const [path, text] = files.at(-1) ?? [];
  assert.equal(path, "etc/zypp/repos.d/netkiln-build.repo");
  assert.match(text ?? "", /^\[netkiln-base\][^[]*\npkg_gpgcheck=1\n/);
  assert.doesNotMatch(text ?? "", /excludepkgs/);
});
