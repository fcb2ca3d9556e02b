import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { BlobStore } from "../../artifact/index.ts";
import { allSteps, type Build, type BuildPlan, type Started, type WantedImage } from "../../build/index.ts";
import { imageDiff, parseInventory, type Image, type ImageStore } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import { imageImportSchema, type ImageImport } from "./image-import-schema.ts";

/** What is done to make, take apart and compare images. */
export interface ImageWorkParts {
  readonly images: ImageStore;
  readonly blobs: BlobStore;
  readonly work: {
    start(wanted: WantedImage): Promise<Started>;
    plan(wanted: WantedImage): Promise<BuildPlan>;
    /** `warnings`: what an operator should know of the boot files that came along. */
    importImage(wanted: ImageImport): Promise<{ readonly started: Started; readonly warnings: readonly string[] }>;
    verify(image: Image): Promise<Build>;
    exportArchive(image: Image): Promise<Readable>;
    push(image: Image, reference: string): Promise<void>;
  };
}

const outputs = ["squashfs", "erofs", "cpio.gz", "cpio.zst", "verity", "oci"] as const;

const wantedSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "must be letters, digits and . _ -, at most 100"),
  recipe: z.string().optional(),
  image: z.string().optional(),
  configuration: z.string().optional(),
  groups: z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no name of an Ansible group")).optional(),
  outputs: z.array(z.enum(outputs)).min(1).optional(),
  extra_vars: z.record(z.string(), z.unknown()).optional(),
  ansible_passthrough: z.string().optional(),
  secrets: z.record(z.string(), z.string()).optional(),
});
const pushSchema = z.strictObject({ reference: z.string().startsWith("docker://", "must be docker://HOST/NAME:TAG") });

type Named = { Params: { name: string } };

export function registerImageWork(app: FastifyInstance, { images, blobs, work }: ImageWorkParts): void {
  const base = "/apis/netkiln/v1";
  const find = async (name: string): Promise<Image> => {
    const image = await images.findImage(name);
    if (image !== undefined) return image;
    throw new NetkilnError("not_found", `there is no image "${name}"`);
  };

  app.post(`${base}/builds`, { config: { body: wantedSchema } }, async ({ body }, reply) =>
    reply.code(201).send(startedText(await work.start(wanted(body)))),
  );
  app.post(`${base}/builds/plan`, { config: { body: wantedSchema } }, async ({ body }) => {
    const plan = await work.plan(wanted(body));
    const steps = allSteps(plan).map(({ kind, title, state, why, expectedSeconds }) => ({
      ...{ kind, title, state, why, expectedSeconds },
    }));
    return { name: plan.name, steps };
  });
  app.post(`${base}/images/import`, { config: { body: imageImportSchema } }, async ({ body }, reply) => {
    const { started, warnings } = await work.importImage(parseAs(imageImportSchema, body, "the image"));
    return reply.code(201).send({ ...startedText(started), warnings });
  });
  app.post<Named>(`${base}/images/:name/verify`, async ({ params }, reply) =>
    reply.code(201).send({ build: await work.verify(await find(params.name)) }),
  );
  app.get<{ Params: { name: string; other: string } }>(`${base}/images/:name/diff/:other`, async ({ params }) => {
    const [from, to] = [await find(params.name), await find(params.other)];
    return imageDiff(await describedImage(from, blobs), await describedImage(to, blobs));
  });
  app.get<{ Params: { name: string; file: string } }>(
    `${base}/images/:name/documents/:file`,
    async ({ params }, reply) => {
      const { documents, name } = await find(params.name);
      const document = Object.hasOwn(documents, params.file) ? documents[params.file] : undefined;
      if (document === undefined) {
        throw new NetkilnError("not_found", `image ${name} has no document "${params.file}"`, {
          hint: `it has: ${Object.keys(documents).join(", ")}`,
        });
      }
      reply.type(params.file.endsWith(".json") ? "application/json" : "text/plain; charset=utf-8");
      return reply.header("content-length", document.size).send(blobs.read(document.sha256));
    },
  );
  app.get<Named>(`${base}/images/:name/oci-archive`, async ({ params }, reply) =>
    reply.type("application/x-tar").send(await work.exportArchive(await find(params.name))),
  );
  app.post<Named>(`${base}/images/:name/push`, { config: { body: pushSchema } }, async ({ params, body }, reply) => {
    const { reference } = parseAs(pushSchema, body, "the request");
    await work.push(await find(params.name), reference);
    return reply.code(204).send();
  });
}

function wanted(body: unknown): WantedImage {
  const { extra_vars, ansible_passthrough, secrets, ...rest } = parseAs(wantedSchema, body, "the image");
  return {
    ...rest,
    ansible: {
      ...(extra_vars !== undefined && { extraVars: extra_vars }),
      ...(ansible_passthrough !== undefined && { passthrough: ansible_passthrough }),
      ...(secrets !== undefined && { secrets }),
    },
  };
}

function startedText(started: Started) {
  return started.kind === "image" ? { image: started.image } : { build: started.build, joined: started.joined };
}

async function describedImage({ name, id, artifacts, documents }: Image, blobs: BlobStore) {
  const digests = documents["inventory.json"];
  if (digests === undefined) throw new NetkilnError("invalid_input", `image ${name} has no inventory; build it again`);
  const text = await readFile(blobs.path(digests.sha256), "utf8");
  return { name, id, artifacts, inventory: parseInventory(text, `the inventory of ${name}`) };
}
