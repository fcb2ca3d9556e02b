import type { SecureContextOptions } from "node:tls";
import fastify, { type FastifyInstance } from "fastify";
import { admitCallers, type AdmissionParts } from "./admission.ts";
import { csmServices, type CsmParts } from "./csm/services.ts";
import { kubernetesService } from "./kubernetes/routes.ts";
import { registerKeycloak, type KeycloakParts } from "./keycloak/routes.ts";
import { registerAccounts } from "./native/accounts.ts";
import { registerBootprep, type BootprepParts } from "./native/bootprep.ts";
import { registerBoots, type BootsParts } from "./native/boots.ts";
import { registerBuilds } from "./native/builds.ts";
import { registerCertificate, type CertificateParts } from "./native/certificate.ts";
import { registerConfigurationSessions, type ConfigurationSessionsParts } from "./native/configuration-sessions.ts";
import { registerConfigurations } from "./native/configurations.ts";
import { registerEvents } from "./native/events.ts";
import { registerGroups } from "./native/groups.ts";
import { registerChannels } from "./native/channels.ts";
import { registerBlobs } from "./native/blobs.ts";
import { registerImageWork, type ImageWorkParts } from "./native/image-work.ts";
import { registerImages, type ImagesParts } from "./native/images.ts";
import { registerKeys } from "./native/keys.ts";
import { registerNodes, type NodesParts } from "./native/nodes.ts";
import { registerProducts, type ProductsParts } from "./native/products.ts";
import { registerRecipes } from "./native/recipes.ts";
import { registerSessions, type SessionsParts } from "./native/sessions.ts";
import { registerStore, type StoreParts } from "./native/store.ts";
import { registerTemplates } from "./native/templates.ts";
import { registerTenants } from "./native/tenants.ts";
import { registerTokens } from "./native/tokens.ts";
import { registerOpenApi } from "./openapi/routes.ts";
import { answerProblems, failureAnswers } from "./problem.ts";
import { registerService } from "./service.ts";
import { cutSilentSenders } from "./silent-senders.ts";
import { registerVcs, type VcsParts } from "./vcs/routes.ts";

type Second<F> = F extends (app: FastifyInstance, parts: infer P) => void ? P : never;

export interface AdminParts
  extends
    AdmissionParts,
    CertificateParts,
    CsmParts,
    KeycloakParts,
    BootsParts,
    ConfigurationSessionsParts,
    ImagesParts,
    ImageWorkParts,
    NodesParts,
    ProductsParts,
    SessionsParts,
    StoreParts,
    Second<typeof registerAccounts>,
    Second<typeof registerBlobs>,
    Second<typeof registerBuilds>,
    Second<typeof registerConfigurations>,
    Second<typeof registerEvents>,
    Second<typeof registerRecipes>,
    Second<typeof registerTokens> {
  readonly bootprep: BootprepParts;
  readonly version: string;
  /** What sat needs beside the services, where it is wanted. */
  readonly sat: Pick<VcsParts, "gitLogin" | "repositories"> | undefined;
}

/** cray asks for the power of many nodes in one URL: some 6000 xnames fit. */
const maxHeaderSize = 128 << 10;
/** Longer than a client needs to get more of what it sends from its own disk. */
const longestSilenceMs = 120_000;

export interface AdminDoor {
  /** Without it, whoever reaches the door is the local administrator. */
  readonly requireToken: boolean;
  /** Plain HTTP without it. */
  readonly tls?: SecureContextOptions | undefined;
  /** Whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[];
}

/** The administrators' door: every route. */
export function openAdminDoor(
  parts: AdminParts,
  { requireToken, tls, trustedProxies = [] }: AdminDoor,
): FastifyInstance {
  // Fastify has a type of its own for servers with TLS; nothing here sees the difference.
  const secured = tls === undefined ? { http: { maxHeaderSize } } : { https: { ...tls, maxHeaderSize } };
  // Sources of CFS are named after URLs.
  const app = fastify({
    ...(secured as { http: { maxHeaderSize: number } }),
    ...failureAnswers,
    forceCloseConnections: true,
    trustProxy: [...trustedProxies],
    routerOptions: { maxParamLength: 1000 },
  });
  answerProblems(app);
  cutSilentSenders(app, longestSilenceMs);
  // Nothing here is plain text, which fastify would take as well.
  app.removeContentTypeParser("text/plain");
  admitCallers(app, parts, { requireToken });
  const { sat } = parts;
  const services = [...csmServices(parts), ...(sat === undefined ? [] : [kubernetesService({ ...parts, ...sat })])];
  registerOpenApi(app, { services, version: parts.version, door: { requireToken, openReads: parts.openReads } });
  registerKeycloak(app, parts);
  app.get("/apis/netkiln/v1/version", { config: { tenants: true } }, async () => ({ version: parts.version }));
  registerRecipes(app, parts);
  registerConfigurations(app, parts);
  registerConfigurationSessions(app, parts);
  registerImages(app, parts);
  registerImageWork(app, parts);
  registerBlobs(app, parts);
  registerChannels(app, parts);
  registerStore(app, parts);
  registerBuilds(app, parts);
  registerBootprep(app, parts.bootprep);
  registerNodes(app, parts);
  registerGroups(app, parts);
  registerTemplates(app, parts);
  registerSessions(app, parts);
  registerBoots(app, parts);
  registerEvents(app, parts);
  registerProducts(app, parts);
  registerTokens(app, parts);
  registerAccounts(app, parts);
  registerTenants(app, parts);
  registerCertificate(app, parts);
  registerKeys(app, parts);
  for (const service of services) registerService(app, service);
  if (sat !== undefined) registerVcs(app, { ...parts, ...sat }, { requireLogin: requireToken });
  return app;
}
