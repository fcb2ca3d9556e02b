import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { NetkilnError } from "../lib/errors.ts";

/** The option that goes with `readSecret`. */
export const secretFileOption = [
  "--password-file <file>",
  "read the password from a file; - is the standard input",
] as const;

/**
 * A password from a file, from standard input, or typed at a terminal: never from the command line, where others on the
 * machine see it, and a shell's history keeps it.
 */
export async function readSecret(file: string | undefined, prompts: readonly string[]): Promise<string> {
  const isTyped = file === undefined && process.stdin.isTTY;
  const secret = isTyped ? await typed(prompts) : await fromFile(file ?? "-");
  if (secret !== "") return secret;
  throw new NetkilnError("invalid_input", "the password is empty");
}

async function fromFile(file: string): Promise<string> {
  const content =
    file === "-"
      ? await text(process.stdin)
      : await readFile(file, "utf8").catch(() => {
          throw new NetkilnError("invalid_input", `${file} cannot be read`);
        });
  return content.replace(/\r?\n$/, "");
}

/** The same has to be typed at each prompt. */
async function typed(prompts: readonly string[]): Promise<string> {
  const [first = "", ...more] = prompts;
  const secret = await ask(first);
  for (const prompt of more) {
    if ((await ask(prompt)) !== secret) throw new NetkilnError("invalid_input", "the passwords differ");
  }
  return secret;
}

async function ask(prompt: string): Promise<string> {
  process.stderr.write(prompt);
  // Readline takes the terminal's echo away, and what it would show itself goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  const interrupted = new AbortController();
  lines.on("SIGINT", () => interrupted.abort());
  try {
    return await lines.question("", { signal: interrupted.signal });
  } catch {
    throw new NetkilnError("invalid_input", "no password was typed");
  } finally {
    lines.close();
    process.stderr.write("\n");
  }
}
