import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Command } from "commander";
import fastify from "fastify";
import { imageImportSchema, type ImageImport } from "../api/native/image-import-schema.ts";
import { answerProblems } from "../api/problem.ts";
import { NetkilnError } from "../lib/errors.ts";
import { sha256 } from "../lib/files.ts";
import { parseAs } from "../lib/parse.ts";
import { openClient } from "./client.ts";
import { addImageImport } from "./image-import.ts";

const data = await mkdtemp(join(tmpdir(), "netkiln-import-"));
const app = fastify({ forceCloseConnections: true });
const socket = join(data, "socket");
const requests: ImageImport[] = [];
const warnings: string[] = [];

before(async () => {
  await writeFile(join(data, "root.squashfs"), "a root tree");
  await writeFile(join(data, "vmlinuz"), "a kernel");
  await writeFile(join(data, "initrd"), "an initrd");
  await writeFile(join(data, "empty"), "");
  answerProblems(app);
  const known = new Map<string, number>();
  app.addContentTypeParser("application/octet-stream", { parseAs: "buffer" }, async (_: unknown, body: Buffer) => body);
  app.get<{ Params: { digest: string } }>("/apis/netkiln/v1/blobs/:digest", async ({ params: { digest } }) => {
    const size = known.get(digest);
    if (size === undefined) throw new NetkilnError("not_found", "there is no such blob");
    return { sha256: digest, size };
  });
  app.post<{ Body: Buffer }>("/apis/netkiln/v1/blobs", async ({ body }) => {
    known.set(sha256(body), body.length);
    return { sha256: sha256(body), size: body.length };
  });
  app.post("/apis/netkiln/v1/images/import", async ({ body }) => {
    requests.push(parseAs(imageImportSchema, body, "the request"));
    return { build: { id: "0123456789abcdef", image: "rocky9" }, warnings };
  });
  await app.listen({ path: socket });
});
after(async () => {
  await app.close();
  await rm(data, { recursive: true });
});

async function run(...args: string[]): Promise<string[]> {
  const printed: string[] = [];
  const print = (text: string) => void printed.push(text);
  const output = { json: false, terminal: false, color: false, print, warn: print, status: () => undefined };
  const images = new Command("images").exitOverride();
  addImageImport(images, () => ({ client: openClient(`unix:${socket}`, undefined), output }));
  await images.parseAsync(["import", ...args], { from: "user" });
  return printed;
}

test("files are uploaded once, and the image is asked for by their digests", async () => {
  const boot = ["--kernel", join(data, "vmlinuz"), "--initrd", join(data, "initrd")];
  const files = ["--rootfs", join(data, "root.squashfs")];
  const [archive, kernel, initrd] = [sha256("a root tree"), sha256("a kernel"), sha256("an initrd")];
  warnings.push("the initrd is odd");
  assert.deepEqual(
    await run("--name", "rocky9", ...files, ...boot, "--arch", "aarch64", "--kernel-parameters", "quiet"),
    [
      `root.squashfs: 11 B uploaded (${archive.slice(0, 12)})`,
      `vmlinuz: 8 B uploaded (${kernel.slice(0, 12)})`,
      `initrd: 9 B uploaded (${initrd.slice(0, 12)})`,
      "warning: the initrd is odd",
      "rocky9: build 01234567\nnetkiln builds logs -f 01234567 follows it",
    ],
  );
  assert.deepEqual(requests, [{ name: "rocky9", archive, kernel, initrd, arch: "aarch64", kernelParameters: "quiet" }]);
  warnings.pop();
  assert.deepEqual(await run("--name", "rocky9", ...files), [
    `root.squashfs: 11 B there already (${archive.slice(0, 12)})`,
    "rocky9: build 01234567\nnetkiln builds logs -f 01234567 follows it",
  ]);
  assert.deepEqual(requests[1], { name: "rocky9", archive, arch: "x86_64", kernelParameters: "" });
});

test("mistakes are told before anything is sent", async () => {
  const rootfs = ["--name", "x", "--rootfs", join(data, "root.squashfs")];
  const kernel = ["--kernel", join(data, "vmlinuz")];
  await assert.rejects(run("--name", "x", "--rootfs", join(data, "none")), /none does not exist$/);
  await assert.rejects(run(...rootfs, "--initrd", data, ...kernel), /is not a file$/);
  await assert.rejects(run(...rootfs, "--initrd", join(data, "empty"), ...kernel), /is empty$/);
  await assert.rejects(run(...rootfs, "--initrd", join(data, "initrd")), /an initrd belongs to one kernel/);
  await assert.rejects(run(...rootfs, ...kernel), /a kernel belongs to one initrd/);
});
