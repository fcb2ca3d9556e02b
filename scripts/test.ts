/**
 * Runs every suite, two files at a time, and ends with the files that took longest and the line 'N passed, N failed'.
 * So no file may count on what is this machine's and not its own: a fixed port, names in /tmp, what runs.
 *
 *   node scripts/test.ts [SUITE...]      unit, contract, real, journey; all without one
 */
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { isAlive } from "../test/support/alive.ts";

/** Those with the longest files first, so that at the end no processor waits for the other one. */
const suites = {
  journey: "test/journey/*.test.ts",
  real: "test/real/*.test.ts",
  contract: "test/contract/**/*.test.ts",
  unit: "src/**/*.test.ts",
} as const;
type Suite = keyof typeof suites;
const slowestShown = 10;
/** With the process id of the run behind it. */
const sharedFolders = "/var/tmp/nk-shared-";

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`there is no suite ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`);
  process.exit(2);
}

const chosen = (Object.keys(suites) as Suite[]).filter((name) => wanted.length === 0 || wanted.includes(name));
const files = chosen.flatMap((name) => globSync(suites[name]).sort());
console.log(`${chosen.join(", ")}: ${files.length} files`);
let passed = 0;
let failed = 0;
let skipped = 0;
/** For what several files need and one makes (test/support/prepared.ts). */
const shared = mkdtempSync(`${sharedFolders}${process.pid}-`);
process.on("exit", () => rmSync(shared, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));
// Of runs that were killed.
for (const folder of globSync(`${sharedFolders}*`)) {
  const maker = Number(/^\d+(?=-)/.exec(folder.slice(sharedFolders.length))?.[0] ?? 0);
  if (maker > 0 && !isAlive(maker)) rmSync(folder, { recursive: true, force: true });
}
process.env["NETKILN_TEST_SHARED"] = shared;
const took: { readonly file: string; readonly seconds: number }[] = [];
const stream = run({ files, concurrency: 2, timeout: 30 * 60_000 });
stream.on("test:pass", ({ details, skip }) => {
  if (details.type === "suite") return;
  if (skip === undefined || skip === false) passed += 1;
  else skipped += 1;
});
stream.on("test:fail", ({ details }) => {
  if (details.type !== "suite") failed += 1;
});
stream.on("test:summary", ({ file, duration_ms: ms }) => {
  if (file !== undefined) took.push({ file: relative(".", file), seconds: ms / 1000 });
});
await new Promise<void>((resolve) => {
  const report = stream.compose(new spec());
  report.on("end", resolve).pipe(process.stdout, { end: false });
});

console.log("\nthe files that took longest:");
const slowest = took.toSorted((a, b) => b.seconds - a.seconds).slice(0, slowestShown);
for (const { file, seconds } of slowest) console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}`);
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
