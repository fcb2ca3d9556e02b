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
import type { ScriptFetch } from "../../telemetry/index.ts";
import { fullDisk, problemOf, unexpected } from "../problem.ts";
import { bootOf, printFor, type BeginBootParts, type Fetched } from "./begin-boot.ts";
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
    answerTogether(parts, now).catch((error: unknown) => now.forEach(({ request }) => refuse(request, error)));
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

/** Throws when the database cannot be read. */
async function answerTogether(parts: ScriptExpressParts, all: readonly Waiting[]): Promise<void> {
  const scripts = parts.scripts.findAll(all.map(({ asked }) => asked.ask));
  const ready: Found[] = [];
  for (const [index, { asked, request }] of all.entries()) {
    const found = (script: FoundScript): Found => ({
      request,
      fetched: { script, door: request.host, retry: asked.retry, address: request.address },
    });
    const script = scripts[index] as FoundScript | Promise<FoundScript>;
    if (!(script instanceof Promise)) ready.push(found(script));
    else
      script.then(
        (later) => void answer(parts, [found(later)]),
        (error: unknown) => refuse(request, error),
      );
  }
  // A node that asks again mostly changes nothing: it does not wait for what is written for others.
  const again = ready.filter(({ fetched }) => fetched.retry > 0);
  const first = ready.filter(({ fetched }) => fetched.retry === 0);
  await Promise.all([answer(parts, again), answer(parts, first)]);
}

interface Found {
  readonly request: PlainRequest;
  readonly fetched: Fetched;
}

/** Those that begin boots wait for one another: to be written at the same time costs least. */
async function answer(parts: ScriptExpressParts, all: readonly Found[]): Promise<void> {
  const booting: Found[] = [];
  const boots: ScriptFetch[] = [];
  for (const found of all) {
    orRefuse(found.request, () => {
      const boot = bootOf(parts, found.fetched);
      if (boot === undefined) return print(parts, found, undefined);
      booting.push(found);
      boots.push(boot);
    });
  }
  try {
    const ids = await parts.boots.forScripts(boots);
    for (const [index, found] of booting.entries()) orRefuse(found.request, () => print(parts, found, ids[index]));
  } catch (error) {
    for (const { request } of booting) refuse(request, error);
  }
}

function print(parts: ScriptExpressParts, { request, fetched }: Found, bootId: string | undefined): void {
  request.answer(printFor(parts, fetched, bootId));
}

function orRefuse(request: PlainRequest, work: () => void): void {
  try {
    work();
  } catch (error) {
    refuse(request, error);
  }
}

function sendChain(request: PlainRequest): true {
  orRefuse(request, () => request.answer(chainScript(request.host)));
  return true;
}

function refuse(request: PlainRequest, error: unknown): void {
  const known = error instanceof NetkilnError ? error : fullDisk(error);
  if (known === undefined) log.error({ error, method: "GET", url: request.url }, "request failed");
  request.refuse(problemOf(known ?? unexpected()));
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
