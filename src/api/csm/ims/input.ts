import { z } from "zod";
import { NetkilnError } from "../../../lib/errors.ts";
import { answer, operation, type Answer, type Asked, type Operation, type ServiceProblem } from "../../service.ts";
import { plainProblem } from "../../service.ts";

const nothing =
  "No input provided. Determine the specific information that is missing or invalid and then re-run the request with " +
  "valid information.";
const invalid =
  "Input data was understood, but failed validation. Re-run request with valid input values for the fields indicated " +
  "in the response.";
const absent = "Requested resource does not exist. Re-run request with valid ID.";
const conflict = "Requested resource could not be patched due to conflict.";

/** An operation with a body; IMS calls an empty one, or one of an empty object, no input. */
export function inputOperation<Input>(
  { id, method, path }: Pick<Operation, "id" | "method" | "path">,
  schema: z.ZodType<Input>,
  run: (asked: Asked<unknown, Input>) => Promise<Answer>,
): Operation {
  return operation({
    ...{ id, method, path },
    body: z.unknown(),
    run: async (asked) => run({ ...asked, body: readInput(schema, asked.body) }),
  });
}

function readInput<Input>(schema: z.ZodType<Input>, body: unknown): Input {
  if (isNothing(body)) throw new NetkilnError("invalid_input", nothing);
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap(problemsOf).map((message) => ({ message }));
  throw new NetkilnError("invalid_input", invalid, { problems });
}

function isNothing(body: unknown): boolean {
  if (typeof body !== "object" || body === null) return !body;
  return Object.keys(body).length === 0;
}

/** As `MEMBER: TEXT`, in the words of marshmallow, with which IMS reads its input. */
function problemsOf(issue: z.core.$ZodIssue): string[] {
  const [member = "_schema"] = issue.path;
  if (issue.code === "unrecognized_keys" && issue.path.length === 0) {
    return issue.keys.map((key) => `${key}: Unknown field.`);
  }
  if (issue.code === "invalid_type" && issue.message.endsWith("received undefined")) {
    return [`${String(member)}: Missing data for required field.`];
  }
  if (issue.code === "invalid_value") return [`${String(member)}: Must be one of: ${issue.values.join(", ")}.`];
  const within = issue.path.slice(1).join(".");
  return [`${String(member)}: ${within === "" ? "" : `${within}: `}${issue.message}`];
}

/** A resource that is not there; IMS does not say which. */
export function notThere(): NetkilnError {
  return new NetkilnError("not_found", absent);
}

/** Words a failure as IMS does. */
export function imsProblem(error: NetkilnError): ServiceProblem {
  switch (error.code) {
    case "invalid_input":
      if (error.problems.length === 0) return plain(400, "Bad Request", error.message);
      return { ...plain(422, "Unprocessable Entity", invalid), errors: errorsOf(error) };
    case "not_found":
      return plain(404, "Not Found", error.message);
    // An image that is in use is not deleted here.
    case "refused":
      return plain(409, "Conflict", error.message);
    case "conflict":
      return plain(409, "Conflict", `${conflict} ${error.message}`);
    default:
      return plainProblem(error);
  }
}

function plain(status: number, title: string, detail: string): ServiceProblem {
  return { status, title, detail };
}

/** What is wrong by the member that it is about. */
function errorsOf({ problems }: NetkilnError): Record<string, string[]> {
  // Members are named by whoever sends them: "constructor" is none of an empty map, but would be of an empty object.
  const errors = new Map<string, string[]>();
  for (const { message } of problems) {
    const [, member = "_schema", text = message] = /^(\w+): (.*)$/s.exec(message) ?? [];
    errors.set(member, [...(errors.get(member) ?? []), text]);
  }
  return Object.fromEntries(errors);
}

export const noContent = answer(204);
