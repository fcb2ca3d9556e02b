import assert from "node:assert/strict";
import { test } from "node:test";
import { parseReference } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

test("references: registry, name, and tag or digest", () => {
  const table: readonly (readonly [string, readonly [string, string, string]])[] = [
    ["docker://registry.example/site/base:1", ["registry.example", "site/base", "1"]],
    ["docker://registry.example/base", ["registry.example", "base", "latest"]],
    ["docker://localhost/base", ["localhost", "base", "latest"]],
    ["docker://registry.example:5000/a/b/c:v1.2_3-x", ["registry.example:5000", "a/b/c", "v1.2_3-x"]],
    ["docker://127.0.0.1:5000/a-b/c__d", ["127.0.0.1:5000", "a-b/c__d", "latest"]],
    ["docker://[::1]:5000/a", ["[::1]:5000", "a", "latest"]],
    [`docker://registry.example/a@${digest}`, ["registry.example", "a", digest]],
    [`docker://registry.example/a:1@${digest}`, ["registry.example", "a", digest]],
    ["docker://docker.io/debian:12", ["docker.io", "library/debian", "12"]],
    ["docker://docker.io/site/debian", ["docker.io", "site/debian", "latest"]],
  ];
  for (const [text, [registry, name, reference]] of table) {
    assert.deepEqual(parseReference(text), { registry, name, reference }, text);
  }
});

test("what is no reference is refused with the form that one has", () => {
  const table: readonly (readonly [string, RegExp])[] = [
    ["registry.example/a", /does not begin with "docker:\/\/"/],
    ["docker://debian", /the registry is missing/],
    ["docker://site/debian:12", /the registry is missing/],
    ["docker:///a", /the registry is missing/],
    ["docker://user@registry.example/a", /the registry is missing/],
    ["docker://registry.example/", /"" is no name/],
    ["docker://registry.example/A", /"A" is no name/],
    ["docker://registry.example/../a", /"\.\.\/a" is no name/],
    ["docker://registry.example/a//b", /is no name/],
    ["docker://registry.example/a:", /"" is no tag/],
    ["docker://registry.example/a:b/c", /"b\/c" is no tag/],
    ["docker://registry.example/a:b:c", /"b:c" is no tag/],
    ["docker://registry.example/a@sha256:abc", /after "@"/],
    [`docker://registry.example/a@${digest}@${digest}`, /after "@"/],
    ["docker://registry.example/a@md5:d41d8cd98f00b204e9800998ecf8427e", /after "@"/],
  ];
  for (const [text, message] of table) {
    assert.throws(() => parseReference(text), { code: "invalid_input", message });
  }
});
