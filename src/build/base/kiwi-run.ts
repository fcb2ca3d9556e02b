import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { NetkilnError } from "../../lib/errors.ts";
import type { RunOptions } from "../../lib/exec.ts";
import { runIsolated } from "../sandbox/sandbox.ts";

const script = fileURLToPath(new URL("./kiwi.sh", import.meta.url));

const hostArch = process.arch === "arm64" ? "aarch64" : "x86_64";

/** What kiwi is to do, with the description that it reads rendered. */
export interface KiwiJob {
  readonly files: readonly { readonly path: string; readonly executable: boolean; readonly content: Buffer }[];
  /** The file among them that kiwi reads. */
  readonly description: string;
  readonly profiles: readonly string[];
  /** As kiwi and uname name it. */
  readonly arch: string;
  readonly network: boolean;
  /** More arguments of `system prepare`. */
  readonly args: readonly string[];
}

/** Folders of one run of kiwi; the tree is in `root`, and what it fetched in `cache`. */
export function kiwiFolders(folder: string) {
  return { root: join(folder, "root"), cache: join(folder, "cache"), repository: join(folder, "repository") };
}

/**
 * Runs `kiwi-ng system prepare` in an empty folder; nothing else of this machine can be changed by it.
 * Throws `work_failed` in kiwi's own words, with the step at which it was.
 */
export async function runKiwi(job: KiwiJob, folder: string, options: RunOptions): Promise<void> {
  for (const name of ["description", "cache", "tmp", "home"]) await mkdir(join(folder, name), { recursive: true });
  for (const file of job.files) {
    const target = join(folder, "description", file.path);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await writeFile(target, file.content);
    await chmod(target, file.executable ? 0o755 : 0o644);
  }
  const text = job.files.find(({ path }) => path === job.description)?.content.toString("utf8") ?? "";
  // Debian's rpm keeps its database in the home folder, and kiwi puts that of the tree where the host's is.
  const database = /<packagemanager>\s*zypper/.test(text) ? "/usr/lib/sysimage/rpm" : "/var/lib/rpm";
  await writeFile(join(folder, "home/.rpmmacros"), `%_dbpath ${database}\n`);
  const story = new KiwiStory();
  const argv = [
    ...["/bin/sh", script, folder, job.network ? "yes" : "no"],
    ...["--debug", "--temp-dir", "/mnt/tmp", "--shared-cache-dir", "/mnt/cache"],
    ...foreignArch(job.arch, text),
    ...["--kiwi-file", job.description],
    // IMS builds this type; a description that lacks it has another one that comes first.
    ...(/<type\b[^>]*\simage="tbz"/.test(text) ? ["--type", "tbz"] : []),
    ...job.profiles.flatMap((profile) => ["--profile", profile]),
    ...["system", "prepare", "--description", "/mnt/description", "--root", "/mnt/root"],
    ...job.args,
  ] as const;
  try {
    await runIsolated(["/bin/sh", ...argv.slice(1)], {
      ...options,
      name: "kiwi-ng",
      onLine: (line, stream) => {
        const told = story.add(line);
        if (told !== undefined) options.onLine?.(told, stream);
      },
    });
  } catch (error) {
    throw error instanceof NetkilnError ? story.explain(error) : error;
  }
}

/** kiwi 9.24 hands the option on to apt-get, which does not know it, so it is left out where it says nothing new. */
function foreignArch(arch: string, text: string): string[] {
  if (arch === hostArch) return [];
  if (!/<packagemanager>\s*apt/.test(text)) return ["--target-arch", arch];
  throw new NetkilnError(
    "invalid_input",
    `kiwi-ng cannot make a Debian tree for ${arch} on a machine with ${hostArch}`,
    {
      hint: "use a recipe with distribution: debian, or a build machine of that architecture",
    },
  );
}

/** `[ INFO    ]: 06:33:14 | Preparing system` */
const kiwiLine = /^\[ (DEBUG|INFO|WARNING|ERROR) *\]: (?:\d\d:\d\d:\d\d \| )?(.*)$/;
/** What kiwi does next, by the lines that say it. */
const steps: readonly (readonly [line: RegExp, step: string])[] = [
  [/^Loading XML description/, "reading the description"],
  [/^Setting up repository/, "setting up the repositories"],
  [/^Installing bootstrap packages/, "installing the bootstrap packages"],
  [/^Calling post_bootstrap\.sh/, "post_bootstrap.sh"],
  [/^Installing system/, "installing the packages"],
  [/^Setting up (group|user)/, "setting up users and groups"],
  [/^Calling config\.sh/, "config.sh"],
  [/^(Uninstalling|Force deleting)/, "removing packages"],
  [/^Calling images\.sh|images\.sh failed/, "images.sh"],
];

/** Follows what kiwi prints: which step it is at, and what the tools below it said there. */
class KiwiStory {
  #step = "starting";
  #errors: string[] = [];
  #tools: string[] = [];

  /** Takes a line in and returns what of it is worth to be shown. */
  add(line: string): string | undefined {
    // Progress bars stand before the next message on one line.
    const bare = line.replace(/^.*\r/, "").replace(/^(\[ INFO +\]: Processing: \[[# ]*\] \d+%)+(?=\[|$)/, "");
    if (bare.trim() === "") return undefined;
    const [, level, text = bare] = kiwiLine.exec(bare) ?? [];
    if (level === "ERROR" || (level === undefined && this.#errors.length > 0)) {
      this.#errors.push(text);
      return text;
    }
    if (level === "DEBUG") {
      const said = /^(?:bootstrap|system|Calling \S+ script|delete|update): (.*)$/.exec(text)?.[1];
      if (said === undefined || said.trim() === "") return undefined;
      this.#tools.push(said);
      if (this.#tools.length > 20) this.#tools.shift();
      return `  ${said}`;
    }
    if (level === undefined) this.#tools.push(text);
    const step = steps.find(([pattern]) => pattern.test(text))?.[1];
    if (step !== undefined && step !== this.#step) {
      this.#step = step;
      this.#tools = [];
    }
    return text;
  }

  explain(error: NetkilnError): NetkilnError {
    const words = this.#errors.filter((line) => line.trim() !== "");
    // kiwi puts the whole log of debootstrap behind its own words, and dnf says its reason on a line of its own.
    const reason = this.#tools.findLast((line) => /^(E|Error|dpkg: error): /.test(line));
    const [first = reason ?? error.message] = words;
    return new NetkilnError(error.code, `kiwi-ng failed at ${this.#step}: ${first.replace(/:$/, "")}`, {
      output: words.length === 0 && this.#tools.length === 0 ? error.output : [...this.#tools, ...words.slice(1, 20)],
      hint: "correct the description and import it again",
      detail: error,
    });
  }
}
