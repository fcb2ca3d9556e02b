import { chown, mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../lib/exec.ts";
import type { Argv } from "../../lib/exec.ts";
import { runIsolated } from "../sandbox/sandbox.ts";
import type { BaseWorld } from "./types.ts";

export interface AptSetup {
  /** As Debian calls it. */
  readonly arch: string;
  /** Whether apt takes itself for essential, as it does by itself. */
  readonly aptIsEssential: boolean;
  /** `deb` lines. */
  readonly sources: readonly string[];
  /** Lines of an apt configuration file. */
  readonly options: readonly string[];
}

/** apt with a system of its own that holds nothing yet: other sources, other state, this host's keys. */
export interface PrivateApt {
  /** dpkg's status file: what apt takes for installed. */
  readonly status: string;
  /** Makes a folder that its downloads can go to. */
  makeFolder(path: string): Promise<void>;
  /** Runs a program of apt; its lines go to the log when `quiet` is not set. Returns what it printed. */
  run(argv: Argv, quiet?: "quiet"): Promise<string>;
}

const aptHelper = "/usr/lib/apt/apt-helper";

/** Makes the system in the empty folder `root`. */
export async function openApt(root: string, setup: AptSetup, world: BaseWorld): Promise<PrivateApt> {
  const status = join(root, "var/lib/dpkg/status");
  const partial = join(root, "var/lib/apt/lists/partial");
  const folders = ["etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/preferences.d", "var/lib/dpkg"];
  for (const folder of [...folders, "var/cache/apt/archives/partial"]) await mkdir(join(root, folder), readable);
  await mkdir(partial, readable);
  await writeFile(status, "");
  await writeFile(join(root, "etc/apt/sources.list"), lines(setup.sources));
  const configuration = join(root, "apt.conf");
  await writeFile(configuration, lines(await aptConfiguration(root, status, setup)), { mode: 0o600 });
  const environment = { APT_CONFIG: configuration, TMPDIR: root };
  // As mmdebstrap does: where the folder cannot be reached by apt's own user, root downloads.
  const reached = await run([aptHelper, "drop-privs", "--", "test", "-r", partial], {
    env: environment,
    okExitCodes: "any",
  });
  if (reached.exitCode !== 0) await writeFile(configuration, 'APT::Sandbox::User "root";\n', { flag: "a" });
  return {
    status,
    makeFolder: async (path) => {
      await mkdir(path, { mode: 0o755 });
      // apt gives this one to the user that it downloads with.
      await chown(path, (await stat(partial)).uid, 0);
    },
    run: async (argv, quiet) => {
      const { onLine, signal } = world.run;
      let printed = "";
      const keep = (line: string, stream: "stdout" | "stderr") => {
        if (stream === "stdout") printed += `${line}\n`;
        if (quiet === undefined || stream === "stderr") onLine(line, stream);
      };
      await runIsolated(argv, { signal, env: environment, onLine: keep });
      return printed;
    },
  };
}

/** What mmdebstrap 1.3.5 tells apt before it reads the options of its caller (run_setup), and the host's secrets. */
async function aptConfiguration(root: string, status: string, setup: AptSetup): Promise<string[]> {
  const host = await hostPaths();
  return [
    `APT::Architecture "${setup.arch}";`,
    `APT::Architectures "${setup.arch}";`,
    `Dir "${root}";`,
    `Dir::State::Status "${status}";`,
    ...host,
    ...(setup.aptIsEssential ? [] : ['pkgCacheGen::ForceEssential ",";']),
    'APT::Install-Recommends "false";',
    'Acquire::Languages "none";',
    // Names files by the digest that blobs are named by; without it, --print-uris names them by their MD5.
    'Acquire::ForceHash "SHA256";',
    ...setup.options,
  ];
}

/** Where this host keeps the keys that sign archives, and the passwords for mirrors that want one. */
async function hostPaths(): Promise<string[]> {
  const wanted = ["Dir::Etc::trusted/f", "Dir::Etc::trustedparts/d", "Dir::Etc::netrc/f", "Dir::Etc::netrcparts/d"];
  const names = wanted.map((path) => path.slice(0, -2));
  const { stdout } = await run(["apt-config", "shell", ...wanted.flatMap((path, index) => [`P${index}`, path])]);
  return stdout.split("\n").flatMap((line) => {
    const found = /^P(\d)='(.*)'$/.exec(line);
    return found === null ? [] : [`${names[Number(found[1])]} "${found[2]}";`];
  });
}

/** apt reads with a user of its own. */
const readable = { recursive: true, mode: 0o755 } as const;

function lines(values: readonly string[]): string {
  return values.map((line) => `${line}\n`).join("");
}
