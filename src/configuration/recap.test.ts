import assert from "node:assert/strict";
import { test } from "node:test";
import { watchRecap } from "./recap.ts";

const recap = (host: string, unreachable: number, failed: number) =>
  `${host}             : ok=2    changed=1    unreachable=${unreachable}    failed=${failed}    skipped=0    rescued=0    ignored=0   `;

function outcomes(lines: readonly string[], succeeded: boolean) {
  const watch = watchRecap();
  for (const line of lines) watch.see(line);
  return Object.fromEntries(watch.outcomes(["x1", "x2", "x3", "x4"], succeeded));
}

const heading = "PLAY RECAP *********";

test("the recap says what became of each host, and who is not in it was in no play", () => {
  const lines = [recap("x4", 0, 1), heading, recap("x1", 0, 0), recap("x2", 1, 0), recap("x3", 0, 2)];
  assert.deepEqual(outcomes(lines, false), { x1: "applied", x2: "failed", x3: "failed", x4: "skipped" });
  assert.deepEqual(outcomes([heading, recap("x1", 0, 0)], true), {
    ...{ x1: "applied", x2: "skipped", x3: "skipped", x4: "skipped" },
  });
});

test("a play that ends for one host's sake is incomplete for the others", () => {
  const lines = ["NO MORE HOSTS LEFT ****", heading, recap("x1", 0, 1), recap("x2", 0, 0)];
  assert.deepEqual(outcomes(lines, false), { x1: "failed", x2: "incomplete", x3: "incomplete", x4: "incomplete" });
});

test("a playbook that Ansible cannot run has failed for all", () => {
  assert.deepEqual(outcomes(["ERROR! the playbook is no playbook"], false), {
    ...{ x1: "failed", x2: "failed", x3: "failed", x4: "failed" },
  });
});
