import { Environment } from "minijinja-js";
import { NetkilnError } from "./errors.ts";

/** Runaway templates stop here; a boot file of a few kilobytes uses some hundreds. */
const fuel = 100_000;

/**
 * Characters. A few thousand chained operators (8000 minus signs, 6000 "|x") overflow the stack of the engine's
 * WebAssembly, and every later rendering of the process fails with it; at this length no chain is long enough, and a
 * kernel command line is at most 4096 bytes, too.
 */
const maxTemplateLength = 4096;

/**
 * Renders one Jinja2 string. Undefined variables are mistakes here; plain Jinja2 renders them as nothing.
 * Throws `invalid_input` with the engine's own words.
 */
export function renderTemplate(text: string, variables: Readonly<Record<string, unknown>>): string {
  if (!/\{[{%#]/.test(text)) return text;
  if (text.length > maxTemplateLength) {
    throw new NetkilnError(
      "invalid_input",
      `a template can have ${maxTemplateLength} characters, and this one has ${text.length}`,
    );
  }
  try {
    return openEnvironment(fuel).renderStr(text, variables);
  } catch (error) {
    throw new NetkilnError("invalid_input", firstLine(error), { detail: error });
  }
}

/** A file may be long where each of its tags is short; every step of the engine in it costs one. */
const fileFuel = 5_000_000;
const maxFileLength = 1024 * 1024;
/** Blocks inside each other; the engine descends into them as it does into chained operators. */
const maxDepth = 32;

/** Renders a whole file as renderTemplate does a string; the mistake in it is a problem with its line. */
export function renderTemplateFile(text: string, variables: Readonly<Record<string, unknown>>, file: string): string {
  const fail = (message: string, line?: number): never => {
    throw new NetkilnError("invalid_input", `${file}: ${message}`, {
      problems: [{ file, ...(line !== undefined && { line }), message }],
    });
  };
  if (text.length > maxFileLength) fail(`a template file can have ${maxFileLength} characters`);
  let depth = 0;
  for (const { 0: tag, index } of text.matchAll(/\{[{%][\s\S]*?(?:[%}]\}|$)/g)) {
    const line = () => text.slice(0, index).split("\n").length;
    if (tag.length > maxTemplateLength) fail(`a tag of a template can have ${maxTemplateLength} characters`, line());
    if (/^\{%[-+]?\s*(if|for|with|filter|macro|call|set|block|autoescape)\b/.test(tag)) depth += 1;
    if (/^\{%[-+]?\s*end/.test(tag)) depth -= 1;
    if (depth > maxDepth) fail(`more than ${maxDepth} blocks stand inside each other`, line());
  }
  try {
    return openEnvironment(fileFuel).renderStr(text, variables);
  } catch (error) {
    const [, message = firstLine(error), line] = /^(.*) \(in <string>:(\d+)\)$/.exec(firstLine(error)) ?? [];
    return fail(message, line === undefined ? undefined : Number(line));
  }
}

function openEnvironment(steps: number): Environment {
  const environment = new Environment();
  environment.enablePyCompat();
  environment.undefinedBehavior = "strict";
  environment.fuel = steps;
  return environment;
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n")[0] ?? message;
}
