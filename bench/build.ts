/**
 * One run, one machine, one package set: the example image as a plain script makes it, then by netkiln in an empty
 * data folder, then with nothing changed, then with one line changed in the last playbook.
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const project = fileURLToPath(new URL("..", import.meta.url));
const example = join(project, "examples/compute");
const netkiln = join(project, "bin/netkiln");
/** The squashfs level of both, which the script would otherwise leave at mksquashfs's slow default. */
const level = "1";
/** How often the cheap ones are done; the median counts. */
const repetitions = 3;
/** Values that Slurm takes: the gate would refuse others. */
const debugLevels = ["verbose", "debug", "debug2"];

export async function bench(): Promise<void> {
  const folder = mkdtempSync("/var/tmp/nk-bench-");
  try {
    await measure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string): Promise<void> {
  const site = join(folder, "site");
  cpSync(example, site, { recursive: true });
  git(site, "init", "--quiet", "--initial-branch", "main");
  commit(site, "first");

  console.log("plain script: mmdebstrap, ansible-playbook, dracut, mksquashfs");
  const script = timed(() =>
    execFileSync(
      join(project, "bench/script.sh"),
      [join(site, "recipe"), join(site, "ansible"), join(folder, "script")],
      {
        stdio: ["ignore", "inherit", "inherit"],
        env: { ...process.env, ZSTD_LEVEL: level },
      },
    ),
  );

  const data = join(folder, "data");
  const config = join(folder, "config.yaml");
  writeFileSync(config, `squashfs_level: ${level}\n`);
  const environment = { ...process.env, NETKILN_DATA: data, NETKILN_CONFIG: config };
  const server = spawn(netkiln, ["serve", "--node-door", "127.0.0.1:0"], { stdio: "ignore", env: environment });
  try {
    await waitForServer(environment);
    execFileSync(netkiln, ["recipes", "import", join(site, "recipe")], { env: environment });
    const run = () =>
      timed(() =>
        execFileSync(netkiln, ["bootprep", "run", join(site, "bootprep.yaml")], {
          env: environment,
          stdio: ["ignore", "inherit", "inherit"],
        }),
      );
    console.log("netkiln, empty data folder");
    const cold = run();
    console.log("netkiln, nothing changed");
    const unchanged = median(() => run());
    console.log("netkiln, one line changed in the last playbook");
    let marker = 0;
    const change = median(() => {
      changeLastPlaybook(site, marker);
      marker += 1;
      return run();
    });
    report({ script, cold, unchanged, change });
  } finally {
    server.kill("SIGTERM");
    await new Promise((resolve) => server.once("exit", resolve));
  }
}

function report({ script, cold, unchanged, change }: Record<"script" | "cold" | "unchanged" | "change", number>): void {
  const rows: [string, number, string][] = [
    ["plain script", script, ""],
    ["cold", cold, `${(cold / script).toFixed(2)} of the script`],
    ["unchanged", unchanged, ""],
    ["one line changed", change, `${(cold / change).toFixed(1)} times faster than cold`],
  ];
  console.log("");
  for (const [name, seconds, note] of rows)
    console.log(`${name.padEnd(18)} ${seconds.toFixed(2).padStart(8)} s  ${note}`.trimEnd());
  console.log(
    JSON.stringify({
      bench: "build",
      script_s: round(script),
      cold_s: round(cold),
      cold_ratio: round(cold / script),
      unchanged_s: round(unchanged),
      change_s: round(change),
      change_speedup: round(cold / change),
    }),
  );
}

/** Seconds of wall clock. */
function timed(work: () => unknown): number {
  const started = performance.now();
  work();
  return (performance.now() - started) / 1000;
}

function median(measureOnce: () => number): number {
  const times = Array.from({ length: repetitions }, measureOnce).sort((a, b) => a - b);
  return times[Math.floor(repetitions / 2)] ?? Number.NaN;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function changeLastPlaybook(site: string, marker: number): void {
  const file = join(site, "ansible/slurm.yml");
  const text = readFileSync(file, "utf8").replace(/slurm_debug: \S+/, `slurm_debug: ${debugLevels[marker]}`);
  writeFileSync(file, text);
  commit(site, `change ${marker}`);
}

function commit(site: string, message: string): void {
  git(site, "add", "--all");
  git(site, "-c", "user.name=bench", "-c", "user.email=bench@example.org", "commit", "--quiet", "--message", message);
}

function git(folder: string, ...args: string[]): void {
  execFileSync("git", ["-C", folder, ...args], { stdio: ["ignore", "ignore", "inherit"] });
}

async function waitForServer(environment: NodeJS.ProcessEnv): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      execFileSync(netkiln, ["recipes", "list"], { env: environment, stdio: "ignore" });
      return;
    } catch {
      await sleep(200);
    }
  }
  throw new Error("the server does not answer");
}
