import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckResult, Verdict } from "../../compliance/index.ts";
import { provenanceStatement, reproducedStatement, statementText, testResultStatement } from "./provenance.ts";

const [a, b, c] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
const rootfs = { name: "rootfs", sha256: a };
const kernel = { name: "kernel", sha256: b };
const builder = { id: "urn:netkiln:builder:site", tools: { "squashfs-tools": "1:4.5.1-1" } };
const run = { id: "3133b19d", started: "2026-01-01T00:00:00Z", finished: "2026-01-01T00:01:00Z" };
const os = { id: "debian", name: "Debian", codename: "bookworm" };

test("provenance: what was asked for, what it was made with, and each dependency by its digest", () => {
  const statement = provenanceStatement({
    image: {
      name: "compute",
      buildId: "0123",
      arch: "x86_64",
      epoch: 1_750_000_000,
      recipe: { name: "compute-debian12", digest: c },
      base: { name: "compute-base", buildId: "4567" },
      manual: [{ layer: a, by: "kim", at: "2026-01-01T00:00:00Z", note: "a trial" }],
    },
    subjects: [rootfs, kernel],
    os,
    steps: [{ kind: "base", title: "base (debian bookworm)", key: "k1", inputs: { epoch: "1750000000" } }],
    packages: [{ kind: "deb", name: "bash", version: "5.2-1", arch: "amd64", sha256: b }],
    commits: [
      {
        url: "https://user:secret@git.example.org/site.git?token=secret",
        playbook: "site.yml",
        commit: "d".repeat(40),
      },
      { url: "/srv/git/site", playbook: "local.yml", commit: "e".repeat(40) },
      { url: "git@git.example.org:site.git", playbook: "ssh.yml", commit: "f".repeat(40) },
    ],
    builder,
    run,
  });
  assert.deepEqual(Object.entries(statement)[0], ["_type", "https://in-toto.io/Statement/v1"]);
  assert.equal(statement.predicateType, "https://slsa.dev/provenance/v1");
  assert.deepEqual(statement.subject, [
    { name: "rootfs", digest: { sha256: a } },
    { name: "kernel", digest: { sha256: b } },
  ]);
  const { buildDefinition, runDetails } = statement.predicate;
  assert.deepEqual(buildDefinition.resolvedDependencies, [
    { name: "recipe compute-debian12", digest: { sha256: c } },
    { name: "image compute-base", annotations: { buildId: "4567" } },
    { name: "site.yml", uri: "git+https://git.example.org/site.git", digest: { gitCommit: "d".repeat(40) } },
    { name: "local.yml", uri: "git+file:///srv/git/site", digest: { gitCommit: "e".repeat(40) } },
    { name: "ssh.yml", uri: "git+git@git.example.org:site.git", digest: { gitCommit: "f".repeat(40) } },
    {
      name: "manual layer",
      digest: { sha256: a },
      annotations: { by: "kim", at: "2026-01-01T00:00:00Z", note: "a trial" },
    },
    { uri: "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=bookworm", digest: { sha256: b } },
  ]);
  assert.equal(buildDefinition.internalParameters.sourceDate, "2025-06-15T15:06:40Z");
  assert.deepEqual(buildDefinition.internalParameters.steps[0]?.inputs, { epoch: "1750000000" });
  assert.deepEqual(runDetails, {
    builder: { id: "urn:netkiln:builder:site", version: { "squashfs-tools": "1:4.5.1-1" } },
    metadata: { invocationId: "3133b19d", startedOn: "2026-01-01T00:00:00Z", finishedOn: "2026-01-01T00:01:00Z" },
  });
  assert.doesNotMatch(statementText(statement), /secret/);
});

const result = (id: string, status: CheckResult["status"]): CheckResult => ({
  file: "site.yml",
  type: "file",
  id,
  property: "exists",
  status,
  expected: true,
  found: null,
  message: "",
  duration_ms: 7,
});
const summary = { evaluated: 1, passed: 1, failed: 0, errors: 0, skipped: 0, deferred: 0, duration_ms: 9 };
const verdict = (status: Verdict["status"], ...results: CheckResult[]): Verdict => ({
  status,
  summary,
  files: [{ file: "site.yml", sha256: c, evaluated: 1 }],
  results,
});

test("the gate's verdict: only what passed is among the passed tests, and no duration is told", () => {
  const results = (["passed", "failed", "error", "deferred", "skipped"] as const).map((status) =>
    result(`/${status}`, status),
  );
  const { predicate, predicateType } = testResultStatement(
    [rootfs],
    verdict("failed", ...results, result("/passed", "passed")),
  );
  assert.equal(predicateType, "https://in-toto.io/attestation/test-result/v0.1");
  assert.deepEqual(predicate, {
    result: "FAILED",
    configuration: [{ name: "site.yml", digest: { sha256: c } }],
    passedTests: ["site.yml: file /passed exists"],
    warnedTests: [],
    failedTests: ["site.yml: file /failed exists", "site.yml: file /error exists"],
    netkiln_deferredTests: ["site.yml: file /deferred exists"],
    netkiln_skippedTests: ["site.yml: file /skipped exists"],
  });
  assert.equal(testResultStatement([rootfs], verdict("passed", result("/x", "passed"))).predicate.result, "PASSED");
  assert.equal(testResultStatement([rootfs], verdict("error")).predicate.result, "FAILED");
});

const verified = (
  rebuilt: (typeof rootfs)[],
  differences: { path: string; aspects: string[] }[] = [],
  subjects = [rootfs, kernel],
) => reproducedStatement({ buildId: "0123", subjects, rebuilt, differences, builder, run }).predicate;

test("a rebuild is reproduced only when every file was made again and is equal", () => {
  assert.equal(verified([rootfs, kernel]).result, "REPRODUCED");
  assert.equal(verified([rootfs]).result, "INCOMPLETE");
  assert.equal(verified([], [], []).result, "INCOMPLETE");
  assert.equal(verified([rootfs, { ...kernel, sha256: c }]).result, "DIFFERENT");
  assert.equal(verified([{ ...rootfs, sha256: c }]).result, "DIFFERENT");
  assert.equal(verified([rootfs, kernel], [{ path: "/etc/x", aspects: ["content"] }]).result, "DIFFERENT");
  assert.deepEqual(verified([{ ...rootfs, sha256: c }]).artifacts, [
    { name: "rootfs", result: "DIFFERENT", published: { sha256: a }, rebuilt: { sha256: c } },
    { name: "kernel", result: "MISSING", published: { sha256: b } },
  ]);
});

test("a rebuild that took layers made by hand as they are has not reproduced them", () => {
  const manual = [{ layer: c, by: "kim", at: "2026-01-01T00:00:00Z" }];
  const data = { buildId: "0123", subjects: [rootfs], differences: [], manual, builder, run };
  const { predicate } = reproducedStatement({ ...data, rebuilt: [rootfs] });
  assert.equal(predicate.result, "INCOMPLETE");
  assert.deepEqual(predicate.manualLayers, manual);
  const { result } = reproducedStatement({ ...data, rebuilt: [{ ...rootfs, sha256: b }] }).predicate;
  assert.equal(result, "DIFFERENT");
});
