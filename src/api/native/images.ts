import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { ChannelStore, Deleted, Image, ImageStore } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import type { EventStore } from "../../telemetry/index.ts";
import { principalOf } from "../principal.ts";
import { commentSchema, expectedImage } from "./channels.ts";
import type { LifecycleParts } from "./lifecycle-parts.ts";
import { deletedFilter, deletedSchema, listPage, pageSchema } from "./page.ts";

export interface ImagesParts {
  readonly images: ImageStore;
  readonly channels: ChannelStore;
  readonly events: EventStore;
  readonly lifecycle: LifecycleParts;
}

const promoteSchema = z.strictObject({
  channel: z.string(),
  comment: commentSchema,
  /** Image that the channel has to point at now; null: it may not be there yet. */
  expected: z.string().nullable().optional(),
});

type Named = { Params: { name: string } };

/**
 * An image is named by a channel, its name, which means the newest of that name, its id or a unique beginning of it.
 * Deleted ones are named by their ids.
 */
export function registerImages(app: FastifyInstance, parts: ImagesParts): void {
  const { images, channels, events, lifecycle } = parts;
  const base = "/apis/netkiln/v1/images";
  const find = async (name: string): Promise<Image> => {
    const image = await images.findImage(name);
    if (image !== undefined) return image;
    const deleted = await images.findDeletedImage(name);
    if (deleted === undefined) throw missing(name);
    throw new NetkilnError("not_found", `the image "${name}" is deleted`, {
      hint: `netkiln images undelete ${deleted.id} brings it back`,
    });
  };
  const findAny = async (name: string): Promise<Image> => {
    const image = (await images.findImage(name)) ?? (await images.findDeletedImage(name));
    if (image === undefined) throw missing(name);
    return image;
  };
  const findDeleted = async (name: string): Promise<Deleted<Image>> => {
    const image = await images.findDeletedImage(name);
    if (image !== undefined) return image;
    if ((await images.findImage(name)) === undefined) throw missing(name);
    throw new NetkilnError("conflict", `the image "${name}" is not deleted`);
  };

  app.get(base, { config: { query: pageSchema.extend(deletedSchema.shape) } }, async ({ query }) =>
    listPage(
      query,
      (page) => (deletedFilter(query) ? images.listDeletedImages(page) : images.listImages(page)),
      ({ id }) => id,
    ),
  );
  app.get<Named>(`${base}/:name`, async ({ params }) => {
    const image = await findAny(params.name);
    return { ...image, attestations: await images.attestations(image.id) };
  });
  app.delete<Named>(`${base}/:name`, async (request, reply) => {
    await lifecycle.deleteImage(await find(request.params.name), principalOf(request));
    return reply.code(204).send();
  });
  app.post<Named>(`${base}/:name/undelete`, async (request) =>
    lifecycle.undeleteImage(await findDeleted(request.params.name), principalOf(request)),
  );
  app.post<Named>(`${base}/:name/destroy`, async (request, reply) => {
    await lifecycle.destroyImage(await findDeleted(request.params.name), principalOf(request));
    return reply.code(204).send();
  });
  app.post<Named>(`${base}/:name/promote`, { config: { body: promoteSchema } }, async (request) => {
    const { channel: name, comment, expected } = parseAs(promoteSchema, request.body, "the promotion");
    // A deleted one is refused by the channel, with what to do.
    const { id } = await findAny(request.params.name);
    const by = principalOf(request);
    const mover = { by, comment, expected: await expectedImage(images, expected) };
    const { channel, changed } = await channels.promote(name, id, mover);
    if (changed) await events.record(`channel:${name}`, "moved", { image: id, name: channel.imageName, by, comment });
    return { ...channel, changed };
  });
}

function missing(name: string): NetkilnError {
  return new NetkilnError("not_found", `there is no image "${name}"`);
}
