import assert from "node:assert/strict";
import { test } from "node:test";
import { faultOf } from "./rpm-keys.ts";

// As rpmkeys 4.18 --checksig -v prints it.
const digests = ["Header SHA256 digest: OK", "Payload SHA256 digest: OK"];
const signature = (state: string) => `Header V4 RSA/SHA512 Signature, key ID f02baf4f: ${state}`;

test("a package is good when a known key has signed it and everything is as it was signed", () => {
  assert.equal(faultOf([signature("OK"), ...digests], true), undefined);
  assert.equal(faultOf(digests, false), undefined);
});

test("a package is bad without a signature, with a foreign one, and with one that leaves something open", () => {
  assert.equal(faultOf(digests, true), "is not signed");
  assert.equal(faultOf(["RSA signature: NOTFOUND", ...digests], true), "is not signed");
  assert.equal(faultOf([signature("NOKEY"), ...digests], true), "is signed with key f02baf4f");
  assert.equal(faultOf([signature("NOTTRUSTED"), ...digests], true), "is signed with key f02baf4f");
  // Only the header is covered: the payload of an old package could be anything.
  const open = [signature("OK"), "Header SHA256 digest: OK", "Payload SHA256 digest: NOTFOUND"];
  assert.equal(faultOf(open, true), "cannot be verified: Payload SHA256 digest: NOTFOUND");
});

test("a package that was changed is bad, signed or not", () => {
  const changed = [signature("OK"), "Header SHA256 digest: OK", "Payload SHA256 digest: BAD (Expected 12 != 34)"];
  for (const signed of [true, false]) {
    assert.equal(faultOf(changed, signed), "is damaged or was changed: Payload SHA256 digest: BAD");
    assert.equal(faultOf([], signed), "is damaged");
  }
});
