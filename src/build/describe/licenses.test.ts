import assert from "node:assert/strict";
import { test } from "node:test";
import { licenseExpression } from "./licenses.ts";

const cases: [licenses: string[], expression: string][] = [
  [["MIT"], "MIT"],
  [["Expat", "MIT"], "MIT"],
  [["GPL-2"], "GPL-2.0-only"],
  [["GPL-2+", "LGPL-2.1+"], "GPL-2.0-or-later AND LGPL-2.1-or-later"],
  [["GPL-2.0+"], "GPL-2.0-or-later"],
  [["GPLv2+ and MIT"], "GPL-2.0-or-later AND MIT"],
  [["(GPLv3+ or ASL 2.0) and zlib"], "(GPL-3.0-or-later OR Apache-2.0) AND Zlib"],
  [["BSD-3-clause or GPL-2+", "ISC"], "(BSD-3-Clause OR GPL-2.0-or-later) AND ISC"],
  [["GPL-2+ or Artistic-2.0, and BSD-3-clause"], "(GPL-2.0-or-later OR Artistic-2.0) AND (BSD-3-Clause)"],
  [["GPL-2.0-only WITH Classpath-exception-2.0"], "GPL-2.0-only WITH Classpath-exception-2.0"],
  [["MIT AND (Apache-2.0 OR ISC)"], "MIT AND (Apache-2.0 OR ISC)"],
];
for (const [licenses, expression] of cases) {
  test(`${licenses.join("; ")}: ${expression}`, () => {
    const found = licenseExpression(licenses);
    assert.equal(found?.expression, expression);
    assert.equal(found?.references.size, 0);
  });
}

test("what is not on SPDX's list, or could mean several, keeps the package's own name", () => {
  const found = licenseExpression(["public-domain", "BSD and MIT", "GPL"]);
  assert.equal(found?.expression, "LicenseRef-public-domain AND (LicenseRef-BSD AND MIT) AND LicenseRef-GPL");
  assert.deepEqual(
    [...(found?.references ?? [])],
    [
      ["public-domain", "LicenseRef-public-domain"],
      ["BSD", "LicenseRef-BSD"],
      ["GPL", "LicenseRef-GPL"],
    ],
  );
});

test("words that make no expression are one name, and two names stay two", () => {
  const found = licenseExpression(["GPL-2+ with OpenSSL exception", "and/or", "MIT (", "a b", "a_b"]);
  assert.deepEqual(
    [...(found?.references.keys() ?? [])],
    ["GPL-2+ with OpenSSL exception", "and/or", "MIT (", "a b", "a_b"],
  );
  const references = [...(found?.references.values() ?? [])];
  assert.equal(new Set(references).size, references.length);
  for (const reference of references) assert.match(reference, /^LicenseRef-[A-Za-z0-9.-]+$/);
});

test("no words, no licence", () => assert.equal(licenseExpression([]), undefined));
