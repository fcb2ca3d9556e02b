/** The real docker-registry, buildah, podman and skopeo, each with storage of its own below a folder of the test. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { waitUntil } from "./server.ts";

const run = promisify(execFile);

export interface TestRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** The file in which it keeps a blob or manifest, `sha256:…`. */
  file(digest: string): string;
  stop(): Promise<void>;
}

/** `htpasswd` is a line USER:HASH (bcrypt); with it, nobody is let in without. */
export async function startRegistry(folder: string, htpasswd?: string): Promise<TestRegistry> {
  const host = `127.0.0.1:${await freePort()}`;
  await mkdir(folder, { recursive: true });
  const passwords = join(folder, "htpasswd");
  if (htpasswd !== undefined) await writeFile(passwords, `${htpasswd}\n`);
  const auth = htpasswd === undefined ? "" : `auth: {htpasswd: {realm: test, path: ${passwords}}}\n`;
  const storage = `{filesystem: {rootdirectory: ${folder}}}`;
  const text = `version: 0.1\nlog: {level: error}\nstorage: ${storage}\nhttp: {addr: "${host}"}\n${auth}`;
  await writeFile(join(folder, "registry.yml"), text);
  const child = spawn("docker-registry", ["serve", join(folder, "registry.yml")], { stdio: "ignore" });
  await waitUntil(60, async () => {
    assert.equal(child.exitCode, null, "docker-registry runs");
    return fetch(`http://${host}/v2/`).then(
      () => true,
      () => false,
    );
  });
  return {
    host,
    file: (digest) => {
      const hex = digest.replace("sha256:", "");
      return join(folder, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  server.close();
  await once(server, "close");
  return address.port;
}

/** Runs them on a storage of their own; a failure shows what they said. */
export type ContainerTool = (program: "buildah" | "podman" | "skopeo", ...args: string[]) => Promise<string>;

export async function containerTools(folder: string): Promise<ContainerTool> {
  await mkdir(folder, { recursive: true });
  const storage = join(folder, "storage.conf");
  const roots = `graphroot="${join(folder, "graph")}"\nrunroot="${join(folder, "run")}"`;
  await writeFile(storage, `[storage]\ndriver="overlay"\n${roots}\n`);
  const env = {
    PATH: process.env["PATH"],
    HOME: folder,
    CONTAINERS_STORAGE_CONF: storage,
    BUILDAH_ISOLATION: "chroot",
    TMPDIR: folder,
  };
  return async (program, ...args) => {
    const { stdout } = await run(program, args, { env, maxBuffer: 1 << 26 }).catch(
      (error: Error & { stderr?: string }) =>
        assert.fail(`${program} ${args.join(" ")}: ${error.message}\n${error.stderr ?? ""}`),
    );
    return stdout.trim();
  };
}
