import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { formatYaml } from "./yaml.ts";

test("what is printed is read the same by YAML 1.1 and 1.2", () => {
  const hard = [
    "yes",
    "off",
    "1:30",
    "0123",
    "0o17",
    "1_000",
    "2.10",
    "2026-01-01",
    "=",
    "<<",
    "~",
    "",
    "# no",
    " a:\n\nc\n",
  ];
  const value = { ...Object.fromEntries(hard.map((text) => [text, text])), is: true, size: 2.5, none: null, hard };
  const printed = formatYaml(value);
  for (const version of ["1.1", "1.2"] as const) assert.deepEqual(parse(printed, { version }), value, version);
});

test("what stands there twice is printed twice: not every reader knows aliases", () => {
  const both = { a: 1 };
  assert.equal(formatYaml([both, both]), '- "a": 1\n- "a": 1\n');
});
