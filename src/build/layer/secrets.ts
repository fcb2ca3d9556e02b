import { closeSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { setImmediate } from "node:timers/promises";
import { NetkilnError } from "../../lib/errors.ts";
import { toBuffer, toText, type BytePath } from "../tree/byte-paths.ts";
import { listTree } from "../tree/list.ts";

/** Where each secret is: `file:/path/on/this/host`. The names and references may be told; what is there may not. */
export type SecretReferences = Readonly<Record<string, string>>;

export interface Secrets {
  readonly values: ReadonlyMap<string, string>;
  /** The text with every secret in it replaced, whole or by the line, also where it stands as base64 or in JSON. */
  mask(text: string): string;
}

/** A shorter one would be found in half of all files, and guessed in no time. */
const shortest = 8;
/** The kernel's limit for a command's argument; a secret is a password or a key, no archive. */
const longest = 128 * 1024;

/** Reads the secrets, now; what they were read from is not remembered. Throws `invalid_input` with every mistake. */
export async function resolveSecrets(references: SecretReferences): Promise<Secrets> {
  const values = new Map<string, string>();
  const problems: { message: string }[] = [];
  for (const [name, reference] of Object.entries(references)) {
    const value = await readSecret(reference).catch((error: unknown) => {
      problems.push({ message: `${name} (${reference}) ${error instanceof Error ? error.message : String(error)}` });
    });
    if (value !== undefined) values.set(name, value);
  }
  if (problems.length > 0) {
    throw new NetkilnError("invalid_input", "not every secret can be read", { problems });
  }
  // The longest first: another may be a part of it.
  const masked = [...values.values()].flatMap(shownForms).sort((a, b) => b.length - a.length);
  return { values, mask: (text) => masked.reduce((done, form) => done.replaceAll(form, "***"), text) };
}

async function readSecret(reference: string): Promise<string> {
  const file = reference.startsWith("file:") ? reference.slice("file:".length) : "";
  if (!isAbsolute(file)) throw new Error("is not of the form file:/path");
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`cannot be read: ${error.code ?? "error"}`);
  });
  // As ansible-vault reads its password files; who edits a file leaves a line end.
  const value = bytes.toString("utf8").replace(/\r?\n$/, "");
  if (!Buffer.from(bytes.toString("utf8"), "utf8").equals(bytes)) throw new Error("is not text: keep it as base64");
  if (value.length < shortest) throw new Error(`is shorter than ${shortest} characters`);
  if (bytes.length > longest) throw new Error(`is longer than ${longest} bytes`);
  return value;
}

/** What goes into a layer's key: where the secrets come from, never what they are. */
export function secretInputs(references: SecretReferences = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(references).map(([name, reference]) => [`secret ${name}`, reference]));
}

/** An error without secrets: its message and output are masked, and what only the log would hold is left out. */
export function maskedError(error: unknown, { mask }: Pick<Secrets, "mask">): unknown {
  if (!(error instanceof NetkilnError)) return error;
  return new NetkilnError(error.code, mask(error.message), {
    hint: error.hint === undefined ? undefined : mask(error.hint),
    problems: error.problems,
    output: error.output.map(mask),
  });
}

/**
 * Looks for the secrets in all that a layer holds: content, names, targets of links and extended attributes. They are
 * found as they are and as base64, not where a program has compressed or encrypted them.
 * Throws `refused` with the path.
 */
export async function refuseSecretsIn(upper: string, { values }: Pick<Secrets, "values">): Promise<void> {
  if (values.size === 0) return;
  const forms = [...values].map(([name, value]) => ({ name, forms: storedForms(value) }));
  const foundIn = (bytes: Buffer) => forms.find((secret) => secret.forms.some((form) => bytes.includes(form)))?.name;
  for (const { path, place, stats, link, xattrs } of await listTree(upper)) {
    const small = Buffer.concat([toBuffer(path), Buffer.from("\0"), toBuffer(link ?? ""), ...xattrs.values()]);
    const found = foundIn(small) ?? (stats.isFile() ? await foundInFile(place, forms, foundIn) : undefined);
    if (found === undefined) continue;
    throw new NetkilnError("refused", `the layer holds the secret ${found}: /${toText(path)}`, {
      hint: "everybody who can fetch the image could read it: bring it to the nodes after they have booted",
    });
  }
}

const readSize = 1 << 20;

async function foundInFile(
  place: BytePath,
  forms: readonly { readonly forms: readonly Buffer[] }[],
  foundIn: (bytes: Buffer) => string | undefined,
): Promise<string | undefined> {
  const overlap = Math.max(...forms.flatMap((secret) => secret.forms.map((form) => form.length))) - 1;
  const bytes = Buffer.allocUnsafe(overlap + readSize);
  const file = openSync(toBuffer(place), "r");
  try {
    // The end of each part is looked at again with the next: a secret may lie across.
    for (let kept = 0; ;) {
      const count = readSync(file, bytes, kept, readSize, null);
      if (count === 0) return undefined;
      const filled = bytes.subarray(0, kept + count);
      const found = foundIn(filled);
      if (found !== undefined) return found;
      kept = Math.min(overlap, filled.length);
      bytes.copyWithin(0, filled.length - kept, filled.length);
      await setImmediate();
    }
  } finally {
    closeSync(file);
  }
}

/** How a secret may stand in a line of a program's output. */
function shownForms(value: string): string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  const texts = [value, ...lines, inJson(value), encodeURIComponent(value)];
  return [...texts, ...base64Forms(Buffer.from(value, "utf8"))].filter((text) => text.length >= shortest);
}

/** How a secret may lie in a file. */
function storedForms(value: string): Buffer[] {
  const bytes = Buffer.from(value, "utf8");
  const texts = new Set([value, inJson(value), ...base64Forms(bytes)]);
  // What is kept as base64, because it is no text, is written as what it means.
  const meant = /^[A-Za-z0-9+/\s]+={0,2}$/.test(value) ? Buffer.from(value, "base64") : Buffer.alloc(0);
  return [...[...texts].map((text) => Buffer.from(text, "utf8")), meant].filter((form) => form.length >= shortest);
}

function inJson(value: string): string {
  return JSON.stringify(value).slice(1, -1);
}

/**
 * The part of a base64 text that is the same whatever stands before and after the bytes, for each of the three ways
 * in which they can lie in groups of three.
 */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const padded = Buffer.concat([Buffer.alloc(before), bytes]);
    const whole = padded.subarray(0, padded.length - (padded.length % 3));
    // Of the first group, the characters that the bytes before take part in.
    return (["base64", "base64url"] as const).map((kind) => whole.toString(kind).slice([0, 2, 3][before]));
  });
}
