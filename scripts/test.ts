/**
 * Runs every suite and ends with the line 'N passed, N failed'. Unit tests run beside each other; those with real
 * tools, servers and machines one file after the other, as they share two cores.
 *
 *   node scripts/test.ts [SUITE...]      unit, contract, real, journey; all without one
 */
import { globSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const suites = {
  unit: "src/**/*.test.ts",
  contract: "test/contract/*.test.ts",
  real: "test/real/*.test.ts",
  journey: "test/journey/*.test.ts",
} as const;
type Suite = keyof typeof suites;

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in suites));
if (unknown.length > 0) {
  console.error(`there is no suite ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`);
  process.exit(2);
}

let passed = 0;
let failed = 0;
let skipped = 0;
for (const name of (wanted.length > 0 ? wanted : Object.keys(suites)) as Suite[]) {
  const files = globSync(suites[name]).sort();
  console.log(`\n== ${name}: ${files.length} files`);
  const stream = run({ files, concurrency: name === "unit" ? 2 : 1, timeout: 30 * 60_000 });
  stream.on("test:pass", ({ details, skip }) => {
    if (details.type === "suite") return;
    if (skip === undefined || skip === false) passed += 1;
    else skipped += 1;
  });
  stream.on("test:fail", ({ details }) => {
    if (details.type !== "suite") failed += 1;
  });
  await new Promise<void>((resolve) => {
    const report = stream.compose(new spec());
    report.on("end", resolve).pipe(process.stdout, { end: false });
  });
}
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
