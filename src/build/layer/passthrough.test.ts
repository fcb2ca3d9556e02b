import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePassthrough } from "./passthrough.ts";

for (const [text, words] of [
  ["", []],
  ["--limit Compute --tags=a,b -vvv", ["--limit", "Compute", "--tags=a,b", "-vvv"]],
  ["-lCompute -e 'a=1 b=2'", ["-lCompute", "-e", "a=1 b=2"]],
  [`-e '{"a": "it is"}' --skip-tags "x y"`, ["-e", '{"a": "it is"}', "--skip-tags", "x y"]],
  [String.raw`-e a=\"q\" --start-at-task "say \"hi\""`, ["-e", 'a="q"', "--start-at-task", 'say "hi"']],
  ["--start-at-task ''", ["--start-at-task", ""]],
] as const) {
  test(`is split as in a shell: ${text}`, () => assert.deepEqual(parsePassthrough(text), words));
}

for (const [text, told] of [
  ["-i hosts", /"-i" is not an option/],
  ["--connection=local", /"--connection=local" is not an option/],
  ["--vault-password-file x", /"--vault-password-file" is not an option/],
  ["--check", /"--check" is not an option/],
  ["other.yml", /"other.yml" is not an option/],
  ["-e @/etc/shadow", /-e cannot name a file/],
  ["--extra-vars=@/etc/shadow", /--extra-vars cannot name a file/],
  ["-e@/etc/shadow", /-e cannot name a file/],
  ["--limit @/etc/shadow", /--limit cannot name a file/],
  ["--tags", /--tags needs a value/],
  ["--diff=yes", /--diff takes no value/],
  ["-e 'a", /a quote is not closed: 'a/],
] as const) {
  test(`is refused: ${text}`, () =>
    assert.throws(() => parsePassthrough(text), { code: "invalid_input", message: told }));
}
