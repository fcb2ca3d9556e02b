import { countOf } from "../lib/text.ts";
import type { CheckResult, ResultStatus, Verdict } from "./verdict.ts";

/** goss's names for its resource types in reports. */
const typeNames: Readonly<Record<string, string>> = {
  "kernel-param": "KernelParam",
  dns: "DNS",
  http: "HTTP",
};

/** `File /etc/passwd mode`, as goss names a test. */
function nameOf({ type, id, property }: CheckResult): string {
  const typeName = typeNames[type] ?? `${type.slice(0, 1).toUpperCase()}${type.slice(1)}`;
  return `${typeName} ${id} ${property}`;
}

/** A JUnit report: a suite for each file of checks, a case for each result. Deferred ones count as skipped. */
export function toJUnit(verdict: Verdict, { name }: { readonly name: string }): string {
  const suites = verdict.files.flatMap(({ file }) => {
    const results = verdict.results.filter((result) => result.file === file);
    const duration = results.reduce((sum, result) => sum + result.duration_ms, 0);
    return [
      `  <testsuite name="${escapeXml(file)}" ${counts(results)} time="${seconds(duration)}">`,
      ...results.flatMap(testCase),
      "  </testsuite>",
    ];
  });
  const { summary } = verdict;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="${escapeXml(name)}" ${counts(verdict.results)} time="${seconds(summary.duration_ms)}">`,
    ...suites,
    "</testsuites>",
    "",
  ].join("\n");
}

function counts(results: readonly CheckResult[]): string {
  const count = (...statuses: ResultStatus[]) => results.filter(({ status }) => statuses.includes(status)).length;
  const skipped = count("skipped", "deferred");
  return `tests="${results.length}" failures="${count("failed")}" errors="${count("error")}" skipped="${skipped}"`;
}

function testCase(result: CheckResult): string[] {
  const names = `classname="${escapeXml(result.file)}" name="${escapeXml(nameOf(result))}"`;
  const head = `    <testcase ${names} time="${seconds(result.duration_ms)}"`;
  if (result.status === "passed") return [`${head}/>`];
  const message = escapeXml(result.message);
  if (result.status === "skipped" || result.status === "deferred") {
    return [`${head}>`, `      <skipped message="${message}"/>`, "    </testcase>"];
  }
  const element = result.status === "failed" ? "failure" : "error";
  const text = escapeXml([...titleOf(result), expectedAndFound(result)].join("\n"));
  return [`${head}>`, `      <${element} message="${message}">${text}</${element}>`, "    </testcase>"];
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

/**
 * For text and attributes. XML 1.0 has no way to write most control characters, lone surrogates and two
 * non-characters, so that U+FFFD takes their place, as in Go's encoding/xml, which goss uses.
 */
function escapeXml(text: string): string {
  return text
    .replace(/(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, "\ufffd")
    .replace(/[&<>"'\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Lines for a terminal: what failed or could not be evaluated, and a summary. */
export function toText(verdict: Verdict): readonly string[] {
  const bad = verdict.results.filter(({ status }) => status === "failed" || status === "error");
  return [...bad.flatMap(linesOf), summaryLine(verdict)].map(printable);
}

function linesOf(result: CheckResult): string[] {
  const what = `${result.status === "failed" ? "failed" : "error "} ${result.file}: ${nameOf(result)}`;
  if (result.type === "checks") return [`error  ${result.message}`];
  const details = result.status === "failed" ? [expectedAndFound(result)] : [];
  const message = result.status === "failed" ? result.message.replace(/^not as expected(; )?/, "") : result.message;
  const predicted = result.predicted === true ? ["predicted from the configuration in the image"] : [];
  return [
    what,
    ...[...titleOf(result), ...details, message, ...predicted].filter(Boolean).map((line) => `       ${line}`),
  ];
}

function titleOf({ title }: CheckResult): string[] {
  return title === undefined ? [] : [title];
}

function expectedAndFound({ expected, found }: CheckResult): string {
  return `expected ${JSON.stringify(expected)}, found ${found === null ? "nothing" : JSON.stringify(found)}`;
}

function summaryLine({ status, summary }: Verdict): string {
  const { evaluated, failed, errors, skipped, deferred } = summary;
  const rest = [
    ...(errors > 0 ? [`${errors} could not be evaluated`] : []),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(deferred > 0 ? [`${deferred} deferred to a booted node`] : []),
  ];
  const counted = status === "failed" ? `${failed} of ${countOf(evaluated, "check")}` : countOf(evaluated, "check");
  const head = status === "error" ? `gate in error: ${counted} evaluated` : `gate ${status}: ${counted}`;
  return [head, ...rest].join(", ");
}

/** What an image holds does not get to steer the terminal of who looks at it. */
function printable(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (character) => `\\u${hex(character)}`);
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, "0");
}
