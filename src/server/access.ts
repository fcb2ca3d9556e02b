import { hostname } from "node:os";
import { isIP } from "node:net";
import { join } from "node:path";
import { openAccountTokens, openAdmission, openGrants } from "../access/index.ts";
import { realm } from "../api/keycloak/routes.ts";
import type { Config } from "./config.ts";
import type { House } from "./open.ts";

/** How long a person need not type the password again. */
const refreshSeconds = 30 * 86_400;

/** What decides who gets in at the administrators' door; `url` is where that is. */
export function accessParts(config: Config, house: House, url: () => string) {
  const issuer = () => `${url()}${realm}`;
  const tokenLife = { access: Math.round(config.access_token_hours * 3600), refresh: refreshSeconds };
  const accountTokens = openAccountTokens(house.accounts, {
    folder: join(config.data, "keys"),
    issuer,
    accessSeconds: tokenLife.access,
    refreshSeconds,
  });
  return {
    accountTokens,
    issuer,
    tokenLife,
    grants: openGrants(house.accounts, accountTokens),
    admission: openAdmission(house.tokens, accountTokens),
    openReads: config.open_reads,
  };
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Every address of this machine. */
export function isUnspecified(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** Where clients find the administrators' door. */
export function adminUrl(
  config: Config,
  hasTls: boolean,
  { host = "localhost", port = 80 }: { host?: string | undefined; port?: number | undefined },
): string {
  if (config.admin_url !== undefined) return config.admin_url;
  const name = isUnspecified(host) ? hostname() : host;
  return `${hasTls ? "https" : "http"}://${name.includes(":") ? `[${name}]` : name}:${port}`;
}
