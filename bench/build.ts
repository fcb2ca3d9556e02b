/**
 * One run, one machine, one package set: the example image as a plain script makes it, by netkiln in an empty data
 * folder, with nothing changed, and with one line changed in the last playbook; the same change by the script and by
 * Debian's mkosi; and ten images that share a base.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { measure, median, round, waitOf, type Measured, type Patience } from "./measure.ts";
import { openMkosi } from "./mkosi.ts";
import {
  bootprepFor,
  changeLastPlaybook,
  debugLevels,
  git,
  inFolder,
  makeSite,
  project,
  squashfsLevel,
  startNetkiln,
  type Netkiln,
} from "./site.ts";

interface Options extends Patience {
  /** Whether ten scripts really run, which takes half an hour. */
  readonly full: boolean;
}

/** How often the cheap ones are done; the median counts. */
const repetitions = 3;
const images = 1 + debugLevels.length;

export async function bench(args: readonly string[]): Promise<void> {
  const wait = waitOf(args);
  const options = { full: args.includes("--full"), wait };
  await inFolder(async (folder) => {
    const rows = new Map<string, Measured>();
    const note = async (name: string, measured: Promise<Measured>) => {
      const result = await measured;
      rows.set(name, result);
      console.log(`== ${name}: ${result.seconds.toFixed(2)} s`);
    };
    const site = makeSite(join(folder, "site"));
    await withNetkiln(join(folder, "data"), site, async (netkiln) => {
      const build = () => measure(() => netkiln.run("bootprep", "run", join(site, "bootprep.yaml")), options);
      await note(
        "script",
        measure(() => script(site, join(folder, "script")), options),
      );
      await note("cold", build());
      await note("unchanged", median(repetitions, build));
      const levels = debugLevels.values();
      const change = async () => {
        changeLastPlaybook(site, levels.next().value ?? "");
        return build();
      };
      await note("change", median(repetitions, change));
      changeLastPlaybook(site, levels.next().value ?? "");
      // It keeps nothing that a later run could use, so the change is the whole of it once more.
      await note(
        "script_change",
        measure(() => script(site, join(folder, "script")), options),
      );
    });
    const mkosi = await openMkosi(join(folder, "mkosi"), join(site, "recipe"), join(folder, "script/rootfs"));
    await note("mkosi_cold", measure(mkosi.build, options));
    const levels = debugLevels.values();
    const change = () => {
      mkosi.change(levels.next().value ?? "");
      return measure(mkosi.build, options);
    };
    await note("mkosi_change", change());
    mkosi.useCache();
    await note("mkosi_cached_change", median(repetitions, change));
    await benchTen(folder, note, options);
    report(rows, options);
  });
}

async function benchTen(
  folder: string,
  note: (name: string, measured: Promise<Measured>) => Promise<void>,
  options: Options,
): Promise<void> {
  const site = makeSite(join(folder, "ten"));
  for (const level of debugLevels) {
    git(site, "switch", "--quiet", "--create", level, "main");
    changeLastPlaybook(site, level);
  }
  const branches = ["main", ...debugLevels];
  writeFileSync(join(site, "ten.yaml"), bootprepFor(branches));
  await withNetkiln(join(folder, "ten-data"), site, (netkiln) =>
    note(
      "ten",
      measure(() => netkiln.run("bootprep", "run", join(site, "ten.yaml")), options),
    ),
  );
  if (!options.full) return;
  const all = () => {
    for (const branch of branches) {
      git(site, "switch", "--quiet", branch);
      script(site, join(folder, "script"));
    }
  };
  await note("ten_scripts", measure(all, options));
}

async function withNetkiln(data: string, site: string, work: (netkiln: Netkiln) => Promise<void>): Promise<void> {
  const netkiln = await startNetkiln(data);
  try {
    netkiln.run("recipes", "import", join(site, "recipe"));
    await work(netkiln);
  } finally {
    await netkiln.stop();
  }
}

function script(site: string, output: string): void {
  execFileSync(join(project, "bench/script.sh"), [join(site, "recipe"), join(site, "ansible"), output], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ZSTD_LEVEL: squashfsLevel },
  });
}

function report(rows: ReadonlyMap<string, Measured>, { full }: Options): void {
  const at = (name: string) => rows.get(name)?.seconds ?? Number.NaN;
  const ratio = at("cold") / at("script");
  const speedup = at("cold") / at("change");
  const scriptSpeedup = at("script") / at("change");
  const notes: Record<string, string> = {
    script: "mmdebstrap, ansible-playbook, dracut, mksquashfs",
    cold: `netkiln, empty data folder: ${ratio.toFixed(2)} of the script`,
    unchanged: "netkiln, nothing changed",
    change: `netkiln, one line of the last playbook: ${speedup.toFixed(1)} times faster than cold, ${scriptSpeedup.toFixed(1)} than the script`,
    script_change: "the same change by the script, which runs whole, as it keeps no tree",
    mkosi_cold: "mkosi 14 and mksquashfs: packages and files; no Ansible, no initrd, no checks",
    mkosi_change: "the same line in mkosi.extra/, Incremental=yes, which makes its cached tree anew",
    mkosi_cached_change: "the same with an empty folder that makes it use its cached tree",
    ten: `netkiln, ${images} images on one base, empty data folder; one script alone: ${at("script").toFixed(2)} s`,
    ten_scripts: `${images} scripts in turn`,
  };
  console.log(`\n${"".padEnd(20)}${"wall s".padStart(9)}${"CPU s".padStart(9)}${"busy before".padStart(13)}`);
  for (const [name, { seconds, cpu, busy }] of rows) {
    const figures = [
      seconds.toFixed(2).padStart(9),
      cpu.toFixed(2).padStart(9),
      `${Math.round(busy * 100)} %`.padStart(13),
    ];
    console.log(`${name.padEnd(20)}${figures.join("")}  ${notes[name] ?? ""}`.trimEnd());
  }
  const seconds = [...rows].map(([name, measured]) => [`${name}_s`, round(measured.seconds)] as const);
  console.log(
    JSON.stringify({
      bench: "build",
      ...Object.fromEntries(seconds),
      ...(!full && { ten_scripts_s: null }),
      cold_ratio: round(ratio),
      cold_cpu_ratio: round((rows.get("cold")?.cpu ?? Number.NaN) / (rows.get("script")?.cpu ?? Number.NaN)),
      change_speedup: round(speedup),
      change_speedup_to_script: round(scriptSpeedup),
    }),
  );
}
