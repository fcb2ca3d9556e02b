import assert from "node:assert/strict";
import { test } from "node:test";
import { newestOf, parseRelease, parseVersion } from "./semver.ts";

test("the newest is the highest version, not the longest text or the last one", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["1.10.0", ["1.9.3", "1.10.0", "1.2.0"]],
    ["1.6.0", ["1.6.0-rc.10", "1.6.0", "1.6.0-rc.9"]],
    ["1.6.0-rc.10", ["1.6.0-rc.10", "1.6.0-rc.9", "1.6.0-alpha"]],
    ["23.2", ["22.11", "23.2", "22.11.5"]],
    ["v2.1", ["2.0.9", "v2.1"]],
    ["0.0.1", ["master", "0.0.1", "zz"]],
  ];
  for (const [newest, all] of cases) {
    assert.equal(
      newestOf(all, (version) => version),
      newest,
    );
  }
  assert.equal(
    newestOf([], () => ""),
    undefined,
  );
});

test("a version has three numbers; a release may have any count of them", () => {
  assert.deepEqual(parseVersion("25.1.0-alpha-20241019+b1"), { numbers: [25, 1, 0], prerelease: ["alpha-20241019"] });
  for (const text of ["22.11", "v1.2.3", "1.2.3.4", "latest", ""]) assert.equal(parseVersion(text), undefined, text);
  assert.deepEqual(parseRelease("22.11")?.numbers, [22, 11]);
  assert.equal(parseRelease("latest"), undefined);
});
