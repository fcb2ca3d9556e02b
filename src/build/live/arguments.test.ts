import assert from "node:assert/strict";
import { test } from "node:test";
import { liveArguments } from "./arguments.ts";

test("variables and limits do not stand among the arguments", () => {
  const { words, limit, variables } = liveArguments(
    `--tags a,b -e "one=1 two='x y'" --extra-vars='{"three": [3]}' --forks 5 -lx1,x2 -v`,
    "Compute",
  );
  assert.deepEqual(words, ["--tags", "a,b", "--forks", "5", "-v"]);
  assert.equal(limit, "x1,x2");
  assert.deepEqual(variables, ['{"one":"1","two":"x y"}', '{"three": [3]}']);
});

test("a session's own limit is taken where the words have none", () => {
  assert.equal(liveArguments("", "x1").limit, "x1");
  assert.equal(liveArguments("", "").limit, undefined);
  assert.equal(liveArguments("", undefined).limit, undefined);
});

test("what would read a file of this host is refused", () => {
  for (const limit of ["@/etc/shadow", "x1,@/etc/shadow", "x1:@/etc/shadow"]) {
    assert.throws(() => liveArguments("", limit), /cannot name a file/);
  }
  assert.throws(() => liveArguments("-e @/etc/shadow", undefined), /cannot name a file/);
  assert.throws(() => liveArguments("-e alone", undefined), /not of the form NAME=VALUE/);
});
