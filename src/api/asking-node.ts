import type { NodeIdentities } from "../boot/index.ts";
import type { Node } from "../node/index.ts";
import type { Asked } from "./service.ts";

/** Operations of nodes are served below these as well; the token stands in their path, as cloud-init can send no header. */
export const tokenBase = "/boots/{token}";

/**
 * Which node asks: the one whose boot's token stands in the path, else the one that has the address. Undefined for an
 * unknown address; throws `not_found` for a token that is not, or no longer, good.
 */
export async function askingNode(
  identities: NodeIdentities,
  { params, address }: Asked<unknown, unknown>,
): Promise<Node | undefined> {
  const token = params["token"];
  return token === undefined ? identities.byAddress(address) : identities.byToken(token);
}
