import assert from "node:assert/strict";
import { test } from "node:test";
import { toJUnit, toText } from "./report.ts";
import { statusOf, summarise, type CheckResult, type Verdict } from "./verdict.ts";

function result(part: Partial<CheckResult>): CheckResult {
  const base = {
    file: "a.yaml",
    type: "file",
    id: "/a",
    property: "exists",
    status: "passed",
  } as const;
  return { ...base, expected: true, found: true, message: "as expected", duration_ms: 5, ...part };
}

function verdictOf(results: readonly CheckResult[]): Verdict {
  const summary = summarise(results, 1234);
  const files = [...new Set(results.map(({ file }) => file))].map((file) => ({
    file,
    sha256: "0",
    evaluated: 1,
  }));
  return { status: statusOf(summary), summary, files, results };
}

const mixed = verdictOf([
  result({}),
  result({
    property: "mode",
    status: "failed",
    expected: "0600",
    found: "0644",
    title: "Secrets & keys",
    message: "not as expected",
  }),
  result({
    type: "kernel-param",
    id: "a.b",
    property: "value",
    status: "failed",
    predicted: true,
    expected: "1",
    found: null,
    message: "nothing sets a.b",
  }),
  result({
    file: "b.yaml",
    type: "command",
    id: "true",
    property: "exit-status",
    status: "error",
    found: null,
    message: "timed out",
  }),
  result({
    file: "b.yaml",
    type: "port",
    id: "tcp:22",
    property: "listening",
    status: "deferred",
    message: "deferred: needs a booted node",
  }),
  result({ file: "b.yaml", status: "skipped", message: "skipped by the checks" }),
]);

test("JUnit: a suite for each file, a case for each result", () => {
  assert.equal(
    toJUnit(mixed, { name: "compute" }),
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="compute" tests="6" failures="2" errors="1" skipped="2" time="1.234">
  <testsuite name="a.yaml" tests="3" failures="2" errors="0" skipped="0" time="0.015">
    <testcase classname="a.yaml" name="File /a exists" time="0.005"/>
    <testcase classname="a.yaml" name="File /a mode" time="0.005">
      <failure message="not as expected">Secrets &#38; keys&#10;expected &#34;0600&#34;, found &#34;0644&#34;</failure>
    </testcase>
    <testcase classname="a.yaml" name="KernelParam a.b value" time="0.005">
      <failure message="nothing sets a.b">expected &#34;1&#34;, found nothing</failure>
    </testcase>
  </testsuite>
  <testsuite name="b.yaml" tests="3" failures="0" errors="1" skipped="2" time="0.015">
    <testcase classname="b.yaml" name="Command true exit-status" time="0.005">
      <error message="timed out">expected true, found nothing</error>
    </testcase>
    <testcase classname="b.yaml" name="Port tcp:22 listening" time="0.005">
      <skipped message="deferred: needs a booted node"/>
    </testcase>
    <testcase classname="b.yaml" name="File /a exists" time="0.005">
      <skipped message="skipped by the checks"/>
    </testcase>
  </testsuite>
</testsuites>
`,
  );
});

test("JUnit: markup, control characters and broken text cannot break the report", () => {
  const xml = toJUnit(verdictOf([result({ id: `<a href="x">&'\u0000\u001b[31m\ud800\uffff\ttab\nline` })]), {
    name: "]]>",
  });
  assert.match(xml, /<testsuites name="\]\]&#62;"/);
  assert.match(
    xml,
    /name="File &#60;a href=&#34;x&#34;&#62;&#38;&#39;\ufffd\ufffd\[31m\ufffd\ufffd&#9;tab&#10;line exists"/,
  );
});

test("text: what is wrong, with expected and found, and a summary", () => {
  assert.deepEqual(toText(mixed), [
    "failed a.yaml: File /a mode",
    "       Secrets & keys",
    '       expected "0600", found "0644"',
    "failed a.yaml: KernelParam a.b value",
    '       expected "1", found nothing',
    "       nothing sets a.b",
    "       predicted from the configuration in the image",
    "error  b.yaml: Command true exit-status",
    "       timed out",
    "gate failed: 2 of 3 checks, 1 could not be evaluated, 1 skipped, 1 deferred to a booted node",
  ]);
});

test("text: a pass, an error, and a file in which nothing was evaluated", () => {
  assert.deepEqual(toText(verdictOf([result({}), result({ status: "skipped" })])), ["gate passed: 1 check, 1 skipped"]);
  const nothing = result({
    type: "checks",
    id: "a.yaml",
    status: "error",
    message: "a.yaml: nothing was evaluated: 1 skipped",
  });
  assert.deepEqual(toText(verdictOf([nothing])), [
    "error  a.yaml: nothing was evaluated: 1 skipped",
    "gate in error: 0 checks evaluated, 1 could not be evaluated",
  ]);
});

test("text: an image cannot steer the terminal", () => {
  const bad = result({
    status: "failed",
    id: "/a\u001b[2J\u009b\u202e",
    found: "\u001b]0;title\u0007",
    message: "a\nb",
  });
  assert.deepEqual(toText(verdictOf([bad])).slice(0, 3), [
    "failed a.yaml: File /a\\u001b[2J\\u009b\\u202e exists",
    '       expected true, found "\\u001b]0;title\\u0007"',
    "       a\\u000ab",
  ]);
});

test("without a single evaluated result there is no pass", () => {
  assert.equal(verdictOf([]).status, "error");
  assert.equal(verdictOf([result({ status: "deferred" })]).status, "error");
});
