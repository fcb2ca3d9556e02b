import assert from "node:assert/strict";
import { test } from "node:test";
import { NetkilnError } from "../../lib/errors.ts";
import { explainFailure } from "./debian.ts";

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

test("a failure without a word of apt stays as it is", () => {
  const error = new NetkilnError("work_failed", "mmdebstrap was ended by SIGKILL", { output: ["I: success"] });
  assert.equal(explainFailure(error), error);
});
