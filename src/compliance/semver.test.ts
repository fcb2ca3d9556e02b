import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSemverRange } from "./semver.ts";

const cases: readonly [range: string, inside: readonly string[], outside: readonly string[]][] = [
  ["1.2.3", ["1.2.3", "1.2.3+build"], ["1.2.4", "1.2.3-rc.1"]],
  ["!=1.2.3", ["1.2.4"], ["1.2.3"]],
  [">1.9.0 <=1.10.0", ["1.10.0", "1.9.1"], ["1.9.0", "1.10.1"]],
  [">= 1.0.0", ["1.0.0"], ["0.9.9"]],
  [">=1.0.0-rc.2", ["1.0.0-rc.10", "1.0.0-rc.2.1", "1.0.0-rd", "1.0.0"], ["1.0.0-rc.1", "1.0.0-rc", "1.0.0-3"]],
  ["<1.0.0 || >=2.0.0", ["0.1.0", "2.0.0"], ["1.5.0"]],
  ["1.2.x", ["1.2.0", "1.2.9"], ["1.3.0", "1.1.9"]],
  [">1.x", ["2.0.0"], ["1.9.9"]],
];

for (const [range, inside, outside] of cases) {
  test(`range of versions: ${range}`, () => {
    const holds = parseSemverRange(range);
    for (const version of inside) assert.ok(holds(version), version);
    for (const version of outside) assert.ok(!holds(version), version);
  });
}

test("what is no range is refused", () => {
  for (const text of ["", "||", "1.2", ">>1.0.0", "1.0.0 || "])
    assert.throws(() => parseSemverRange(text), Error, text);
});
