import { readFile } from "node:fs/promises";
import { z } from "zod";
import { NetkilnError } from "../lib/errors.ts";
import { readPublicKeys, verifySignature } from "./signature.ts";
import type { Image } from "./types.ts";

/** What of an in-toto statement tells which files it is about. */
const statementSchema = z.object({
  subject: z.array(z.object({ name: z.string(), digest: z.object({ sha256: z.string() }) })),
});

/**
 * Throws `refused` unless a key that is accepted has signed for this image: for its provenance, and this names exactly
 * the files that the image's record has. `keys` is the folder of the public keys; `path` tells where a blob is.
 */
export async function requireVouched(image: Image, keys: string, path: (digest: string) => string): Promise<void> {
  const { name, id, documents } = image;
  const refuse = (reason: string) =>
    new NetkilnError("refused", `image ${name} (${id}) is not used: ${reason}`, { hint: "build it again" });
  const read = async (file: string) => {
    const digests = documents[file];
    const text = digests && (await readFile(path(digests.sha256)).catch(() => undefined));
    if (text === undefined) throw refuse(`its ${file} is missing`);
    return text;
  };
  const provenance = await read("provenance.json");
  const signature = (await read("provenance.json.minisig")).toString("utf8");
  await verifySignature(await readPublicKeys(keys), provenance, signature).catch((error: unknown) => {
    throw error instanceof NetkilnError ? refuse(error.message) : error;
  });
  const { subject } = statementSchema.parse(JSON.parse(provenance.toString("utf8")));
  const signed = new Map(subject.map((entry) => [entry.name, entry.digest.sha256]));
  for (const [artifact, { sha256 }] of Object.entries(image.artifacts)) {
    const file = artifact === "manifest" ? "manifest.json" : artifact;
    if (signed.get(file) !== sha256) throw refuse(`its ${file} is not the one that was signed`);
  }
}
