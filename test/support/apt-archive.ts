/** A package archive of one's own, signed and served on loopback as mirrors are, that can be made to fail. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { tool } from "./site.ts";

const sha256 = (bytes: Buffer | string) => createHash("sha256").update(bytes).digest("hex");

/** Makes a package with dpkg-deb; `fields` are lines of its control file. Returns its path. */
export async function makeDeb(folder: string, name: string, version: string, fields: readonly string[] = []) {
  const root = join(folder, `${name}_${version}`);
  await mkdir(join(root, "DEBIAN"), { recursive: true });
  await mkdir(join(root, "usr/share", name), { recursive: true });
  await writeFile(join(root, "usr/share", name, "version"), `${version}\n`);
  const all = [`Package: ${name}`, `Version: ${version}`, "Maintainer: tester <tester@example.org>"];
  if (!fields.some((field) => field.startsWith("Architecture:"))) all.push("Architecture: all");
  await writeFile(join(root, "DEBIAN/control"), [...all, ...fields, `Description: ${name}`, ""].join("\n"));
  const file = `${root.replaceAll(":", "%3a")}.deb`;
  await tool("dpkg-deb", "--root-owner-group", "--build", root, file);
  return file;
}

export interface Archive {
  readonly folder: string;
  /** The file with the key that it is signed with. */
  readonly key: string;
  /** Brings .deb files into a component of a suite; what was in it stays. */
  add(suite: string, component: string, debs: readonly string[]): Promise<void>;
  /** Writes the suite's index and its signed Release. */
  publish(suite: string): Promise<void>;
}

/** An archive without packages in a folder that exists, with a signing key of its own. */
export async function makeArchive(folder: string, arch: string): Promise<Archive> {
  const home = join(folder, "gnupg");
  const key = join(folder, "key.asc");
  await mkdir(home, { mode: 0o700 });
  const gpg = (...args: string[]) =>
    tool("gpg", "--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "", ...args);
  await gpg("--quick-gen-key", "tester <tester@example.org>", "ed25519", "sign", "never");
  await gpg("--armor", "--output", key, "--export");
  await tool("gpgconf", "--homedir", home, "--kill", "gpg-agent");
  const stanzas = new Map<string, string[]>();
  return {
    folder,
    key,
    add: async (suite, component, debs) => {
      const list = stanzas.get(`${suite} ${component}`) ?? [];
      stanzas.set(`${suite} ${component}`, list);
      for (const deb of debs) {
        const control = (await tool("dpkg-deb", "--field", deb)).trim();
        const bytes = await readFile(deb);
        const digest = sha256(bytes);
        const name = /^Package: (\S+)$/m.exec(control)?.[1] ?? "";
        const filename = `pool/${component}/${name}/${name}_${digest.slice(0, 8)}.deb`;
        await mkdir(join(folder, "pool", component, name), { recursive: true });
        await copyFile(deb, join(folder, filename));
        list.push(`${control}\nFilename: ${filename}\nSize: ${bytes.length}\nSHA256: ${digest}\n`);
      }
    },
    publish: async (suite) => {
      const components = [...stanzas.keys()].filter((id) => id.startsWith(`${suite} `)).map((id) => id.split(" ")[1]);
      const sums: string[] = [];
      for (const component of components) {
        const path = `${component}/binary-${arch}/Packages`;
        const text = (stanzas.get(`${suite} ${component}`) ?? []).join("\n");
        await mkdir(join(folder, "dists", suite, path, ".."), { recursive: true });
        await writeFile(join(folder, "dists", suite, path), text);
        sums.push(` ${sha256(text)} ${Buffer.byteLength(text)} ${path}`);
      }
      const release = join(folder, "dists", suite, "Release");
      const head = [`Origin: Test`, `Suite: ${suite}`, `Codename: ${suite}`, `Architectures: ${arch}`];
      const date = new Date().toUTCString().replace("GMT", "UTC");
      const lines = [...head, `Components: ${components.join(" ")}`, `Date: ${date}`, "SHA256:", ...sums, ""];
      await writeFile(release, lines.join("\n"));
      await gpg("--clearsign", "--output", join(folder, "dists", suite, "InRelease"), release);
      await tool("gpgconf", "--homedir", home, "--kill", "gpg-agent");
    },
  };
}

export interface Mirror {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Paths of the packages that were asked for. */
  readonly fetched: string[];
  /** How packages are answered: `cut` ends each connection in the middle of one, `other` sends as many other bytes. */
  behave(how: "well" | "cut" | "other" | "missing"): void;
  stop(): Promise<void>;
}

/** Serves an archive. */
export async function startMirror(folder: string): Promise<Mirror> {
  const fetched: string[] = [];
  let how: Parameters<Mirror["behave"]>[0] = "well";
  const answer = async (path: string, response: ServerResponse): Promise<void> => {
    const bytes = await readFile(join(folder, path)).catch(() => undefined);
    if (bytes === undefined || (how === "missing" && path.endsWith(".deb"))) {
      response.writeHead(404).end();
      return;
    }
    if (path.endsWith(".deb")) fetched.push(path);
    response.writeHead(200, { "content-length": bytes.length });
    if (!path.endsWith(".deb") || how === "well") response.end(bytes);
    else if (how === "other") response.end(Buffer.alloc(bytes.length, 1));
    else response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
  };
  const server = createServer((request, response) => {
    void answer(decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname), response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fetched,
    behave: (next) => (how = next),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
