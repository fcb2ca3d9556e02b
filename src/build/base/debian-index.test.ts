import assert from "node:assert/strict";
import { test } from "node:test";
import { debName, indexText, releaseText, statusText } from "./debian-index.ts";
import { readIndex, readWanted } from "./debian-schema.ts";

const digest = "0f".repeat(32);
const shown = (mirror: string) => `Package: gawk
Version: 1:5.2.1-2
Maintainer: somebody
Architecture: amd64
Depends: libc6 (>= 2.34),
 libmpfr6
Description: pattern scanning
Tag: ${mirror}
Filename: pool/${mirror}/gawk.deb
Size: 673176
SHA256: ${digest}
`;

test("an index holds what apt needs to choose again, and nothing of the mirror", () => {
  const text = indexText(readIndex(shown("one")));
  assert.equal(
    text,
    `Package: gawk
Version: 1:5.2.1-2
Architecture: amd64
Depends: libc6 (>= 2.34),
 libmpfr6
Filename: pool/gawk_1%3a5.2.1-2_amd64.deb
Size: 673176
SHA256: ${digest}
`,
  );
  assert.equal(indexText(readIndex(shown("two"))), text);
  assert.equal(indexText(readIndex(text)), text);
});

test("stanzas that are not whole, or would leave the folder, are no packages", () => {
  assert.deepEqual(readIndex(shown("x").replace(/SHA256: .*\n/, "")), []);
  assert.deepEqual(readIndex(shown("x").replace("Package: gawk", "Package: ../gawk")), []);
  assert.deepEqual(readIndex(shown("x").replace("1:5.2.1-2", "1/../../2")), []);
  assert.deepEqual(readIndex(shown("x").replace("amd64", "../amd64")), []);
  assert.equal(readIndex(`${shown("x")}\n${shown("y")}`).length, 2);
});

test("what apt would fetch is read with its version as apt compares it", () => {
  const uri = "http://mirror.example/pool/g/gawk_5.2.1-2_amd64.deb";
  const printed = `Reading package lists...
The following NEW packages will be installed:
  gawk
'${uri}' gawk_1%3a5.2.1-2_amd64.deb 673176 SHA256:${digest}
'${uri}' old_1_all.deb 5 
`;
  const file = { uri, name: "gawk", version: "1:5.2.1-2", arch: "amd64", size: 673176, sha256: digest };
  assert.deepEqual(readWanted(printed), [
    file,
    { ...file, name: "old", version: "1", arch: "all", size: 5, sha256: undefined },
  ]);
  assert.equal(debName(file), "gawk_1%3a5.2.1-2_amd64.deb");
});

test("the essential packages count as installed when the rest is chosen", () => {
  const text = statusText(readIndex(shown("one")));
  assert.match(text, /^Package: gawk\n/);
  assert.match(text, /\nStatus: install ok installed\n$/);
  assert.doesNotMatch(text, /Filename|SHA256/);
});

test("a repository is found under the name of the suite", () => {
  assert.equal(
    releaseText("noble", "arm64", { sha256: digest, size: 12 }),
    `Suite: noble\nCodename: noble\nArchitectures: all arm64\nDate: Thu, 01 Jan 1970 00:00:00 UTC\nSHA256:\n ${digest} 12 Packages\n`,
  );
});
