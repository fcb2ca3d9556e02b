import { NetkilnError } from "../../lib/errors.ts";

export interface ToolWords {
  readonly tool: string;
  /** Lines that say nothing of the cause. */
  readonly noise: RegExp;
  /** The line that says the cause best, by the first pattern that finds one; the first group is what is shown. */
  readonly causes: readonly RegExp[];
  /** Causes that the recipe's author can mend. */
  readonly mistakes: RegExp;
}

/** Puts what dnf or zypper gave as the cause into the message, where else there would only be an exit code. */
export function explainRpmFailure(error: unknown, words: ToolWords): unknown {
  if (!(error instanceof NetkilnError) || error.code !== "work_failed") return error;
  const output = error.output.filter((line) => line.trim() !== "" && !words.noise.test(line)).slice(-20);
  const found = words.causes.flatMap((pattern) => {
    const match = output.map((line) => pattern.exec(line)).find(Boolean);
    return match ? [match[1] ?? match[0]] : [];
  });
  const cause = found[0];
  if (cause === undefined) return error;
  const hint = words.mistakes.test(output.join("\n"))
    ? "correct recipe.yaml and import it again, or add the repository that has what is missing"
    : error.hint;
  return new NetkilnError(error.code, `${words.tool} failed: ${cause}`, { output, hint, detail: error });
}
