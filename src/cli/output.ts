import { styleText } from "node:util";
import { errorCodes, formatProblem, type NetkilnError } from "../lib/errors.ts";

/** Where a command prints, and how; a test can take it in. */
export interface Output {
  /** Objects of the API and nothing else. */
  readonly json: boolean;
  readonly terminal: boolean;
  readonly color: boolean;
  print(text: string): void;
  warn(text: string): void;
  /** Shows a line that the next one replaces; nothing where there is no terminal. */
  status(text: string): void;
}

export function openOutput(json: boolean, color: boolean): Output {
  const terminal = process.stdout.isTTY === true && !json;
  let shown = false;
  const clear = () => {
    if (shown) process.stdout.write("\r\x1b[K");
    shown = false;
  };
  return {
    json,
    terminal,
    color: terminal && color,
    print: (text) => {
      clear();
      process.stdout.write(`${text}\n`);
    },
    warn: (text) => {
      clear();
      process.stderr.write(`${text}\n`);
    },
    status: (text) => {
      if (!terminal) return;
      const width = (process.stdout.columns ?? 80) - 1;
      process.stdout.write(`\r\x1b[K${text.slice(0, width)}`);
      shown = true;
    },
  };
}

type Style = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

export function paint(output: Output, style: Style, text: string): string {
  return output.color ? styleText(style, text, { validateStream: false }) : text;
}

export function printJson(output: Output, value: unknown): void {
  output.print(JSON.stringify(value, null, 2));
}

const tableWidth = 100;

/** A table for people, at most 100 columns wide: the widest cells of the last columns are cut. */
export function printTable(output: Output, header: readonly string[], rows: readonly (readonly string[])[]): void {
  if (rows.length === 0) {
    output.print("nothing found");
    return;
  }
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const total = () => widths.reduce((sum, width) => sum + width + 2, -2);
  while (total() > tableWidth) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = Math.max((widths[widest] ?? 0) - (total() - tableWidth), 8);
    if (widths.every((width) => width <= 8)) break;
  }
  const format = (row: readonly string[]) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return (cell.length > width ? `${cell.slice(0, width - 1)}…` : cell).padEnd(width);
      })
      .join("  ")
      .trimEnd();
  output.print(paint(output, "bold", format(header)));
  for (const row of rows) output.print(format(row));
}

/** `key: value` lines with the values in one column. */
export function printFields(output: Output, fields: readonly (readonly [string, string | undefined])[]): void {
  const shown = fields.filter((field): field is [string, string] => field[1] !== undefined && field[1] !== "");
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  for (const [name, value] of shown) output.print(`${`${name}:`.padEnd(width + 1)} ${value}`);
}

/** Prints a failure for the operator and returns the exit code. */
export function printError(output: Output, error: NetkilnError): number {
  if (output.json) {
    const { code, message, hint, problems } = error;
    output.warn(JSON.stringify({ code, message, hint, problems, output: error.output }, null, 2));
  } else {
    for (const problem of error.problems) output.warn(formatProblem(problem));
    for (const line of error.output) output.warn(`  ${line}`);
    output.warn(`${paint(output, "red", "error:")} ${error.message}`);
    if (error.hint !== undefined) output.warn(`${paint(output, "cyan", "hint:")} ${error.hint}`);
  }
  return errorCodes[error.code].exit;
}

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${String(Math.round(seconds % 60)).padStart(2, "0")} s`;
}
