import type { Command } from "commander";
import type { FileChange, ImageDiff, InventoryUnit, UnitChange } from "../image/index.ts";
import type { OpenSession } from "./command.ts";
import { formatBytes, printJson, printTable, type Output } from "./output.ts";

/** Rows of one table; the rest is counted. */
const shownRows = 40;

/** Adds `images diff A B` to the noun. */
export function addImagesDiff(images: Command, open: OpenSession): void {
  const diff = images.command("diff <from> <to>").description("what is different in the second of two images");
  diff.option("--all", `print long lists whole instead of their first ${shownRows} lines`);
  diff.addHelpText("after", "\nExample:\n  netkiln images diff compute-1.0.0 compute-1.1.0");
  diff.action(async (from: string, to: string, { all }: { all?: boolean }) => {
    const { client, output } = open(diff);
    const found = await client.get<ImageDiff>(`/images/${encodeURIComponent(from)}/diff/${encodeURIComponent(to)}`);
    if (output.json) printJson(output, found);
    else for (const line of renderImageDiff(found, all === true ? Infinity : shownRows)) output.print(line);
  });
}

/** The difference as lines for people, at most 100 columns wide; of each list at most `rows`, then a count. */
export function renderImageDiff(diff: ImageDiff, rows: number = shownRows): string[] {
  const { packages, files, units, sysctl, privileges, sizes } = diff;
  const tables: Table[] = [
    {
      title: "packages",
      header: ["", "PACKAGE", "FROM", "TO"],
      rows: [
        ...packages.changed.map(({ name, arch, from, to }) => ["~", withArch(name, arch), from, to]),
        ...packages.added.map(({ name, arch, version }) => ["+", withArch(name, arch), "", version]),
        ...packages.removed.map(({ name, arch, version }) => ["-", withArch(name, arch), version, ""]),
      ],
    },
    {
      title: "privileges of programs",
      header: ["", "FILE", "FROM", "TO"],
      rows: privileges.map(valueRow),
    },
    {
      title: "units",
      header: ["", "UNIT", "FROM", "TO"],
      rows: units.map((unit) => [signOfUnit[unit.change], unit.name, unitText(unit.from), unitText(unit.to)]),
    },
    {
      title: "kernel parameters",
      header: ["", "PARAMETER", "FROM", "TO"],
      rows: sysctl.map(valueRow),
    },
    {
      title: "files",
      header: ["", "FILE", "WHAT"],
      rows: [
        ...files.changed.map((change) => ["~", change.path, changeText(change)]),
        ...files.added.map(({ path, kind, size }) => ["+", path, kindText(kind, size)]),
        ...files.removed.map(({ path, kind, size }) => ["-", path, kindText(kind, size)]),
      ],
    },
  ];
  const lines = [`${nameOf(diff.from)} -> ${nameOf(diff.to)}`];
  for (const table of tables) if (table.rows.length > 0) lines.push("", ...tableLines(table, rows));
  if (lines.length === 1) lines.push("", "no packages, files, units, kernel parameters or privileges differ");
  const sizeRows = sizes.map(({ name, from, to, same }) => [
    name,
    sizeText(from),
    sizeText(to),
    growth(from, to, same),
  ]);
  return [...lines, "", ...tableLines({ header: ["SIZE OF", "FROM", "TO", ""], rows: sizeRows }, Infinity)];
}

interface Table {
  readonly title?: string;
  readonly header: readonly string[];
  /** With a title, the first column says whether something came (+), went (-) or changed (~). */
  readonly rows: readonly (readonly string[])[];
}

function tableLines({ title, header, rows }: Table, limit: number): string[] {
  const lines: string[] = [];
  const output: Output = {
    json: false,
    terminal: false,
    color: false,
    print: (text) => lines.push(text),
    warn: () => undefined,
    status: () => undefined,
  };
  if (title !== undefined) lines.push(`${title}: ${counts(rows)}`);
  const shown = rows.slice(0, limit).map((row) => row.map(printable));
  printTable(output, header, shown);
  if (rows.length > limit) lines.push(`… and ${rows.length - limit} more (--all shows them)`);
  return lines;
}

/** Names come from the images: a terminal must not take one for a command to it. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

function counts(rows: Table["rows"]): string {
  const words = { "~": "changed", "+": "added", "-": "removed" };
  return Object.entries(words)
    .map(([sign, word]) => [rows.filter((row) => row[0] === sign).length, word] as const)
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}`)
    .join(", ");
}

function nameOf({ name, id }: ImageDiff["from"]): string {
  return `${name} (${id.slice(0, 8)})`;
}

function withArch(name: string, arch: string | undefined): string {
  return arch === undefined ? name : `${name}:${arch}`;
}

function valueRow({ name, from, to }: { name: string; from?: string; to?: string }): string[] {
  return [from === undefined ? "+" : to === undefined ? "-" : "~", name, from ?? "", to ?? ""];
}

/** What a node starts from now on, and what no longer. */
const signOfUnit = { enabled: "+", disabled: "-", changed: "~" } as const satisfies Record<
  UnitChange["change"],
  string
>;

function unitText(unit: InventoryUnit | undefined): string {
  if (unit === undefined) return "";
  const { state, wantedBy, preset } = unit;
  const by = [...wantedBy, ...(preset === undefined ? [] : ["preset"])];
  return by.length === 0 ? state : `${state} (${by.join(", ")})`;
}

function changeText({ aspects, from, to }: FileChange): string {
  const text = {
    kind: `${from.kind} -> ${to.kind}`,
    content: from.size === to.size ? "content" : `content (${sizeText(from.size)} -> ${sizeText(to.size)})`,
    link: `link to ${from.target ?? ""} -> ${to.target ?? ""}`,
    mode: `mode ${from.mode} -> ${to.mode}`,
    owner: `owner ${from.uid}:${from.gid} -> ${to.uid}:${to.gid}`,
    capabilities: `capabilities ${from.capabilities ?? "none"} -> ${to.capabilities ?? "none"}`,
    attributes: "extended attributes",
    device: `device ${from.device ?? ""} -> ${to.device ?? ""}`,
  };
  return aspects.map((aspect) => text[aspect]).join(", ");
}

function kindText(kind: string, size: number | undefined): string {
  return size === undefined ? kind : sizeText(size);
}

function sizeText(bytes: number | undefined): string {
  return bytes === undefined ? "" : formatBytes(bytes);
}

function growth(from: number | undefined, to: number | undefined, same: boolean): string {
  if (same) return "the same";
  if (from === undefined) return "new";
  if (to === undefined) return "gone";
  const by = to - from;
  return by === 0 ? "other bytes" : `${by < 0 ? "-" : "+"}${formatBytes(Math.abs(by))}`;
}
