import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { NetkilnError } from "../../lib/errors.ts";
import { run } from "../../lib/exec.ts";
import { parseDeb822 } from "./deb822.ts";

export interface PackageSource {
  readonly suite: string;
  readonly components: readonly string[];
}

/** The `deb` lines to build from: those of netkiln's configuration, or else this host's own for the suite. */
export async function aptSources(
  from: PackageSource,
  configured: readonly string[] | undefined,
): Promise<readonly string[]> {
  return configured ?? hostAptSources(from.suite, from.components);
}

/** Options of this host's apt without which its mirrors cannot be read: proxies, and tolerance for frozen ones. */
export async function hostAptOptions(): Promise<string[]> {
  const texts = await aptTexts();
  // They may name further files.
  if (/#\s*include|\bEtc\b/i.test(texts)) return askAptOptions();
  if (known?.texts !== texts) known = { texts, options: await askAptOptions() };
  return known.options;
}

/** What apt said last, which takes a process, and of what. */
let known: { readonly texts: string; readonly options: string[] } | undefined;

/** What apt reads its options from (apt.conf(5)). */
async function aptTexts(etc = "/etc/apt"): Promise<string> {
  const parts = await readdir(join(etc, "apt.conf.d")).catch(() => []);
  const files = ["apt.conf", ...parts.sort().map((name) => join("apt.conf.d", name))];
  const texts = await Promise.all(files.map((file) => readFile(join(etc, file), "utf8").catch(() => "")));
  return files.map((file, index) => `${file}\n${texts[index]}`).join("\n");
}

async function askAptOptions(): Promise<string[]> {
  const wanted = ["Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date"];
  const { stdout } = await run(["apt-config", "dump", ...wanted]);
  return stdout.split("\n").filter((line) => /^\S+ ".+";$/.test(line));
}

/**
 * The `deb` lines of this host's own apt configuration that belong to a suite (with its -updates, -security and
 * -backports left out), in the one-line form of sources.list(5).
 */
export async function hostAptSources(
  suite: string,
  components: readonly string[],
  etc = "/etc/apt",
): Promise<string[]> {
  const folder = join(etc, "sources.list.d");
  const names = (await readdir(folder).catch(() => [])).sort();
  const files = [
    join(etc, "sources.list"),
    ...names.filter((name) => /\.(list|sources)$/.test(name)).map((name) => join(folder, name)),
  ];
  const lines: string[] = [];
  for (const file of files) {
    const text = await readFile(file, "utf8").catch(() => "");
    lines.push(...(file.endsWith(".sources") ? fromDeb822(text) : fromOneLine(text)));
  }
  const wanted = new Set([suite, `${suite}-updates`, `${suite}-security`]);
  const chosen = lines.flatMap((line) => restrict(line, wanted, components));
  if (chosen.length > 0) return [...new Set(chosen)];
  throw new NetkilnError("invalid_input", `this host's apt sources have nothing for the suite "${suite}"`, {
    hint: "add the suite to /etc/apt/sources.list.d, or set apt_sources in netkiln's configuration",
  });
}

function fromDeb822(text: string): string[] {
  return parseDeb822(text).flatMap((stanza) => {
    const list = (field: string) => (stanza.get(field) ?? "").split(/\s+/).filter((word) => word !== "");
    if (stanza.get("enabled") === "no" || !list("types").includes("deb")) return [];
    const signedBy = stanza.get("signed-by") ?? "";
    // A key that is written into the stanza has no one-line form; such a source is passed over.
    if (signedBy.includes("\n")) return [];
    const options = signedBy === "" ? "" : `[signed-by=${signedBy}] `;
    return list("uris").flatMap((uri) =>
      list("suites").map((suite) => `deb ${options}${uri} ${suite} ${list("components").join(" ")}`),
    );
  });
}

function fromOneLine(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/#.*$/, "").trim())
    .filter((line) => line.startsWith("deb "));
}

function restrict(line: string, suites: ReadonlySet<string>, components: readonly string[]): string[] {
  const match = /^deb (\[[^\]]*\] )?(\S+) (\S+) (.*)$/.exec(line.replace(/\s+/g, " "));
  if (!match) return [];
  const [, options = "", uri, suite = "", found = ""] = match;
  const kept = found.split(" ").filter((component) => components.includes(component));
  return suites.has(suite) && kept.length > 0 ? [`deb ${options}${uri} ${suite} ${kept.join(" ")}`] : [];
}
