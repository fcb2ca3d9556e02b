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
  const environment = new Environment();
  environment.enablePyCompat();
  environment.undefinedBehavior = "strict";
  environment.fuel = fuel;
  try {
    return environment.renderStr(text, variables);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new NetkilnError("invalid_input", message.split("\n")[0] ?? message, { detail: error });
  }
}
