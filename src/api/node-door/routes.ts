import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { BlobStore } from "../../artifact/index.ts";
import { artifactOfFile, chainPath, chainScript, scriptPaths, type ScriptPath } from "../../boot/index.ts";
import type { ArtifactName, Image } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Digests } from "../../lib/files.ts";
import { log } from "../../lib/log.ts";
import { parseAs } from "../../lib/parse.ts";
import { answerBytes } from "../../netboot/index.ts";
import type { NodeStore } from "../../node/index.ts";
import type { BootPhase } from "../../telemetry/index.ts";
import { bootOf, printFor } from "./begin-boot.ts";
import { reportSchema, scriptAskOf, scriptQuerySchema, type Report } from "./schema.ts";
import { answerScriptsFirst, type ScriptExpressParts } from "./script-express.ts";

export interface NodeDoorParts extends ScriptExpressParts {
  readonly nodes: NodeStore;
  readonly blobs: BlobStore;
  readonly findImage: (id: string) => Promise<Image | undefined>;
  /** Called after a node has reported, so that what waits for it goes on at once. */
  readonly onReport: () => void;
}

const reportBytes = 4096;

/** The phase that is reached when a file of an image has been sent. */
const phases: Readonly<Partial<Record<ArtifactName, BootPhase>>> = {
  rootfs: "root",
  kernel: "kernel",
  initrd: "initrd",
};

/** Everything that a booting node may ask for, over plain HTTP and without a token; nothing else is served here. */
export function registerNodeDoor(app: FastifyInstance, parts: NodeDoorParts): void {
  answerScriptsFirst(app, parts);
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get(chainPath, async (request, reply) => reply.type("text/plain").send(chainScript(doorOf(request))));
  for (const path of scriptPaths) {
    app.get(path, async (request, reply) => sendScript(parts, request, reply, path));
  }
  app.route<{ Params: { image: string; file: string }; Querystring: { boot?: string } }>({
    method: ["GET", "HEAD"],
    url: "/boot-images/:image/:file",
    handler: async (request, reply) => sendFile(parts, request, reply),
  });
  app.post<{ Params: { boot: string } }>(
    "/netkiln/v1/boots/:boot",
    { bodyLimit: reportBytes },
    async (request, reply) => {
      await takeReport(parts, request.params.boot, parseAs(reportSchema, request.body, "the report"));
      return reply.code(204).send();
    },
  );
}

function doorOf(request: FastifyRequest): string {
  return request.headers.host ?? "";
}

async function sendScript(
  parts: NodeDoorParts,
  request: FastifyRequest,
  reply: FastifyReply,
  path: ScriptPath,
): Promise<FastifyReply> {
  const query = parseAs(scriptQuerySchema, request.query, "the query");
  const ask = scriptAskOf(query, path);
  const door = doorOf(request);
  // Somebody looks at it: no node boots with JSON.
  if (query.json) return reply.send(await parts.scripts.json(ask, door));
  const fetched = { script: await parts.scripts.find(ask), door, retry: query.retry, address: request.ip };
  const boot = bootOf(parts, fetched);
  const bootId = boot && (await parts.boots.forScript(boot.xname, boot));
  return reply.type("text/plain").send(printFor(parts, fetched, bootId));
}

async function sendFile(
  { blobs, findImage, boots }: NodeDoorParts,
  request: FastifyRequest<{ Params: { image: string; file: string }; Querystring: { boot?: string } }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const artifact = artifactOfFile(request.params.file);
  const blob = artifact && (await findBlob(findImage, request.params.image, artifact));
  if (artifact === undefined || blob === undefined || !(await blobs.has(blob.sha256))) {
    throw new NetkilnError("not_found", `there is no file ${request.params.file} of image ${request.params.image}`);
  }
  const method = request.method === "HEAD" ? "HEAD" : "GET";
  const { status, headers, range } = answerBytes(blob.size, blob.sha256, { method, headers: request.headers });
  reply
    .code(status)
    .headers(headers)
    .type(artifact === "manifest" ? "application/json" : "application/octet-stream");
  const { boot } = request.query;
  // The response that ends with the file's last byte completes the file, also when a node resumed a cut transfer.
  // "finish" comes when all was handed to the operating system; a connection that is cut before only closes.
  const phase = phases[artifact];
  if (typeof boot === "string" && phase !== undefined && range?.end === blob.size - 1) {
    reply.raw.once("finish", () => {
      const detail = { bytes: blob.size, address: request.ip };
      boots.record(boot, phase, "server", detail).catch((error: unknown) => log.error({ error }, "phase not recorded"));
    });
  }
  return reply.send(range === undefined ? "" : blobs.read(blob.sha256, range));
}

async function findBlob(
  findImage: NodeDoorParts["findImage"],
  id: string,
  artifact: ArtifactName,
): Promise<Digests | undefined> {
  const image = await findImage(id);
  return image?.id === id ? image.artifacts[artifact] : undefined;
}

/** A report is believed to come from the node because it knows the boot's id. */
async function takeReport({ boots, nodes, onReport }: NodeDoorParts, id: string, report: Report): Promise<void> {
  const boot = await boots.get(id);
  if (boot === undefined) throw new NetkilnError("not_found", "there is no such boot");
  const { phase, build, state, failed, uptime, detail } = report;
  await boots.record(id, phase, "node", {
    ...(build !== undefined && { buildId: build }),
    ...(state !== undefined && { state }),
    ...(failed !== undefined && failed !== "" && { failedUnits: failed.split(" ") }),
    ...(uptime !== undefined && { uptime }),
    ...(detail !== undefined && detail !== "" && { message: detail }),
  });
  const current = await boots.current(boot.xname);
  if (phase === "ready" && current?.id === id) await nodes.setState(boot.xname, "Ready");
  onReport();
}
