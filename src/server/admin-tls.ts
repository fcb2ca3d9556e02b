import type { Server } from "node:https";
import type { SecureContextOptions } from "node:tls";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { openCertificates, type Certificates, type ServerCertificate } from "../access/index.ts";
import { clock } from "../lib/clock.ts";
import { NetkilnError } from "../lib/errors.ts";
import { log } from "../lib/log.ts";
import { isLoopback, isUnspecified } from "./access.ts";
import { hostName, type Config } from "./config.ts";

const lookMs = 5000;

/** What of a server of node:tls is needed here; fastify's type does not say that it is one. */
type SecureServer = Pick<Server, "setSecureContext">;

interface AdminTls {
  readonly certificates: Certificates;
  readonly options: SecureContextOptions;
  keepCurrent(server: unknown, signal: AbortSignal): Promise<void>;
}

/** Reads, or makes, the certificate of the administrators' door; undefined where it speaks plain HTTP. */
export async function openAdminTls(config: Config, host: string): Promise<AdminTls | undefined> {
  const certificates = adminCertificates(config, host);
  if (certificates === undefined) return undefined;
  const first = await certificates.read();
  return {
    certificates,
    options: tlsOptions(first),
    keepCurrent: (server, signal) => keepCurrent(server as SecureServer, certificates, first, signal),
  };
}

function tlsOptions({ certificate, key }: ServerCertificate) {
  return { cert: certificate, key, minVersion: "TLSv1.2" } as const;
}

/** Plain HTTP is for loopback addresses only: tokens would be there to read on any other. */
function adminCertificates(config: Config, host: string): Certificates | undefined {
  const { admin_tls: wanted = !isLoopback(host) } = config;
  if (wanted === false && !isLoopback(host)) {
    throw new NetkilnError(
      "invalid_input",
      `administration on ${host} needs TLS: tokens would be sent for all to read`,
      {
        hint: "leave admin_tls out, or listen on a loopback address behind a proxy that speaks TLS",
      },
    );
  }
  if (wanted === false) return undefined;
  const more = typeof wanted === "object" && "names" in wanted ? wanted.names : [];
  const called = [config.admin_url, config.sat?.gateway].flatMap((url) =>
    url === undefined ? [] : [new URL(url).hostname.replace(/^\[|\]$/g, "")],
  );
  return openCertificates({
    folder: join(config.data, "keys", "tls"),
    names: [...new Set([...called, ...more, ...namesOf(host)])],
    given: typeof wanted === "object" && "key" in wanted ? wanted : undefined,
  });
}

/** What clients may call a server by that listens there. */
function namesOf(host: string): string[] {
  const own = hostName.safeParse(hostname()).success ? [hostname()] : [];
  if (!isUnspecified(host)) return isLoopback(host) ? [host, "localhost"] : [host, ...own];
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  // Addresses of one link mean nothing without its name.
  const reachable = addresses.filter(({ address }) => !address.startsWith("fe80:"));
  return [...own, "localhost", ...reachable.map(({ address }) => address)];
}

/** Takes another certificate into use when its files have changed, it was renewed, or on SIGHUP; a bad one is not taken. */
async function keepCurrent(
  server: SecureServer,
  certificates: Certificates,
  first: ServerCertificate,
  signal: AbortSignal,
): Promise<void> {
  let current = first;
  let told = "";
  const look = async () => {
    try {
      const read = await certificates.read();
      told = "";
      if (read.certificate === current.certificate && read.key === current.key) return;
      server.setSecureContext(tlsOptions(read));
      current = read;
      log.info({ names: read.names, expires: read.expires }, "another certificate is in use");
    } catch (error) {
      const reason = error instanceof NetkilnError ? JSON.stringify(error.problems) : String(error);
      if (reason !== told) log.error({ error, reason }, "the certificate is no good; the one of before stays in use");
      told = reason;
    }
  };
  const hangUp = () => void look();
  process.on("SIGHUP", hangUp);
  while (!signal.aborted) {
    await clock.sleep(lookMs, signal).catch(() => undefined);
    if (!signal.aborted) await look();
  }
  process.off("SIGHUP", hangUp);
}
