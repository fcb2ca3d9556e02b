/** What a run leaves behind for other programs: its report, and the files of --save-files. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Option } from "commander";
import type { Payload, Run, RunItem } from "../bootprep/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import type { Output } from "./output.ts";
import { yamlLines } from "./yaml-file.ts";

const formats = ["pretty", "yaml", "json"] as const;
export type Format = (typeof formats)[number];

export function formatOption(): Option {
  return new Option("--format <format>", "what to print at the end").choices(formats).default("pretty");
}

export function outputFolderOption(): Option {
  return new Option("-o, --output-dir <folder>", "where files are written").default(".", "this folder");
}

/** Goes to standard output alone, so that a program can read it. */
export async function printAs(format: Exclude<Format, "pretty">, value: unknown, output: Output): Promise<void> {
  output.print(format === "json" ? JSON.stringify(value, null, 2) : await yamlLines(value));
}

/** For what is told beside a report: it goes to standard error. */
export function besideReport(output: Output): Output {
  return { ...output, terminal: false, color: false, print: (text) => output.warn(text), status: () => {} };
}

type Row = Readonly<Record<string, unknown>>;

/** What was made and what was skipped, in the words of sat's report. */
export function reportOf({ items }: Run): Readonly<Record<string, readonly Row[]>> {
  const rows = (section: RunItem["section"], row: (item: RunItem) => Row) => {
    const all = items.filter((item) => item.section === section && item.state !== "failed");
    const skipped = all.filter(({ action }) => action === "skip");
    return { made: all.filter((item) => !skipped.includes(item)).map(row), skipped: skipped.map(row) };
  };
  const configurations = rows("configuration", ({ name }) => ({ name }));
  const images = rows("image", ({ name, image, configuration, groups }) => ({
    name,
    // No image is kept of before it was configured.
    preconfigured_image_id: null,
    final_image_id: image ?? null,
    configuration: configuration ?? null,
    configuration_group_names: groups ?? null,
  }));
  const templates = rows("session_template", ({ name, configuration }) => ({
    name,
    configuration: configuration ?? null,
  }));
  const sections = {
    configurations: configurations.made,
    skipped_configurations: configurations.skipped,
    images: images.made,
    skipped_images: images.skipped,
    session_templates: templates.made,
    skipped_session_templates: templates.skipped,
  };
  return Object.fromEntries(Object.entries(sections).filter(([, found]) => found.length > 0));
}

const filePrefixes = { configuration: "cfs-configuration", session_template: "bos-session-template" } as const;

/** As sat names them, so that no name leads out of the folder. */
export function payloadFileName({ section, name }: Pick<Payload, "section" | "name">): string {
  const plain = name
    .trim()
    .toLowerCase()
    .replaceAll(/[()]/g, "")
    .replaceAll(/[\s/]+/g, "-");
  return `${filePrefixes[section]}-${plain}.json`;
}

/** Writes what a client would send to CFS and BOS, one file for each; returns their paths. */
export async function savePayloads(payloads: readonly Payload[], folder: string): Promise<readonly string[]> {
  const files = payloads.map((payload) => ({ file: join(folder, payloadFileName(payload)), payload }));
  const taken = new Map<string, string>();
  for (const { file, payload } of files) {
    const other = taken.get(file);
    if (other !== undefined) {
      const both = `${other} and ${payload.name}`;
      throw new NetkilnError("invalid_input", `the files of ${both} would both be ${file}`, {
        hint: "give one of them another name",
      });
    }
    taken.set(file, payload.name);
  }
  await mkdir(folder, { recursive: true }).catch(refuseToWrite(folder));
  for (const { file, payload } of files) {
    await writeFile(file, `${JSON.stringify(payload.body, null, 4)}\n`).catch(refuseToWrite(file));
  }
  return files.map(({ file }) => file);
}

export function refuseToWrite(path: string) {
  return (error: NodeJS.ErrnoException): never => {
    const reason = error.code === "EEXIST" ? "is there already" : `cannot be written (${error.code})`;
    throw new NetkilnError("invalid_input", `${path} ${reason}`);
  };
}
