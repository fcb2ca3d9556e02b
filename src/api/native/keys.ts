import { join } from "node:path";
import type { FastifyInstance } from "fastify";
import { publicKeyText, readPublicKeys, signingKeyId } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { listPage, pageSchema } from "./page.ts";

type Named = { Params: { id: string } };

/** The public keys by which images are signed; minisign reads their texts. */
export function registerKeys(app: FastifyInstance, { data }: { readonly data: string }): void {
  const base = "/apis/netkiln/v1/keys";
  const all = async () => {
    const folder = join(data, "keys");
    const signs = await signingKeyId(folder);
    const keys = await readPublicKeys(folder);
    return keys.map((key) => ({ id: key.id, signs: key.id === signs, text: publicKeyText(key) }));
  };
  app.get(base, { config: { query: pageSchema } }, async ({ query }) =>
    listPage(
      query,
      async ({ limit, after = "" }) => (await all()).filter(({ id }) => id > after).slice(0, limit),
      ({ id }) => id,
    ),
  );
  app.get<Named>(`${base}/:id`, async ({ params }) => {
    const found = (await all()).filter(({ id }) => id.startsWith(params.id.toUpperCase()));
    if (found.length === 1) return found[0];
    throw new NetkilnError("not_found", `there is no key "${params.id}"`);
  });
}
