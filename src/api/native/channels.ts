import type { FastifyInstance, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Channel, ChannelStore, ImageStore, Mover } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { parseAs } from "../../lib/parse.ts";
import type { EventStore } from "../../telemetry/index.ts";
import { principalOf } from "../principal.ts";
import { listPage, pageSchema } from "./page.ts";

export interface ChannelsParts {
  readonly channels: ChannelStore;
  readonly images: ImageStore;
  readonly events: EventStore;
}

export const commentSchema = z.string().max(1000).optional();

const moveSchema = z
  .strictObject({ comment: commentSchema, expected: z.string().nullable().optional() })
  .optional()
  .transform((value) => value ?? {});

type Named = { Params: { name: string } };

/** Channels are made and moved by promoting an image (images.ts). */
export function registerChannels(app: FastifyInstance, { channels, images, events }: ChannelsParts): void {
  const base = "/apis/netkiln/v1/channels";
  const find = async (name: string): Promise<Channel> => {
    const channel = await channels.find(name);
    if (channel !== undefined) return channel;
    throw new NetkilnError("not_found", `there is no channel "${name}"`);
  };
  const moverOf = async (request: FastifyRequest): Promise<Mover> => {
    const { comment, expected } = parseAs(moveSchema, request.body ?? undefined, "the request");
    return { by: principalOf(request), comment, expected: await expectedImage(images, expected) };
  };

  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      (page) => channels.list(page),
      ({ name }) => name,
    ),
  );
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));
  app.get<Named>(`${base}/:name/history`, { config: { query: pageSchema } }, async ({ params, query }) => {
    const page = await listPage(
      query,
      (wanted) => channels.history(params.name, wanted),
      ({ number }) => String(number),
    );
    // A channel that was deleted still has its history.
    if (page.items.length === 0) await find(params.name);
    return page;
  });
  app.post<Named>(`${base}/:name/undo`, { config: { body: moveSchema } }, async (request) => {
    const mover = await moverOf(request);
    const { channel, move } = await channels.undo(request.params.name, mover);
    await events.record(`channel:${channel.name}`, "undone", { ...move });
    return { ...channel, from: move.from };
  });
  app.delete<Named>(`${base}/:name`, { config: { body: moveSchema } }, async (request, reply) => {
    const move = await channels.remove(request.params.name, await moverOf(request));
    await events.record(`channel:${move.channel}`, "deleted", { ...move });
    return reply.code(204).send();
  });
}

/** The id of the image that a caller expects a channel to point at. */
export async function expectedImage(
  images: ImageStore,
  name: string | null | undefined,
): Promise<string | null | undefined> {
  if (name === undefined || name === null) return name;
  const image = (await images.findImage(name)) ?? (await images.findDeletedImage(name));
  if (image === undefined) throw new NetkilnError("not_found", `there is no image "${name}", which was expected`);
  return image.id;
}
