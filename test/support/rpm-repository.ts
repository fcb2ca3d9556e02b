/** Small real RPM repositories, made with rpmbuild, gpg, rpmsign and createrepo_c, and served over HTTP on loopback. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { chmod, cp, link, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface TestPackage {
  readonly name: string;
  readonly epoch?: number;
  readonly version?: string;
  readonly release?: string;
  readonly arch?: "noarch" | "x86_64";
  readonly requires?: readonly string[];
  readonly recommends?: readonly string[];
  readonly provides?: readonly string[];
  /** Texts by path; those below bin are programs. */
  readonly files?: Readonly<Record<string, string>>;
  /** Files of this machine, by the path where they go. */
  readonly copies?: Readonly<Record<string, string>>;
  /** Empty folders with their modes. */
  readonly folders?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly post?: string;
  readonly posttrans?: string;
  /** `NAME:STREAM:VERSION:CONTEXT` of the module that it belongs to. */
  readonly moduleLabel?: string;
}

export interface TestKey {
  readonly fingerprint: string;
  /** The last 8 hexadecimal digits of it, as rpm 4.18 names keys. */
  readonly shortId: string;
  /** The public key, armoured. */
  readonly publicKey: string;
}

export interface Workshop {
  readonly folder: string;
  /** Builds packages, all in one run of rpmbuild; returns their files in the same order. */
  build(packages: readonly TestPackage[]): Promise<string[]>;
  makeKey(owner: string): Promise<TestKey>;
  /** Signs copies of the packages, and returns these. */
  sign(files: readonly string[], key: TestKey): Promise<string[]>;
  /** Makes or makes anew a repository of these packages; returns its folder. */
  publish(name: string, files: readonly string[], more?: { comps?: string; modules?: string }): Promise<string>;
  clear(): Promise<void>;
}

export async function openWorkshop(folder: string): Promise<Workshop> {
  const gnupg = join(folder, "gnupg");
  await mkdir(gnupg, { recursive: true, mode: 0o700 });
  const env = { PATH: process.env["PATH"], HOME: folder, GNUPGHOME: gnupg, SOURCE_DATE_EPOCH: "1700000000" };
  const tool = async (program: string, ...args: string[]) =>
    (await run(program, args, { env, maxBuffer: 1 << 26 })).stdout;
  let made = 0;

  return {
    folder,
    build: async (packages) => {
      const top = join(folder, `build-${(made += 1)}`);
      const specs = await Promise.all(packages.map((one, index) => writeSpec(one, join(top, String(index)))));
      const format = "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm";
      const settings = [
        `_topdir ${top}`,
        `_rpmdir ${top}/RPMS`,
        `_build_name_fmt ${format}`,
        "_binary_payload w1.gzdio",
      ];
      const reproducible = ["use_source_date_epoch_as_buildtime 1", "_buildhost builder", "__os_install_post %{nil}"];
      const defines = [...settings, ...reproducible].flatMap((line) => ["--define", line]);
      await tool("rpmbuild", "-bb", "--quiet", ...defines, ...specs);
      return packages.map((one) => join(top, "RPMS", fileName(one)));
    },
    makeKey: async (owner) => {
      await tool("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", owner, "rsa2048", "sign", "never");
      const listed = await tool("gpg", "--batch", "--with-colons", "--list-keys", owner);
      const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? "";
      const publicKey = await tool("gpg", "--batch", "--armor", "--export", fingerprint);
      return { fingerprint, shortId: fingerprint.slice(-8).toLowerCase(), publicKey };
    },
    sign: async (files, key) => {
      const signed = join(folder, `signed-${(made += 1)}`);
      await mkdir(signed);
      const copies = files.map((file) => join(signed, basename(file)));
      for (const [index, copy] of copies.entries()) await cp(files[index] ?? "", copy);
      // Debian's rpm looks for gpg2, which Debian's gnupg does not have.
      const defines = ["--define", "__gpg /usr/bin/gpg", "--define", `_gpg_name ${key.fingerprint}`];
      await tool("rpmsign", ...defines, "--addsign", ...copies);
      return copies;
    },
    publish: async (name, files, { comps, modules } = {}) => {
      const repository = join(folder, "repositories", name);
      await rm(repository, { recursive: true, force: true });
      await mkdir(repository, { recursive: true });
      for (const file of files) await link(file, join(repository, basename(file)));
      const extra = async (file: string, text: string) => {
        const path = join(folder, file);
        await writeFile(path, text);
        return path;
      };
      const groups = comps === undefined ? [] : ["--groupfile", await extra("comps.xml", comps)];
      await tool("createrepo_c", "--quiet", "--workers", "1", ...groups, repository);
      if (modules !== undefined) {
        const file = await extra("modules.yaml", modules);
        await tool("modifyrepo_c", "--mdtype=modules", file, join(repository, "repodata"));
      }
      return repository;
    },
    clear: async () => {
      await run("gpgconf", ["--homedir", gnupg, "--kill", "all"], { env });
      await rm(folder, { recursive: true });
    },
  };
}

function fileName({ name, version = "1.0", release = "1", arch = "noarch" }: TestPackage): string {
  return `${name}-${version}-${release}.${arch}.rpm`;
}

