import { fileURLToPath } from "node:url";
import { NetkilnError } from "../../lib/errors.ts";
import { runInSandbox, type Sandbox } from "../sandbox/sandbox.ts";
import type { InitrdContent } from "./newc-reader.ts";
import { moduleName, type Survey } from "./survey.ts";

/** What has to be in an initrd. */
export interface InitrdWants {
  /** Of the kernel that starts with it. */
  readonly version: string;
  /** Modules of dracut. */
  readonly modules: readonly string[];
  /** Kernel modules, unless they are built in. */
  readonly drivers: readonly string[];
  readonly builtIn: readonly string[];
}

const program = fileURLToPath(new URL("../inside/read-initrd.ts", import.meta.url));

/** Reads an initrd that was made, and throws `work_failed` when something is not in it. */
export async function checkInitrd(
  file: string,
  wants: InitrdWants,
  sandbox: Sandbox,
  signal: AbortSignal | undefined,
): Promise<void> {
  const command = { at: "host", argv: [process.execPath, program, file] } as const;
  const { stdout } = await runInSandbox(sandbox, command, { signal });
  const content = JSON.parse(stdout) as InitrdContent;
  const problems = "problem" in content ? [`it cannot be read: ${content.problem}`] : problemsOf(content, wants);
  if (problems.length === 0) return;
  throw new NetkilnError("work_failed", `the initrd is not as it has to be: ${problems.join("; ")}`, {
    hint: "see what dracut said in the build's log; a tree that other packages changed can lack what it installs",
  });
}

/** The versions of the kernel of which there are modules among the paths. */
export function modulesIn(names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => /^(?:usr\/)?lib\/modules\/([^/]+)\//.exec(name)?.[1] ?? []))];
}

/** What is missing, in an operator's words. */
export function problemsOf(
  { names, dracutModules }: Exclude<InitrdContent, { problem: string }>,
  { version, modules, drivers, builtIn }: InitrdWants,
): string[] {
  const ofKernel = names.filter((name) => name.replace(/^usr\//, "").startsWith(`lib/modules/${version}/`));
  const loadable = new Set(
    ofKernel.flatMap((name) => {
      const module = /([^/]+)\.ko(\.\w+)?$/.exec(name)?.[1];
      return module === undefined ? [] : [moduleName(module)];
    }),
  );
  const problems: string[] = [];
  if (ofKernel.length === 0) {
    const others = modulesIn(names);
    const instead = others.length === 0 ? "" : `, only of ${others.join(", ")}`;
    problems.push(`it has no modules of the kernel ${version}${instead}`);
  }
  const inKernel = new Set(builtIn);
  const lost = drivers.filter((name) => !loadable.has(moduleName(name)) && !inKernel.has(moduleName(name)));
  if (lost.length > 0) problems.push(`it lacks the drivers ${lost.join(", ")}`);
  const without = modules.filter((name) => !dracutModules.includes(name));
  if (without.length > 0) problems.push(`it lacks the dracut modules ${without.join(", ")}`);
  if (!names.some((name) => /^(usr\/)?lib\/netkiln-lib\.sh$/.test(name))) {
    problems.push("it lacks netkiln's own part, lib/netkiln-lib.sh");
  }
  return problems;
}

/** Throws `work_failed` for drivers that the kernel of the tree does not have, before dracut passes over them. */
export function requireDrivers(wanted: readonly string[], version: string, drivers: Survey["drivers"]): void {
  if (drivers === undefined) {
    throw new NetkilnError("work_failed", `the modules of the kernel ${version} have no modules.dep`, {
      hint: `run depmod ${version} in the tree, as kernel packages do when they are installed`,
    });
  }
  const there = [...drivers.loadable, ...drivers.builtIn];
  const known = new Set(there);
  const lost = wanted.filter((name) => !known.has(moduleName(name)));
  if (lost.length === 0) return;
  const told = lost.map((name) => {
    const near = nearest(moduleName(name), there);
    return near.length === 0 ? name : `${name} (there is ${near.join(", ")})`;
  });
  throw new NetkilnError(
    "work_failed",
    `the kernel ${version} does not have what initrd.drivers names: ${told.join("; ")}`,
    {
      hint: "correct initrd.drivers of recipe.yaml, or choose a kernel package that has them",
    },
  );
}

const maxNear = 3;

/** Names that go on where this one ends, then those that differ by a letter in four, then those that hold each other. */
export function nearest(name: string, names: readonly string[]): string[] {
  const ranked = [...new Set(names)].flatMap((other) => {
    const distance = editDistance(name, other);
    if (other.startsWith(name)) return [{ other, rank: 0, distance }];
    if (distance <= name.length / 4) return [{ other, rank: 1, distance }];
    const isPart = other.includes(name) || (other.length > 3 && name.includes(other));
    return isPart ? [{ other, rank: 2, distance }] : [];
  });
  ranked.sort((a, b) => a.rank - b.rank || a.distance - b.distance || (a.other < b.other ? -1 : 1));
  return ranked.slice(0, maxNear).map(({ other }) => other);
}

/** Levenshtein's, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
