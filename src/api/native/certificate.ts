import type { FastifyInstance } from "fastify";
import type { Certificates, ServerCertificate } from "../../access/index.ts";
import { NetkilnError } from "../../lib/errors.ts";

export interface CertificateParts {
  /** Undefined where nothing is listened on with TLS. */
  readonly certificates: Certificates | undefined;
}

/** The certificate of the administrators' door. */
export function registerCertificate(app: FastifyInstance, { certificates }: CertificateParts): void {
  const base = "/apis/netkiln/v1/certificate";
  const having = (): Certificates => {
    if (certificates !== undefined) return certificates;
    throw new NetkilnError("not_found", "this server has no certificate, as it does not listen with TLS", {
      hint: "netkiln serve --listen ADDRESS:PORT --tls",
    });
  };
  app.get(base, async () => shown(await having().read()));
  app.post(`${base}/renew`, async () => shown(await having().renew()));
}

function shown(certificate: ServerCertificate): Omit<ServerCertificate, "key"> {
  const { key: _, ...rest } = certificate;
  return rest;
}