/** Puts the files of a package together in `folder`, and writes its spec file; returns the spec's path. */
async function writeSpec(one: TestPackage, folder: string): Promise<string> {
  const root = join(folder, "root");
  const place = async (path: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    return join(root, path);
  };
  await mkdir(root, { recursive: true });
  for (const [path, text] of Object.entries(one.files ?? {})) {
    await writeFile(await place(path), text);
    if (/bin\//.test(path)) await chmod(join(root, path), 0o755);
  }
  for (const [path, from] of Object.entries(one.copies ?? {})) await cp(from, await place(path), { dereference: true });
  for (const path of Object.keys(one.folders ?? {})) await mkdir(await place(path), { recursive: true });
  for (const [path, target] of Object.entries(one.links ?? {})) await run("ln", ["-s", target, await place(path)]);
  const paths = [...Object.keys(one.files ?? {}), ...Object.keys(one.copies ?? {}), ...Object.keys(one.links ?? {})];
  const many = (tag: string, values: readonly string[] = []) => values.map((value) => `${tag}: ${value}`);
  const section = (name: string, text: string | undefined) => (text === undefined ? [] : [`%${name}`, text]);
  const lines = [
    ...[`Name: ${one.name}`, `Version: ${one.version ?? "1.0"}`, `Release: ${one.release ?? "1"}`],
    ...["Summary: A package to test with", "License: MIT", "AutoReqProv: no"],
    ...(one.epoch === undefined ? [] : [`Epoch: ${one.epoch}`]),
    ...((one.arch ?? "noarch") === "noarch" ? ["BuildArch: noarch"] : []),
    ...(one.moduleLabel === undefined ? [] : [`ModularityLabel: ${one.moduleLabel}`]),
    ...many("Requires", one.requires),
    ...many("Recommends", one.recommends),
    ...many("Provides", one.provides),
    ...["%global debug_package %{nil}", "%description", "A package to test with."],
    ...["%install", `mkdir -p %{buildroot}`, `cp -a ${root}/. %{buildroot}/`],
    ...section("post", one.post),
    ...section("posttrans", one.posttrans),
    ...["%files", "%defattr(-,root,root,-)", ...paths],
    ...Object.entries(one.folders ?? {}).map(([path, mode]) => `%dir %attr(${mode},root,root) ${path}`),
  ];
  const spec = join(folder, `${one.name}.spec`);
  await writeFile(spec, lines.map((line) => `${line}\n`).join(""));
  return spec;
}

/** The shared libraries that programs of this machine need. */
export async function librariesOf(...programs: string[]): Promise<string[]> {
  const { stdout } = await run("ldd", programs);
  const found = [...stdout.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) => (path === undefined ? [] : [path]));
  return [...new Set(found)];
}

/** What a base of any RPM distribution begins with: the top folders, and a shell that runs with nothing else. */
export async function basePackages(): Promise<TestPackage[]> {
  const libraries = await librariesOf("/bin/dash");
  const top = { "/usr": "0755", "/usr/bin": "0755", "/etc": "0755", "/var": "0755", "/var/lib": "0755" };
  return [
    {
      name: "filesystem",
      version: "3.16",
      folders: { ...top, "/root": "0550", "/tmp": "1777", "/proc": "0555", "/sys": "0555", "/boot": "0555" },
      links: { "/bin": "usr/bin" },
    },
    {
      name: "tiny-shell",
      arch: "x86_64",
      requires: ["filesystem"],
      provides: ["/bin/sh"],
      copies: { "/usr/bin/sh": "/bin/dash", ...Object.fromEntries(libraries.map((path) => [path, path])) },
    },
  ];
}

export interface RepositoryServer {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Says for each path how to answer. */
  behave(answer: (path: string) => Answer): void;
  stop(): Promise<void>;
}

/** The server is gone for good after half of a file that is "cut", or all of one that is the "last". */
export type Answer = "serve" | "missing" | "cut" | "last";

/** Serves a folder with plain GET, as a mirror does. */
export async function serveRepositories(folder: string): Promise<RepositoryServer> {
  const asked: string[] = [];
  let answer: (path: string) => Answer = () => "serve";
  const server: Server = createServer((request, response) => {
    void (async () => {
      const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
      asked.push(path);
      const file = join(folder, path);
      const found = await stat(file).catch(() => undefined);
      const how = answer(path);
      if (how === "missing" || found?.isFile() !== true) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { "content-length": found.size });
      if (how === "cut") {
        const half = createReadStream(file, { end: Math.floor(found.size / 2) });
        for await (const chunk of half) response.write(chunk);
      } else {
        await pipeline(createReadStream(file), response);
      }
      if (how === "serve") return;
      server.close();
      server.closeAllConnections();
    })().catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    behave: (next) => {
      answer = next;
    },
    stop: async () => {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** A modulemd-stream document (version 2) for one stream with these packages. */
export function moduleDocument(name: string, stream: string, packages: readonly TestPackage[]): string {
  const nevra = ({ epoch = 0, version = "1.0", release = "1", arch = "noarch", ...one }: TestPackage) =>
    `${one.name}-${epoch}:${version}-${release}.${arch}`;
  return `---
document: modulemd
version: 2
data:
  name: ${name}
  stream: "${stream}"
  version: 1
  context: c0ffee42
  arch: x86_64
  summary: A module to test with
  description: A module to test with.
  license: {module: [MIT]}
  profiles:
    common: {rpms: [${[...new Set(packages.map((one) => one.name))].join(", ")}]}
  artifacts:
    rpms: [${packages.map((one) => `"${nevra(one)}"`).join(", ")}]
...
`;
}

/** comps.xml with one group of mandatory packages, and one environment of that group. */
export function compsDocument(group: string, packages: readonly string[]): string {
  const wanted = packages.map((name) => `<packagereq type="mandatory">${name}</packagereq>`).join("");
  return `<?xml version="1.0" encoding="UTF-8"?>
<comps>
  <group><id>${group}</id><name>${group}</name><description/><default>false</default><uservisible>true</uservisible>
    <packagelist>${wanted}</packagelist></group>
  <environment><id>${group}-environment</id><name>${group} environment</name><description/>
    <grouplist><groupid>${group}</groupid></grouplist></environment>
</comps>
`;
}
