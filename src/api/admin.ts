import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import type { TokenStore } from "../access/index.ts";
import { NetkilnError } from "../lib/errors.ts";
import { registerBss, type BssParts } from "./csm/bss/routes.ts";
import { registerBootprep, type BootprepParts } from "./native/bootprep.ts";
import { registerBoots, type BootsParts } from "./native/boots.ts";
import { registerBuilds } from "./native/builds.ts";
import { registerConfigurations } from "./native/configurations.ts";
import { registerEvents } from "./native/events.ts";
import { registerGroups } from "./native/groups.ts";
import { registerChannels } from "./native/channels.ts";
import { registerBlobs } from "./native/blobs.ts";
import { registerImageWork, type ImageWorkParts } from "./native/image-work.ts";
import { registerImages, type ImagesParts } from "./native/images.ts";
import { registerKeys } from "./native/keys.ts";
import { registerNodes, type NodesParts } from "./native/nodes.ts";
import { registerRecipes } from "./native/recipes.ts";
import { registerSessions, type SessionsParts } from "./native/sessions.ts";
import { registerStore, type StoreParts } from "./native/store.ts";
import { registerTemplates } from "./native/templates.ts";
import { registerTokens } from "./native/tokens.ts";
import { setPrincipal } from "./principal.ts";
import { answerProblems } from "./problem.ts";

type Second<F> = F extends (app: FastifyInstance, parts: infer P) => void ? P : never;

export interface AdminParts
  extends
    BssParts,
    BootsParts,
    ImagesParts,
    ImageWorkParts,
    NodesParts,
    SessionsParts,
    StoreParts,
    Second<typeof registerBlobs>,
    Second<typeof registerBuilds>,
    Second<typeof registerConfigurations>,
    Second<typeof registerEvents>,
    Second<typeof registerRecipes>,
    Second<typeof registerTokens> {
  readonly bootprep: BootprepParts;
  readonly version: string;
}

/** The administrators' door: every route, behind a token when `tokens` is given and open when it is not. */
export function openAdminDoor(parts: AdminParts, { requireToken }: { requireToken: boolean }): FastifyInstance {
  const app = fastify({ forceCloseConnections: true });
  answerProblems(app);
  // Nothing here is plain text, which fastify would take as well.
  app.removeContentTypeParser("text/plain");
  if (requireToken) app.addHook("onRequest", async (request) => admit(parts.tokens, request));
  app.get("/apis/netkiln/v1/version", async () => ({ version: parts.version }));
  registerRecipes(app, parts);
  registerConfigurations(app, parts);
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
  registerTokens(app, parts);
  registerKeys(app, parts);
  registerBss(app, parts);
  return app;
}

async function admit(tokens: TokenStore, request: FastifyRequest): Promise<void> {
  const secret = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  const name = secret === undefined ? undefined : await tokens.check(secret);
  if (name !== undefined) return setPrincipal(request, name);
  throw new NetkilnError("unauthorized", "this door needs a valid token (Authorization: Bearer ...)", {
    hint: "make one on the server's host: netkiln tokens create NAME",
  });
}
