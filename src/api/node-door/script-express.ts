/**
 * Boot scripts past fastify. When a whole machine is switched on, each node asks for its script, most of them at the same
 * time, and the way to a handler takes longer than the answer. So what is asked in the form in which our own scripts and
 * iPXE ask is answered here. Everything else goes to the routes, which answer the same: other forms, trusted proxies, and
 * bodies. All that came in one turn of the event loop share one look at what has changed.
 */
import type { FastifyInstance } from "fastify";
import {
  chainPath,
  chainScript,
  scriptPaths,
  type BootScripts,
  type FoundScript,
  type ScriptAsk,
} from "../../boot/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import { log } from "../../lib/log.ts";
import { problemOf, unexpected } from "../problem.ts";
import { bootingScript, type BeginBootParts } from "./begin-boot.ts";
import { takePlainRequests, type PlainRequest } from "./plain-requests.ts";

export type ScriptExpressParts = BeginBootParts & { readonly scripts: BootScripts };

interface Waiting {
  readonly asked: PlainAsk;
  readonly request: PlainRequest;
}

export interface PlainAsk {
  readonly ask: ScriptAsk;
  readonly retry: number;
}

export function answerScriptsFirst(app: FastifyInstance, parts: ScriptExpressParts): void {
  let waiting: Waiting[] = [];
  const answerAll = () => {
    const now = waiting;
    waiting = [];
    try {
      const scripts = parts.scripts.findAll(now.map(({ asked }) => asked.ask));
      for (const [index, one] of now.entries()) void answer(parts, scripts[index] as Found, one);
    } catch (error) {
      // The database cannot be read.
      for (const { request } of now) refuse(request, error);
    }
  };
  takePlainRequests(app, (request) => {
    // What it leads to is asked for over the same connection.
    if (request.url === chainPath) return sendChain(request);
    const asked = plainAsk(request.url);
    if (asked === undefined) return false;
    if (waiting.length === 0) setImmediate(answerAll);
    waiting.push({ asked, request });
    return true;
  });
}

type Found = FoundScript | Promise<FoundScript>;

async function answer(parts: ScriptExpressParts, found: Found, { asked, request }: Waiting): Promise<void> {
  try {
    const script = found instanceof Promise ? await found : found;
    const fetch = { door: request.host, retry: asked.retry, address: request.address };
    request.answer(await bootingScript(parts, script, fetch));
  } catch (error) {
    refuse(request, error);
  }
}

function sendChain(request: PlainRequest): true {
  try {
    request.answer(chainScript(request.host));
  } catch (error) {
    refuse(request, error);
  }
  return true;
}

function refuse(request: PlainRequest, error: unknown): void {
  const isKnown = error instanceof NetkilnError;
  if (!isKnown) log.error({ error, method: "GET", url: request.url }, "request failed");
  request.refuse(problemOf(isKnown ? error : unexpected()));
}

const [short, long] = scriptPaths;
/** As script.ts and iPXE write it. A retry has no more digits than the query's schema lets through. */
const plainForm = new RegExp(
  `^(?:${short}|(${long}))\\?(?:mac=([\\w:-]{1,64})|name=([\\w.-]{1,64})|nid=(\\d{1,9}))` +
    `(?:&arch=([\\w.-]{1,32}))?(?:&retry=(\\d{1,6}))?$`,
);

/** Undefined for what has to go the long way. */
export function plainAsk(url: string): PlainAsk | undefined {
  const found = plainForm.exec(url);
  if (found === null) return undefined;
  const [, csm, mac, name, nid, arch, retry] = found;
  const asked = { mac, name, nid: nid === undefined ? undefined : Number(nid), arch };
  return { ask: { asked, path: csm === undefined ? short : long }, retry: Number(retry ?? 0) };
}
