import type { FastifyInstance, FastifyRequest } from "fastify";
import {
  bootScript,
  resolveBoot,
  type BootEntry,
  type BootEntryStore,
  type BootParameters,
  type EntryNames,
} from "../../../boot/index.ts";
import { NetkilnError } from "../../../lib/errors.ts";
import { parseAs } from "../../../lib/parse.ts";
import type { NodeStore } from "../../../node/index.ts";
import { scriptQuerySchema } from "../../node-door/schema.ts";
import { bootParamsSchema, filterQuerySchema, type BootParams } from "./schema.ts";

export interface BssParts {
  readonly nodes: NodeStore;
  readonly entries: BootEntryStore;
  /** `host:port` of the node door, for scripts that are looked at and not booted. */
  readonly door: () => string;
}

/** The Boot Script Service's boot parameters and scripts, on the administrators' side. */
export function registerBss(app: FastifyInstance, { nodes, entries, door }: BssParts): void {
  const path = "/apis/bss/boot/v1/bootparameters";
  const body = (value: unknown) => parseAs(bootParamsSchema, value, "the boot parameters");

  app.get(path, async (request) => {
    const wanted = await wantedOf(request);
    const all = await entries.list();
    if (wanted === undefined) return [...imagesOf(all), ...all.map(toBootParams)];
    const found = all.filter(({ kind, name }) =>
      kind === "host"
        ? wanted.hosts.includes(name)
        : kind === "mac"
          ? wanted.macs.includes(name)
          : wanted.nids.includes(Number(name)),
    );
    if (found.length === 0) throw new NetkilnError("not_found", "there are no boot parameters of that name");
    return found.map(toBootParams);
  });
  app.post(path, async (request, reply) => {
    const given = body(request.body);
    const token = await entries.create(given, toParameters(given)).catch(asBadRequest);
    return reply.code(201).header("BSS-Referral-Token", token).send();
  });
  app.put(path, async (request, reply) => {
    const given = body(request.body);
    const token = await entries.put(given, toParameters(given));
    return reply.code(200).header("BSS-Referral-Token", token).send();
  });
  app.patch(path, async (request, reply) => {
    const given = body(request.body);
    const { params, kernel, initrd } = given;
    await entries.patch(given, {
      ...(params !== undefined && { params }),
      ...(kernel !== undefined && { kernel }),
      ...(initrd !== undefined && { initrd }),
      ...(given["cloud-init"] != null && { cloudInit: given["cloud-init"] }),
    });
    return reply.code(200).send();
  });
  app.delete(path, async (request, reply) => {
    await entries.remove(body(request.body));
    return reply.code(200).send();
  });

  app.get("/apis/bss/boot/v1/bootscript", async (request, reply) => {
    const { retry, ...asked } = parseAs(scriptQuerySchema, request.query, "the query");
    const { node, entry, because } = await resolveBoot({ nodes, entries }, asked);
    if (node === undefined || entry === undefined) throw new NetkilnError("not_found", because);
    const script = bootScript({ door: door(), asked, retry, node, entry, bootId: undefined });
    return reply.type("text/plain").send(script);
  });
}

/** BSS answers 400 where we know a conflict. */
function asBadRequest(error: unknown): never {
  if (!(error instanceof NetkilnError) || error.code !== "conflict") throw error;
  throw new NetkilnError("invalid_input", error.message, { hint: error.hint });
}

const maxBodyBytes = 1024 * 1024;

/** Which entries a GET is about: from its query, or from the body that `cray bss` sends with it. */
async function wantedOf(request: FastifyRequest): Promise<EntryNames | undefined> {
  const named = parseAs(filterQuerySchema, request.query, "the query");
  if (isSomething(named)) return named;
  // Fastify reads no body of a GET, so it is still in the socket.
  let text = "";
  for await (const chunk of request.raw) {
    text += String(chunk);
    if (text.length > maxBodyBytes) throw new NetkilnError("too_large", "the request's body is too large");
  }
  if (text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new NetkilnError("invalid_input", "the request's body is no JSON");
  }
  const given = parseAs(bootParamsSchema, value, "the boot parameters");
  return isSomething(given) ? given : undefined;
}

function isSomething({ hosts, macs, nids }: EntryNames): boolean {
  return hosts.length + macs.length + nids.length > 0;
}

function toParameters(given: BootParams): BootParameters {
  const { params = "", kernel = "", initrd = "" } = given;
  return { params, kernel, initrd, cloudInit: given["cloud-init"] ?? undefined };
}

function toBootParams({ kind, name, params, kernel, initrd, cloudInit }: BootEntry) {
  return {
    ...(kind === "host" ? { hosts: [name] } : kind === "mac" ? { macs: [name] } : { nids: [Number(name)] }),
    ...(params !== "" && { params }),
    ...(kernel !== "" && { kernel }),
    ...(initrd !== "" && { initrd }),
    ...(cloudInit !== undefined && { "cloud-init": cloudInit }),
  };
}

/** Kernels and initrds stand in the full list as entries of their own. */
function imagesOf(all: readonly BootEntry[]): object[] {
  const links = (key: "kernel" | "initrd") =>
    [...new Set(all.map((entry) => entry[key]))].filter((link) => link !== "");
  return [...links("kernel").map((kernel) => ({ kernel })), ...links("initrd").map((initrd) => ({ initrd }))];
}
