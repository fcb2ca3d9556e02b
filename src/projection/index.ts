import { NetkilnError } from "../lib/errors.ts";
import { live } from "./live.ts";
import type { RootProvider, RootRequest } from "./types.ts";

export type { RootProvider, RootRequest } from "./types.ts";

const providers: Readonly<Record<string, RootProvider>> = { live };
const defaultProvider = "live";

/** The provider of that name, `live` when none is named; throws `invalid_input` for an unknown one. */
function findRootProvider(name: string | undefined): RootProvider {
  const wanted = name === undefined || name === "" ? defaultProvider : name;
  const provider = Object.hasOwn(providers, wanted) ? providers[wanted] : undefined;
  if (provider !== undefined) return provider;
  throw new NetkilnError("invalid_input", `there is no root provider "${wanted}"`, {
    hint: `known ones: ${Object.keys(providers).join(", ")}`,
  });
}

/**
 * The kernel parameters by which a node finds its root. Nothing is added when no provider is named and the given
 * parameters say `root=` themselves, as templates written for CSM without a provider do.
 */
export function rootArguments(provider: string | undefined, request: RootRequest): string {
  const own = /(?:^|\s)root=/.test(request.given);
  if (own && (provider === undefined || provider === "")) return "";
  return findRootProvider(provider).rootArguments(request);
}
