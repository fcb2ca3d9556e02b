import assert from "node:assert/strict";
import { NetkilnError } from "./errors.ts";

/** For tests: what the work fails with; it has to be a failure that is told to an operator. */
export async function failureOf(work: Promise<unknown>): Promise<NetkilnError> {
  const error = await work.then(
    () => assert.fail("it did not fail"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof NetkilnError, String(error));
  return error;
}
