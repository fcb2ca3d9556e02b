export { parseAllChecks, parseChecks, type ChecksFile, type ParsedChecks } from "./checks.ts";
export { evaluateGate, type GateInput } from "./evaluate.ts";
export { toJUnit, toText } from "./report.ts";
export { readSettings, type Setting } from "./resolve/kernel-param.ts";
export { readDpkg, type DpkgStanza } from "./resolve/package.ts";
export { unitState, type UnitState } from "./resolve/service.ts";
export { unitDirectories } from "./resolve/unit-file.ts";
export { openTree, readLimit, typeOf, type FileStats, type FileType, type TreeEntry, type TreeReader } from "./tree.ts";
export type { CommandOutcome, RunCommand } from "./resolve/command.ts";
export type { CheckResult, ResultStatus, Verdict, VerdictSummary } from "./verdict.ts";

/** Part of the key under which a verdict is kept: changes whenever the same tree and checks may come to another one. */
export const engineVersion = "2";
