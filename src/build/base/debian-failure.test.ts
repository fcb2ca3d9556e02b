import assert from "node:assert/strict";
import { test } from "node:test";
import { NetkilnError } from "../../lib/errors.ts";
import { explainFailure } from "./debian-failure.ts";

test("what apt said is in the message, and mmdebstrap's own words are left out", () => {
  const output = [
    "I: installing remaining packages inside the chroot...",
    "Reading package lists...",
    "E: Unable to locate package no-such-package",
    "E: setup failed: E: apt-get --yes install no-such-package failed",
    "I: main() received signal PIPE: waiting for setup...",
    "E: mmdebstrap failed to run",
  ];
  const told = explainFailure(new NetkilnError("work_failed", "mmdebstrap failed with exit code 25", { output }));
  assert.ok(told instanceof NetkilnError);
  assert.equal(told.message, "mmdebstrap failed: Unable to locate package no-such-package");
  assert.deepEqual(told.output, ["E: Unable to locate package no-such-package"]);
  assert.match(told.hint ?? "", /^correct the packages of recipe\.yaml/);
});

test("the program that failed is named", () => {
  const output = ["Reading package lists...", "E: Unable to locate package no-such-package"];
  const told = explainFailure(new NetkilnError("work_failed", "apt-get failed with exit code 100", { output }));
  assert.ok(told instanceof NetkilnError);
  assert.equal(told.message, "apt-get failed: Unable to locate package no-such-package");
});

test("a failure without a word of apt stays as it is", () => {
  const error = new NetkilnError("work_failed", "mmdebstrap was ended by SIGKILL", { output: ["I: success"] });
  assert.equal(explainFailure(error), error);
});

test("each kind of failure comes with what can be done about it", () => {
  const hintFor = (said: string) => {
    const told = explainFailure(new NetkilnError("work_failed", "apt-get failed", { output: [`E: ${said}`] }));
    return told instanceof NetkilnError ? told.hint : undefined;
  };
  const fetching = "Failed to fetch http://mirror.example/pool/a.deb ";
  assert.match(hintFor("Version '7' for 'tool' was not found") ?? "", /^correct the packages/);
  assert.match(hintFor("Unable to correct problems, you have held broken packages.") ?? "", /^a package needs another/);
  assert.match(hintFor(`${fetching} Hash Sum mismatch`) ?? "", /^the mirror does not have the file that its signed/);
  assert.match(hintFor(`${fetching} 401  Unauthorized [IP: 192.0.2.1 80]`) ?? "", /^the mirror wants a password/);
  assert.match(hintFor(`${fetching} 404  Not Found [IP: 192.0.2.1 80]`) ?? "", /^the mirror does not have it/);
  assert.match(hintFor(`${fetching} Could not connect to 192.0.2.1:80`) ?? "", /^check the mirror and the way to it/);
  assert.match(
    hintFor("The repository 'http://x noble InRelease' is not signed.") ?? "",
    /^install the archive's keyring/,
  );
  assert.match(hintFor("Release file for http://x is not valid yet") ?? "", /^check this host's clock/);
  assert.equal(hintFor("something else"), undefined);
});
