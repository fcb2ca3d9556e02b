import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import type { z } from "zod";
import { NetkilnError } from "../../lib/errors.ts";
import { createFile, sha256 } from "../../lib/files.ts";
import { parseAs } from "../../lib/parse.ts";
import type { Descriptor } from "./schema.ts";

/** A manifest or index, byte for byte: its digest is its name. */
export interface RawManifest {
  readonly bytes: Buffer;
  readonly mediaType: string;
  /** `sha256:…` */
  readonly digest: string;
}

/** Somewhere an image can be taken from. Whatever it gives has the digest and the size that were asked for. */
export interface OciSource {
  /** What to call it in messages. */
  readonly name: string;
  /** The manifest or index that the source's own reference means. */
  top(): Promise<RawManifest>;
  manifest(descriptor: Descriptor): Promise<RawManifest>;
  /** Writes a blob to a new file; none is left when it fails. */
  blob(descriptor: Descriptor, file: string): Promise<void>;
}

/** The least that every registry must take is the most that one needs (distribution-spec, "Pushing Manifests"). */
export const maxManifestBytes = 4 * 1024 * 1024;

export function rawManifest(bytes: Buffer, mediaType: string): RawManifest {
  return { bytes, mediaType, digest: `sha256:${sha256(bytes)}` };
}

export function parseDocument<T>(schema: z.ZodType<T>, bytes: Buffer, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new NetkilnError("invalid_input", `${what} is no JSON: ${(error as Error).message}`);
  }
  return parseAs(schema, value, what);
}

/** Throws unless the bytes are those that a digest and, where it is known, a size promise. */
export function verifyBytes(
  bytes: Buffer,
  expected: Pick<Descriptor, "digest"> & { size?: number },
  what: string,
): void {
  const found = `sha256:${sha256(bytes)}`;
  const size = expected.size ?? bytes.length;
  if (found !== expected.digest || size !== bytes.length)
    throw mismatch(what, { ...expected, size }, found, bytes.length);
}

/**
 * Writes a stream to a new file while it is counted and hashed. Throws `invalid_input`, and leaves no file, when it
 * is not what the descriptor promises; reading stops with the first byte too much.
 */
export async function receive(
  stream: AsyncIterable<Uint8Array>,
  expected: Pick<Descriptor, "digest" | "size">,
  file: string,
  what: string,
): Promise<void> {
  const target = await createFile(file);
  try {
    await pipeline(verified(stream, expected, what), target);
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
}

/** Passes a stream on, and fails at its end at the latest when it is not what the descriptor promises. */
export async function* verified(
  stream: AsyncIterable<Uint8Array>,
  expected: Pick<Descriptor, "digest" | "size">,
  what: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > expected.size) throw mismatch(what, expected, undefined, `more than ${expected.size}`);
    hash.update(chunk);
    yield chunk;
  }
  const found = `sha256:${hash.digest("hex")}`;
  if (size !== expected.size || found !== expected.digest) throw mismatch(what, expected, found, size);
}

export function mismatch(
  what: string,
  expected: Pick<Descriptor, "digest" | "size">,
  digest: string | undefined,
  size: number | string,
): NetkilnError {
  const found = digest === undefined ? "" : `, found ${digest}`;
  const problem =
    size === expected.size
      ? `expected ${expected.digest}${found}`
      : `expected ${expected.digest} with ${expected.size} bytes${found} with ${size} bytes`;
  return new NetkilnError("invalid_input", `${what} is not what it should be: ${problem}`, {
    hint: "it was damaged or exchanged on the way or where it is kept; nothing of it is used",
  });
}
