import assert from "node:assert/strict";
import { test } from "node:test";
import { watchForFailure } from "./ansible-failure.ts";

function told(...lines: string[]): string[] {
  const failure = watchForFailure("/work/repository");
  for (const line of lines) failure.see(line);
  return failure.told();
}

test("a failed task is told by its name, its message and what its command printed", () => {
  const result = JSON.stringify({ msg: "non-zero return code", rc: 3, stderr: "oops\nworse", stdout: "" });
  assert.deepEqual(told("TASK [Breaks] ****", `fatal: [node]: FAILED! => ${result}`, "", "PLAY RECAP ****"), [
    'task "Breaks" failed: non-zero return code',
    "oops",
    "worse",
  ]);
});

test("a failed item of a loop is told, a failure that the play ignores is not", () => {
  const failed = 'failed: [node] (item=a) => {"msg": "Could not find /work/repository/files/a"}';
  assert.deepEqual(told("TASK [Loop] ***", failed), ['task "Loop" failed: Could not find files/a']);
  assert.deepEqual(told("TASK [Loop] ***", failed, "...ignoring"), []);
});

test("a playbook that cannot be read is told with the place of the mistake in the repository", () => {
  assert.deepEqual(
    told(
      "ERROR! We were unable to read either as JSON nor YAML",
      "",
      "  did not find expected ','",
      "The error appears to be in '/work/repository/first.yml': line 5, column 1, but may",
    ),
    [
      "We were unable to read either as JSON nor YAML",
      "  did not find expected ','",
      "The error appears to be in 'first.yml': line 5, column 1, but may",
    ],
  );
  assert.deepEqual(told("ERROR! one", "TASK [next] ***", "ok: [node]"), ["one"], "other output does not belong to it");
});
