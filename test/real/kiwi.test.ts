/** KIWI descriptions with the real kiwi-ng, over a small repository of real RPM packages on loopback; needs root. */
import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createReadStream } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openFileBlobs, type BlobStore } from "../../src/artifact/index.ts";
import { kiwiBase } from "../../src/build/base/kiwi.ts";
import { makeRepository, priorities, readPriorities } from "../../src/build/base/kiwi-packages.ts";
import type { Lock, LockedPackage } from "../../src/build/base/types.ts";
import type { KiwiSpec, RecipeEntry } from "../../src/image/index.ts";
import type { NetkilnError } from "../../src/lib/errors.ts";
import { failureOf } from "../../src/lib/failure-of.ts";
import { openBaseWorld } from "../support/base-world.ts";
import { makeFolder, mountsBelow, processesOf, startServer } from "../support/server.ts";
import { tool } from "../support/site.ts";

let folder: string;
let repository: string;
let blobs: BlobStore;
let server: Server;
let url: string;
let asked: string[] = [];
let number = 0;

before(async () => {
  folder = await makeFolder();
  repository = join(folder, "repository");
  blobs = openFileBlobs(join(folder, "data/blobs"));
  await mkdir(join(folder, "data"));
  await mkdir(repository);
  await rpm("tiny-shell", "1.0", shellFiles);
  await rpm("tiny-tool", "1.0", "mkdir -p usr/share/tiny; echo 1.0 >usr/share/tiny/version", "Requires: tiny-shell");
  await tool("createrepo_c", "--quiet", repository);
  server = createServer((request, response) => {
    asked.push(request.url ?? "");
    createReadStream(join(repository, request.url ?? ""))
      .on("error", () => response.writeHead(404).end())
      .pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

after(async () => {
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true });
});

/** The shell of this machine with its libraries: enough of a system for the scripts of a description. */
const shellFiles = `mkdir -p usr/bin usr/sbin usr/lib usr/lib64 usr/lib/x86_64-linux-gnu etc
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
cp /usr/bin/bash /usr/bin/env /usr/bin/cat usr/bin; ln -s bash usr/bin/sh
cp -L /lib64/ld-linux-x86-64.so.2 usr/lib64
for name in libc.so.6 libtinfo.so.6; do cp -L /usr/lib/x86_64-linux-gnu/$name usr/lib/x86_64-linux-gnu; done
echo ID=tiny >etc/os-release`;

async function rpm(name: string, version: string, files: string, more = ""): Promise<void> {
  const top = join(folder, `rpm-${name}-${version}`);
  await mkdir(top);
  const lists = "find . -mindepth 1 -type d -printf '%%%%dir \"/%%P\"\\n' -o -mindepth 1 -printf '\"/%%P\"\\n'";
  const spec = `Name: ${name}
Version: ${version}
Release: 1
Summary: ${name}
License: MIT
BuildArch: noarch
AutoReqProv: no
${more}
%description
${name}
%install
cd %{buildroot}
${files}
${lists} >%{_topdir}/files
%files -f %{_topdir}/files
`;
  await writeFile(join(top, "it.spec"), spec);
  const define = (key: string, value: string) => ["--define", `${key} ${value}`];
  await tool(
    "rpmbuild",
    ...["-bb", "--quiet", ...define("_topdir", top), ...define("_rpmdir", repository)],
    ...[
      ...define("_build_name_fmt", "%%{NAME}-%%{VERSION}.rpm"),
      ...define("_binaries_in_noarch_packages_terminate_build", "0"),
    ],
    ...[...define("__os_install_post", "%{nil}"), join(top, "it.spec")],
  );
}

const config = (
  packages: string,
  repositories = `<repository type="rpm-md" alias="tiny"><source path="{{ URL }}"/></repository>`,
) =>
  `<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="7.4" name="tiny">
  <description type="system"><author>a</author><contact>a@example.org</contact><specification>tiny</specification></description>
  <preferences>
    <version>1.0.0</version>
    <packagemanager>dnf</packagemanager>
    <rpm-check-signatures>false</rpm-check-signatures>
    <type image="tbz"/>
  </preferences>
  ${repositories}
  <packages type="image"/>
  <packages type="bootstrap">${packages}</packages>
</image>
`;

const configSh = `#!/bin/bash
set -e
test ! -e /dev/vda -a ! -e /dev/sda
read -r release </etc/release
echo "$HOSTNAME" >/etc/hostname
echo "$release from config.sh" >/etc/motd
`;

interface Described {
  readonly spec: KiwiSpec;
  readonly files: readonly RecipeEntry[];
}

async function describe(
  files: Readonly<Record<string, string>>,
  template: KiwiSpec["template"] = {},
): Promise<Described> {
  const entries = await Promise.all(
    Object.entries(files).map(async ([path, text]) => ({
      path,
      executable: path.endsWith(".sh"),
      sha256: (await blobs.putBytes(text)).sha256,
    })),
  );
  const common = { layers: [], outputs: ["squashfs" as const], checks: [], epoch: 1_750_000_000 };
  return {
    spec: { ...common, name: "tiny", distribution: "kiwi", arch: "x86_64", profiles: [], template },
    files: entries,
  };
}

const tiny = (config_: string) => ({
  "config.xml": config_,
  "config.sh": configSh,
  "root/etc/release": "release {{ not rendered }}\n",
  ".ims_recipe_template.yaml": "template_files: [config.xml]\n",
});

const world = (lines: string[] = []) =>
  openBaseWorld(blobs, join(folder, `work-${(number += 1)}`), { onLine: (line) => void lines.push(line) });

async function fails({ spec, files }: Described): Promise<NetkilnError> {
  return failureOf(kiwiBase(files).resolve(spec, await world()));
}

let lock: Lock;
let described: Described;

test("a description is rendered, run by kiwi, and locked by what it installed", async () => {
  described = await describe(tiny(config('<package name="tiny-tool"/>')), { URL: url });
  const lines: string[] = [];
  lock = await kiwiBase(described.files).resolve(described.spec, await world(lines));
  assert.equal(lock.family, "rpm");
  assert.deepEqual(
    lock.packages.map(({ name, version, arch }) => [name, version, arch]),
    [
      ["tiny-shell", "1.0-1", "noarch"],
      ["tiny-tool", "1.0-1", "noarch"],
    ],
  );
  for (const { sha256 } of lock.packages) assert.ok(await blobs.has(sha256));
  assert.equal(lock.files["config.sh"], described.files.find(({ path }) => path === "config.sh")?.sha256);
  assert.ok(lines.includes("Installing bootstrap packages"), lines.join("\n"));
});

test("the tree is made from the lock alone, twice the same, also when the repository has newer packages", async () => {
  await rpm("tiny-tool", "2.0", "mkdir -p usr/share/tiny; echo 2.0 >usr/share/tiny/version", "Requires: tiny-shell");
  await tool("createrepo_c", "--quiet", "--update", repository);
  asked = [];
  const sums: string[] = [];
  for (const name of ["first", "second"]) {
    const tree = join(folder, name);
    await mkdir(tree);
    await kiwiBase(described.files).make(described.spec, lock, tree, await world());
    assert.equal(await readFile(join(tree, "usr/share/tiny/version"), "utf8"), "1.0\n");
    assert.equal(await readFile(join(tree, "etc/motd"), "utf8"), "release {{ not rendered }} from config.sh\n");
    assert.deepEqual(await readdir(join(tree, "dev")), []);
    assert.equal(
      await readFile(join(tree, "etc/hostname"), "utf8").catch(() => "none"),
      "none",
      "no name of a machine",
    );
    const left = (await readdir(tree)).filter((path) => ["image", ".kconfig", ".profile", "repository"].includes(path));
    assert.deepEqual([...left, ...(await readdir(join(tree, "mnt")).catch(() => []))], []);
    const files = await tool(
      "bash",
      "-c",
      'cd "$1"; find . -type f -not -path "*/rpm/*" -not -path "*/dnf/*" -exec sha256sum {} + | sort -k 2',
      "-",
      tree,
    );
    sums.push(files);
  }
  assert.deepEqual(asked, [], "nobody asked the repository");
  assert.equal(sums[0], sums[1]);
  assert.deepEqual(await mountsBelow(folder), []);
  assert.deepEqual(await processesOf(folder), []);
});

test("what kiwi says of a failure is told, with the step", async () => {
  const missing = await fails(await describe(tiny(config('<package name="no-such-package"/>')), { URL: url }));
  assert.match(missing.message, /^kiwi-ng failed at installing the bootstrap packages: /);
  assert.match(missing.output.join("\n"), /No match for argument: .*no-such-package/);
  const script = await fails(
    await describe(
      { ...tiny(config('<package name="tiny-tool"/>')), "config.sh": "#!/bin/bash\necho oh dear >&2\nexit 3\n" },
      { URL: url },
    ),
  );
  assert.match(script.message, /^kiwi-ng failed at config\.sh: KiwiScriptFailed: config\.sh failed: /);
  assert.match([script.message, ...script.output].join("\n"), /oh dear/);
  const broken = await fails(await describe(tiny("<image>{{ URL }}</image>"), { URL: url }));
  assert.match(broken.message, /^kiwi-ng failed at reading the description: /);
});

test("mistakes in templates have their line; what needs a network each time is refused", async () => {
  const wrong = await fails(await describe(tiny(config('<package name="{{ TOOL }}"/>')), { URL: url }));
  assert.deepEqual(
    wrong.problems.map(({ file, line, message }) => [file, line, message]),
    [["config.xml", 12, "undefined value"]],
  );
  const derived = config("").replace('image="tbz"', 'image="docker" derived_from="obs://a/b/c"');
  assert.match((await fails(await describe(tiny(derived), { URL: url }))).message, /starts from a container/);
});

test("debootstrap finds every package of a lock in the repository that is made of them", async () => {
  const names = ["apt", "dpkg", "usr-is-merged", "zlib1g"];
  const packages: LockedPackage[] = [];
  for (const name of names) {
    const top = join(folder, `deb-${name}`);
    await mkdir(join(top, "DEBIAN"), { recursive: true });
    const control = `Package: ${name}\nVersion: 1:1.0-1\nArchitecture: all\nPriority: optional\n${name === "dpkg" ? "Depends: zlib1g\n" : ""}Maintainer: a\nDescription: b\n c\n`;
    await writeFile(join(top, "DEBIAN/control"), control);
    await tool("dpkg-deb", "--build", "--root-owner-group", top, join(folder, `${name}.deb`));
    const { sha256, size } = await blobs.putFile(join(folder, `${name}.deb`));
    packages.push({ name, version: "1:1.0-1", arch: "all", sha256, size });
  }
  const debs = join(folder, "debs");
  const lists = join(folder, "lists");
  await mkdir(lists);
  const index = names.map(
    (name) =>
      `Package: ${name}\nVersion: 1:1.0-1\nArchitecture: all\nPriority: ${name === "zlib1g" ? "optional" : "required"}\n`,
  );
  await writeFile(join(lists, "mirror_dists_bookworm_main_binary-amd64_Packages"), index.join("\n"));
  const kept = await blobs.putBytes(JSON.stringify(await readPriorities([lists])));
  await makeRepository({ family: "deb", packages, files: { [priorities]: kept.sha256 } }, "bookworm", debs, blobs);
  const text = await readFile(join(debs, "dists/bookworm/main/binary-amd64/Packages"), "utf8");
  assert.match(text, /\nSHA256: [0-9a-f]{64}\n\n$/, "debootstrap needs a blank line behind the last one");
  const printed = await tool(
    "debootstrap",
    ...[
      "--no-check-gpg",
      "--variant=minbase",
      "--include=zlib1g",
      "--print-debs",
      "bookworm",
      join(folder, "none"),
      `file://${debs}`,
    ],
  );
  assert.deepEqual(printed.trim().split(/\s+/).sort(), names);
});

test("a lock whose packages do not come to the same tree is refused", async () => {
  const less: Lock = {
    ...lock,
    files: { ...lock.files, "installed packages": (await blobs.putBytes('["other 1-1 noarch"]')).sha256 },
  };
  const tree = join(folder, "other");
  await mkdir(tree);
  await chmod(tree, 0o755);
  const error = await failureOf(kiwiBase(described.files).make(described.spec, less, tree, await world()));
  assert.match(error.message, /kiwi installed other packages from the lock/);
  assert.deepEqual(error.output, ["- other 1-1 noarch", "+ tiny-shell 1.0-1 noarch", "+ tiny-tool 1.0-1 noarch"]);
});

test("the command line imports a description as a recipe, and tells a missing value with its line", async () => {
  const recipe = join(folder, "recipe");
  await mkdir(recipe);
  const files = tiny(config('<package name="tiny-tool"/>'));
  await writeFile(join(recipe, "config.xml"), files["config.xml"]);
  await writeFile(join(recipe, ".ims_recipe_template.yaml"), files[".ims_recipe_template.yaml"]);
  const archive = join(folder, "kiwi.tar.gz");
  await tool("tar", "-C", recipe, "-czf", archive, ".");
  const netkiln = await startServer({ args: ["--no-worker"] });
  try {
    const imported = await netkiln.cli(
      "recipes",
      "import",
      archive,
      "--name",
      "sles",
      "--template",
      `URL=${url}`,
      "--arch",
      "aarch64",
    );
    assert.equal(imported.exitCode, 0, imported.stderr);
    assert.match(imported.stdout, /^recipe sles imported \([0-9a-f]{12}, from kiwi\.tar\.gz\)\n$/);
    const [found] = await netkiln.json<{ name: string; spec: KiwiSpec }[]>("recipes", "list");
    assert.deepEqual([found?.name, found?.spec.arch, found?.spec.template], ["sles", "aarch64", { URL: url }]);
    const missing = await netkiln.cli("recipes", "import", archive, "--name", "sles", "--template", "OTHER=x");
    assert.equal(missing.exitCode, 2);
    assert.match(
      missing.stderr,
      /^config\.xml:10: undefined value\nerror: the templates of the recipe have 1 mistake\nhint: give each value with --template KEY=VALUE\n$/,
    );
  } finally {
    await netkiln.stop();
  }
});
