import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { BlobStore } from "../../artifact/index.ts";
import {
  bootScript,
  chainScript,
  imageOfLink,
  resolveBoot,
  waitScript,
  type BootEntryStore,
} from "../../boot/index.ts";
import type { ArtifactName, Image } from "../../image/index.ts";
import { NetkilnError } from "../../lib/errors.ts";
import type { Digests } from "../../lib/files.ts";
import { log } from "../../lib/log.ts";
import { parseAs } from "../../lib/parse.ts";
import { answerBytes } from "../../netboot/index.ts";
import type { NodeStore } from "../../node/index.ts";
import type { BootPhase, BootRecords } from "../../telemetry/index.ts";
import { reportSchema, scriptQuerySchema, type Report } from "./schema.ts";

export interface NodeDoorParts {
  readonly nodes: NodeStore;
  readonly entries: BootEntryStore;
  readonly boots: BootRecords;
  readonly blobs: BlobStore;
  readonly findImage: (id: string) => Promise<Image | undefined>;
  /** Called after a node has reported, so that what waits for it goes on at once. */
  readonly onReport: () => void;
}

const reportBytes = 4096;

/** The files of an image by the last part of their links, and the phase that is reached when one has been sent. */
const files: Readonly<Record<string, { artifact: ArtifactName; phase?: BootPhase; type: string }>> = {
  rootfs: { artifact: "rootfs", phase: "root", type: "application/octet-stream" },
  kernel: { artifact: "kernel", phase: "kernel", type: "application/octet-stream" },
  initrd: { artifact: "initrd", phase: "initrd", type: "application/octet-stream" },
  "manifest.json": { artifact: "manifest", type: "application/json" },
};

/** Everything that a booting node may ask for, over plain HTTP and without a token; nothing else is served here. */
export function registerNodeDoor(app: FastifyInstance, parts: NodeDoorParts): void {
  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/boot.ipxe", async (request, reply) => reply.type("text/plain").send(chainScript(doorOf(request))));
  for (const path of ["/boot/v1/bootscript", "/apis/bss/boot/v1/bootscript"]) {
    app.get(path, async (request, reply) => reply.type("text/plain").send(await scriptFor(parts, request)));
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

/** How the node reached this door, which is how it will reach it again. */
function doorOf(request: FastifyRequest): string {
  return request.headers.host ?? "";
}

async function scriptFor(
  { nodes, entries, boots, findImage }: NodeDoorParts,
  request: FastifyRequest,
): Promise<string> {
  const { retry, ...asked } = parseAs(scriptQuerySchema, request.query, "the query");
  const query = { door: doorOf(request), asked, retry };
  const { node, entry, because } = await resolveBoot({ nodes, entries }, asked);
  if (node === undefined || entry === undefined) return waitScript({ ...query, because });
  const imageId = imageOfLink(entry.kernel);
  const image = imageId === undefined ? undefined : await findImage(imageId);
  // What cannot be printed begins no boot.
  bootScript({ ...query, node, entry, bootId: undefined });
  const boot = await boots.forScript(node.xname, { retry, target: { imageId, expectedBuildId: image?.buildId } });
  await boots.record(boot.id, "script", "server", { because, address: request.ip });
  return bootScript({ ...query, node, entry, bootId: boot.id });
}

async function sendFile(
  { blobs, findImage, boots }: NodeDoorParts,
  request: FastifyRequest<{ Params: { image: string; file: string }; Querystring: { boot?: string } }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const file = Object.hasOwn(files, request.params.file) ? files[request.params.file] : undefined;
  const blob = file && (await findBlob(findImage, request.params.image, file.artifact));
  if (file === undefined || blob === undefined || !(await blobs.has(blob.sha256))) {
    throw new NetkilnError("not_found", `there is no file ${request.params.file} of image ${request.params.image}`);
  }
  const method = request.method === "HEAD" ? "HEAD" : "GET";
  const { status, headers, range } = answerBytes(blob.size, blob.sha256, { method, headers: request.headers });
  reply.code(status).headers(headers).type(file.type);
  const { boot } = request.query;
  // The response that ends with the file's last byte completes the file, also when a node resumed a cut transfer.
  // "finish" comes when all was handed to the operating system; a connection that is cut before only closes.
  if (typeof boot === "string" && file.phase !== undefined && range?.end === blob.size - 1) {
    const { phase } = file;
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
  const newest = await boots.latest(boot.xname);
  if (phase === "ready" && newest?.id === id) await nodes.setState(boot.xname, "Ready");
  onReport();
}
