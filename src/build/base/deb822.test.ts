import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDeb822 } from "./deb822.ts";

const read = (text: string) => parseDeb822(text).map((stanza) => Object.fromEntries(stanza));

test("stanzas end at empty lines, fields go on in lines that begin with a blank, and comments are left out", () => {
  assert.deepEqual(
    read("\n\nPackage: a\n# between\nDepends: b,\n c (>= 1:2.0)\nTag:\n one\n\t.\n\n \nPackage: d\n\n"),
    [{ package: "a", depends: "b,\nc (>= 1:2.0)", tag: "\none\n." }, { package: "d" }],
  );
});

test("the last field of a file has no line more than it has", () => {
  assert.deepEqual(read("Types: deb\nSigned-By: /key.gpg\n"), [{ types: "deb", "signed-by": "/key.gpg" }]);
});

test("no stanza comes from a text without one", () => assert.deepEqual(read("\n# only a comment\n\n"), []));
