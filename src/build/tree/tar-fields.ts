import { isUtf8 } from "node:buffer";
import type { ByteReader } from "../../lib/byte-reader.ts";
import type { BytePath } from "./byte-paths.ts";

/** What is wrong with an archive, without its name and without the place. */
export class TarFault extends Error {
  readonly truncated: boolean;

  constructor(message: string, { truncated = false } = {}) {
    super(message);
    this.truncated = truncated;
  }
}

/** Of an extended header, a long name or a map; Linux allows 4 KiB for a path and 64 KiB for an attribute. */
export const largestMetadata = 1024 * 1024;

/** The next bytes, which are `what` of an archive; there have to be as many. */
export async function takeAll(bytes: ByteReader, size: number, what: string): Promise<Buffer> {
  const found = await bytes.read(size);
  if (found.length < size) throw new TarFault(`${what} is cut off`, { truncated: true });
  return found;
}

/** A name in a field of fixed size: up to the first zero byte. */
export function nameIn(field: Buffer): BytePath {
  const end = field.indexOf(0);
  return field.toString("latin1", 0, end === -1 ? field.length : end);
}

/**
 * Octal digits, or a big-endian number behind a first byte of 0x80, as GNU tar writes what needs more digits.
 * Undefined for what is neither.
 */
export function numberIn(field: Buffer): number | undefined {
  if (field[0] === 0x80) return Number(`0x${field.toString("hex", 1)}`);
  // oxlint-disable-next-line eslint/no-control-regex -- fields of numbers end with a zero byte or a space
  const digits = /^ *([0-7]+)[ \0]*$/.exec(field.toString("latin1"))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 8);
}

/** A number as extended headers have it; `what` it says is for the message. */
export function decimal(digits: string, what: string): number {
  const value = /^(0|[1-9]\d*)$/.test(digits) ? Number(digits) : NaN;
  if (!Number.isSafeInteger(value)) throw new TarFault(`it has a malformed ${what}: ${JSON.stringify(digits)}`);
  return value;
}

/** Of a file with holes: once for each piece. */
const repeated = new Set(["GNU.sparse.offset", "GNU.sparse.numbytes"]);

/** Keys and values of an extended header in their order: `LENGTH KEY=VALUE\n`; LENGTH counts all of the record. */
export function paxRecords(content: Buffer): (readonly [key: string, value: Buffer])[] {
  const records: (readonly [key: string, value: Buffer])[] = [];
  const seen = new Set<string>();
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(" ", at);
    const end = at + decimal(content.toString("latin1", at, space === -1 ? at : space), "length of a record");
    const equals = content.indexOf("=", space);
    if (end > content.length || content[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw new TarFault("it has a malformed extended header");
    }
    const key = keyIn(content.subarray(space + 1, equals));
    if (seen.has(key) && !repeated.has(key)) throw new TarFault(`an extended header has ${key} twice`);
    seen.add(key);
    records.push([key, content.subarray(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

function keyIn(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new TarFault(`the name ${JSON.stringify(bytes.toString("latin1"))} is not UTF-8`);
  const key = bytes.toString("utf8");
  // GNU tar passes over any number of blanks before the key, and sees no further than a zero byte.
  if (/^[ \t]/.test(key) || key.includes("\0")) throw new TarFault("it has a malformed extended header");
  return key;
}
