/**
 * Boot scripts past fastify. When a whole machine is switched on, each node asks for its script, most of them at the same
 * time, and fastify's way to a handler takes longer than the answer. So what is asked in the form in which our own
 * scripts and iPXE ask is answered here. Everything else goes to fastify, whose routes answer the same: other forms,
 * trusted proxies, bodies, and what goes wrong before a boot has begun. All that came in one turn of the event loop share
 * one look at what has changed.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from "node:http";
import { scriptPaths, type BootScripts, type FoundScript, type ScriptAsk } from "../../boot/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { log } from "../../lib/log.ts";
import { problemOf, problemType, unexpected } from "../problem.ts";
import { bootingScript, type BeginBootParts } from "./begin-boot.ts";

export type ScriptExpressParts = BeginBootParts & { readonly scripts: BootScripts };

interface Waiting {
  readonly asked: PlainAsk;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export interface PlainAsk {
  readonly ask: ScriptAsk;
  readonly retry: number;
}

/** `server` is fastify's, which has one listener. */
export function answerScriptsFirst(server: Server, parts: ScriptExpressParts): void {
  const [byRoute] = server.listeners("request") as [RequestListener];
  let waiting: Waiting[] = [];
  const answerAll = () => {
    const now = waiting;
    waiting = [];
    const byRoutes = ({ request, response }: Waiting) => byRoute(request, response);
    // What is refused has begun no boot. After anything else one may have begun, and the route would begin another.
    const failed = (error: unknown, one: Waiting) =>
      error instanceof NetkilnError ? byRoutes(one) : answerFailure(error, one);
    const answerWith = (found: FoundScript, one: Waiting) =>
      void answer(parts, found, one).catch((error: unknown) => failed(error, one));
    try {
      const scripts = parts.scripts.findAll(now.map(({ asked }) => asked.ask));
      for (const [index, one] of now.entries()) {
        const found = scripts[index] as Found;
        if (!(found instanceof Promise)) answerWith(found, one);
        else
          found.then(
            (ready) => answerWith(ready, one),
            () => byRoutes(one),
          );
      }
    } catch {
      // The database cannot be read.
      now.forEach(byRoutes);
    }
  };
  server.removeListener("request", byRoute);
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const asked = plainAsk(request);
    if (asked === undefined) return byRoute(request, response);
    if (waiting.length === 0) setImmediate(answerAll);
    waiting.push({ asked, request, response });
  });
}

type Found = FoundScript | Promise<FoundScript>;

async function answer(
  parts: ScriptExpressParts,
  found: FoundScript,
  { asked, request, response }: Waiting,
): Promise<void> {
  const { host = "" } = request.headers;
  const fetch = { door: host, retry: asked.retry, address: request.socket.remoteAddress };
  const text = await bootingScript(parts, found, fetch);
  // As fastify sends it.
  response.writeHead(200, {
    "content-type": "text/plain",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

function answerFailure(error: unknown, { request, response }: Waiting): void {
  log.error({ error, method: request.method, url: request.url }, "request failed");
  if (response.headersSent) return void response.destroy();
  response.writeHead(500, { "content-type": problemType }).end(JSON.stringify(problemOf(unexpected())));
}

const [short, long] = scriptPaths;
/** As script.ts and iPXE write it. A retry has no more digits than the query's schema lets through. */
const plainForm = new RegExp(
  `^(?:${short}|(${long}))\\?(?:mac=([\\w:-]{1,64})|name=([\\w.-]{1,64})|nid=(\\d{1,9}))` +
    `(?:&arch=([\\w.-]{1,32}))?(?:&retry=(\\d{1,6}))?$`,
);

/** Of proxies, and of bodies, which the routes refuse when they are too large. */
const longWay = ["x-forwarded-for", "content-length", "transfer-encoding"];

/** Undefined for what has to go the long way. */
export function plainAsk({ method, url = "", headers }: IncomingMessage): PlainAsk | undefined {
  if (method !== "GET" || longWay.some((name) => headers[name] !== undefined)) return undefined;
  const found = plainForm.exec(url);
  if (found === null) return undefined;
  const [, csm, mac, name, nid, arch, retry] = found;
  const asked = { mac, name, nid: nid === undefined ? undefined : Number(nid), arch };
  return { ask: { asked, path: csm === undefined ? short : long }, retry: Number(retry ?? 0) };
}
