export { parseAllChecks, parseChecks, type ChecksFile } from "./checks.ts";
export { evaluateGate } from "./evaluate.ts";
export { toJUnit, toText } from "./report.ts";
export { readSettings } from "./resolve/kernel-param.ts";
export { readDpkg, type DpkgStanza } from "./resolve/package.ts";
export { readLinksOnce, unitState } from "./resolve/service.ts";
export { unitDirectories } from "./resolve/unit-file.ts";
export { readLimit, typeOf, type FileStats, type TreeReader } from "./tree.ts";
export type { CommandOutcome } from "./resolve/command.ts";
export type { CheckResult, Verdict } from "./verdict.ts";

/** Part of the key under which a verdict is kept: changes whenever the same tree and checks may come to another one. */
export const engineVersion = "3";
