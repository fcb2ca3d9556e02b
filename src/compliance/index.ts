export { parseAllChecks, parseChecks, type ChecksFile, type ParsedChecks } from "./checks.ts";
export { evaluateGate, type GateInput } from "./evaluate.ts";
export { toJUnit, toText } from "./report.ts";
export type { CommandOutcome, RunCommand } from "./resolve/command.ts";
export type { CheckResult, ResultStatus, Verdict, VerdictSummary } from "./verdict.ts";

/** Part of the key under which a verdict is kept: changes whenever the same tree and checks may come to another one. */
export const engineVersion = "1";
