import { Readable } from "node:stream";
import type { Answer } from "./service.ts";

/** Rows that are read, printed and sent at a time. */
const rowsPerPage = 1000;

type Read<Row> = (page: { after: string | undefined; limit: number }) => Promise<readonly Row[]>;

/**
 * A list of any length as one JSON document: rows are read as they are sent. The first page is read before, so that
 * what is wrong with the question is an answer of its own.
 * @param around what stands before and behind the list, such as `{"Components":` and `}`
 * @param lead what stands in the list before the rows
 */
export async function streamList<Row>(
  read: Read<Row>,
  keyOf: (row: Row) => string,
  print: (row: Row) => unknown,
  [before, behind]: readonly [string, string] = ["", ""],
  lead: readonly unknown[] = [],
): Promise<Answer> {
  const first = await read({ after: undefined, limit: rowsPerPage });
  async function* parts() {
    yield `${before}[`;
    yield* rowTexts(read, keyOf, print, { first, lead });
    yield `]${behind}`;
  }
  return jsonParts(parts());
}

/** The rows of a list, with commas between them; for documents of several lists. */
export async function* rowTexts<Row>(
  read: Read<Row>,
  keyOf: (row: Row) => string,
  print: (row: Row) => unknown,
  { first, lead = [] }: { first?: readonly Row[]; lead?: readonly unknown[] } = {},
): AsyncGenerator<string> {
  let last = first ?? (await read({ after: undefined, limit: rowsPerPage }));
  let text = [...lead, ...last.map(print)].map((row) => JSON.stringify(row)).join(",");
  while (text !== "") {
    yield text;
    if (last.length < rowsPerPage) return;
    const end = last.at(-1);
    last = await read({ after: end && keyOf(end), limit: rowsPerPage });
    text = last.map((row) => `,${JSON.stringify(print(row))}`).join("");
  }
}

export function jsonParts(parts: AsyncIterable<string>): Answer {
  return { status: 200, body: Readable.from(parts), type: "application/json" };
}
