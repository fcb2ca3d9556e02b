import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { BlobStore } from "../../artifact/index.ts";
import type { LayerStore } from "../../build/index.ts";
import { NetkilnError } from "../../lib/errors.ts";

type Digest = { Params: { digest: string } };

/**
 * Files that are too large for a request in memory, such as root trees made elsewhere: they are written to the disk as
 * they come, and are blobs once all of them is there. Without a reference from an image or a recipe, the next clean-up
 * of the store removes them.
 */
export function registerBlobs(
  app: FastifyInstance,
  { blobs, layers }: { readonly blobs: BlobStore; readonly layers: Pick<LayerStore, "withWorkFolder"> },
): void {
  const base = "/apis/netkiln/v1/blobs";
  app.addContentTypeParser("application/octet-stream", async (_request: unknown, body: Readable) => body);

  app.get<Digest>(`${base}/:digest`, async ({ params: { digest } }) => {
    const found = /^[0-9a-f]{64}$/.test(digest) ? await stat(blobs.path(digest)).catch(() => undefined) : undefined;
    if (found === undefined) throw new NetkilnError("not_found", `there is no blob "${digest}"`);
    return { sha256: digest, size: found.size };
  });

  app.post(base, { bodyLimit: Number.MAX_SAFE_INTEGER }, async ({ body, headers }, reply) => {
    if (!(body instanceof Readable)) {
      throw new NetkilnError("invalid_input", "a file is sent as it is (content-type: application/octet-stream)");
    }
    const wanted = contentDigest(headers["content-digest"]);
    const taken = await layers.withWorkFolder(async (folder) => {
      const file = join(folder, "upload");
      const { sha256, size } = await receive(body, file);
      if (wanted !== undefined && wanted !== sha256) {
        throw new NetkilnError("invalid_input", `${size} bytes came with the sha256 ${sha256}, not ${wanted}`, {
          hint: "the file was changed while it was sent, or on the way; send it again",
        });
      }
      return blobs.putFile(file);
    });
    return reply.code(201).send({ sha256: taken.sha256, size: taken.size });
  });
}

async function receive(body: Readable, file: string): Promise<{ sha256: string; size: number }> {
  const sha256 = createHash("sha256");
  let size = 0;
  const handle = await open(file, "wx");
  try {
    // Whoever sends would see a closed connection, and not why, if a failure ended this stream.
    for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      await handle.writeFile(chunk);
      sha256.update(chunk);
      size += chunk.length;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
    throw new NetkilnError("invalid_input", `the sender stopped after ${size} bytes; nothing was kept`);
  } finally {
    await handle.close();
  }
  return { sha256: sha256.digest("hex"), size };
}

/** RFC 9530: `sha-256=:BASE64:`, among others. */
function contentDigest(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  const [, encoded = ""] = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):/.exec(String(header)) ?? [];
  const digest = Buffer.from(encoded, "base64");
  if (digest.length === 32) return digest.toString("hex");
  throw new NetkilnError("invalid_input", "the header content-digest has no sha-256", {
    hint: "write it as RFC 9530 does: sha-256=:BASE64:",
  });
}
