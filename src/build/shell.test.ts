import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../lib/exec.ts";
import { quoted } from "./shell.ts";

test("words reach a program through sh as they are", async () => {
  const words = ["a b", "it's", "$HOME", "`id`", 'say "no"', "", "-n", "back\\slash", "two\nlines", "*"];
  const { stdout } = await run(["sh", "-c", `printf '%s\\0' ${quoted(words)}`]);
  assert.deepEqual(stdout.split("\0").slice(0, -1), words);
});
