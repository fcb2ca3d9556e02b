import type { Resource } from "./checks.ts";

export type ResultStatus = "passed" | "failed" | "error" | "skipped" | "deferred";

/** What one property of one resource came to. */
export interface CheckResult {
  readonly file: string;
  /** "checks" for a result about the file of checks itself. */
  readonly type: Resource["type"] | "checks";
  readonly id: string;
  readonly property: string;
  readonly title?: string;
  readonly status: ResultStatus;
  /** Worked out from configuration; only a booted node can confirm it. */
  readonly predicted?: true;
  /** As written in the checks. */
  readonly expected: unknown;
  /** null where nothing was found, or nothing was looked for. */
  readonly found: unknown;
  readonly message: string;
  readonly duration_ms: number;
}

export interface VerdictSummary {
  /** Passed and failed; what could not be answered is in none of the two. */
  readonly evaluated: number;
  readonly passed: number;
  readonly failed: number;
  readonly errors: number;
  readonly skipped: number;
  readonly deferred: number;
  readonly duration_ms: number;
}

export interface Verdict {
  /** Only "passed" lets an image be published. */
  readonly status: "passed" | "failed" | "error";
  readonly summary: VerdictSummary;
  readonly files: readonly {
    readonly file: string;
    readonly sha256: string;
    readonly evaluated: number;
  }[];
  /** In the order of the files, and in each by type and as written. */
  readonly results: readonly CheckResult[];
}

export function isEvaluated({ status }: CheckResult): boolean {
  return status === "passed" || status === "failed";
}

export function summarise(results: readonly CheckResult[], duration_ms: number): VerdictSummary {
  const count = (status: ResultStatus) => results.filter((result) => result.status === status).length;
  return {
    evaluated: results.filter(isEvaluated).length,
    passed: count("passed"),
    failed: count("failed"),
    errors: count("error"),
    skipped: count("skipped"),
    deferred: count("deferred"),
    duration_ms,
  };
}

/** Without a single answer there is no pass: a gate that looked at nothing has not let anything through. */
export function statusOf({ evaluated, failed, errors }: VerdictSummary): Verdict["status"] {
  if (failed > 0) return "failed";
  return errors > 0 || evaluated === 0 ? "error" : "passed";
}
