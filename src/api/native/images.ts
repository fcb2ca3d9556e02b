import type { FastifyInstance } from "fastify";
import type { ImageStore } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { listPage } from "./page.ts";

type Named = { Params: { name: string } };

/** An image is named by its id, a unique beginning of it, or its name, which means the newest of that name. */
export function registerImages(app: FastifyInstance, { images }: { readonly images: ImageStore }): void {
  const base = "/apis/netkiln/v1/images";
  const find = async (name: string) => {
    const image = await images.findImage(name);
    if (image !== undefined) return image;
    throw new NetkilnError("not_found", `there is no image "${name}"`);
  };

  app.get(base, async ({ query }) =>
    listPage(
      query,
      (page) => images.listImages(page),
      ({ id }) => id,
    ),
  );
  app.get<Named>(`${base}/:name`, async ({ params }) => find(params.name));
  app.delete<Named>(`${base}/:name`, async ({ params }, reply) => {
    await images.deleteImage((await find(params.name)).id);
    return reply.code(204).send();
  });
}
