/**
 * Every error that an operator may meet. A code decides the exit code of the CLI and the status of the API,
 * in this one table; nothing else maps errors.
 */
export const errorCodes = {
  invalid_input: { status: 400, exit: 2, title: "Bad Request" },
  unauthorized: { status: 401, exit: 4, title: "Unauthorized" },
  refused: { status: 403, exit: 4, title: "Forbidden" },
  not_found: { status: 404, exit: 3, title: "Not Found" },
  conflict: { status: 409, exit: 4, title: "Conflict" },
  too_large: { status: 413, exit: 2, title: "Content Too Large" },
  unprocessable: { status: 422, exit: 2, title: "Unprocessable Content" },
  work_failed: { status: 500, exit: 1, title: "Work Failed" },
  internal: { status: 500, exit: 1, title: "Internal Server Error" },
  unreachable: { status: 503, exit: 5, title: "Service Unavailable" },
} as const satisfies Record<string, { status: number; exit: number; title: string }>;

export type ErrorCode = keyof typeof errorCodes;

/** One mistake in an operator's file; line and column count from 1. */
export interface Problem {
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  readonly hint?: string;
}

export interface ErrorDetails {
  /** What the operator can do about it. */
  readonly hint?: string | undefined;
  /** All mistakes at once, when the error is about a file. */
  readonly problems?: readonly Problem[] | undefined;
  /** The last lines that a failed tool printed, shown under the message. */
  readonly output?: readonly string[] | undefined;
  /** For the log only, never shown to a client. */
  readonly detail?: unknown;
}

/** An expected failure: its message is for the operator, and no stack trace is ever shown for it. */
export class NetkilnError extends Error {
  override readonly name = "NetkilnError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly problems: readonly Problem[];
  readonly output: readonly string[];
  readonly detail: unknown;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.hint = details.hint;
    this.problems = details.problems ?? [];
    this.output = details.output ?? [];
    this.detail = details.detail;
  }
}

/** A mistake in one member of a request, as `parseAs` tells it. */
export function aboutMember(member: string, message: string): NetkilnError {
  return new NetkilnError("invalid_input", message, { problems: [{ message: `${member}: ${message}` }] });
}

/** An error as it travels: on the wire, in a job's row, in a build's record. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly problems?: readonly Problem[];
  readonly output?: readonly string[];
}

export function toErrorRecord(error: unknown): ErrorRecord {
  if (!(error instanceof NetkilnError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { code: "internal", message: `unexpected error: ${message}` };
  }
  return {
    code: error.code,
    message: error.message,
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(error.problems.length > 0 && { problems: error.problems }),
    ...(error.output.length > 0 && { output: error.output }),
  };
}

export function fromErrorRecord(record: ErrorRecord): NetkilnError {
  return new NetkilnError(record.code, record.message, record);
}

/** `FILE:LINE:COLUMN: message`, the form that editors jump to. */
export function formatProblem(problem: Problem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(":");
  const text = problem.hint === undefined ? problem.message : `${problem.message} (${problem.hint})`;
  return place === "" ? text : `${place}: ${text}`;
}
