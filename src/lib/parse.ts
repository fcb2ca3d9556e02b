import type { z } from "zod";
import { NetkilnError } from "./errors.ts";
import { countOf } from "./text.ts";
import { formatPath } from "./yaml.ts";

/** Checks foreign data that has no file behind it, such as a request; throws one `invalid_input` with every mistake. */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => ({
    message: path.length === 0 ? message : `${formatPath(path)}: ${message}`,
  }));
  const text = problems.length === 1 ? problems[0]?.message : `it has ${countOf(problems.length, "mistake")}`;
  throw new NetkilnError("invalid_input", `${what} is not valid: ${text}`, { problems });
}
