/** EL and SUSE trees with the real dnf and zypper, from small repositories that are made here. Needs root. */
import assert from "node:assert/strict";
import { chmod, lstat, mkdir, open, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openFileBlobs } from "../../src/artifact/index.ts";
import { el } from "../../src/build/base/el.ts";
import { suse } from "../../src/build/base/suse.ts";
import type { BaseMaker, BaseWorld, Lock } from "../../src/build/base/types.ts";
import { normalise } from "../../src/build/normalise.ts";
import type { ElSpec, SuseSpec } from "../../src/image/index.ts";
import { recipeSchemaFor } from "../../src/image/schema.ts";
import type { NetkilnError } from "../../src/lib/errors.ts";
import { failureOf } from "../../src/lib/failure-of.ts";
import { sha256 } from "../../src/lib/files.ts";
import { openBaseWorld } from "../support/base-world.ts";
import {
  basePackages,
  compsDocument,
  librariesOf,
  moduleDocument,
  openWorkshop,
  serveRepositories,
  type RepositoryServer,
  type TestKey,
  type TestPackage,
  type Workshop,
} from "../support/rpm-repository.ts";
import { listing, makeFolder } from "../support/server.ts";
import { tool } from "../support/site.ts";

const script = (text: string) => `#!/bin/sh\necho ${text}\n`;
const labTool = (version: string): TestPackage => ({
  name: "lab-tool",
  version,
  requires: ["/bin/sh"],
  files: { "/usr/bin/lab-tool": script(version) },
});
const modular: TestPackage = { ...labTool("3.0"), moduleLabel: "lab:3:1:c0ffee42" };
const plain = (name: string): TestPackage => ({ name, files: { [`/etc/${name}`]: `${name}\n` } });
/** What a script of a package meets, written down. */
const scripted: TestPackage = {
  name: "scripted",
  requires: ["/bin/sh"],
  post: `while read -r line; do echo "$line"; done </proc/net/dev >/etc/interfaces
echo "$HOME" >/etc/home; echo gone >/dev/null`,
};
const kernel: TestPackage = {
  name: "kernel-core",
  epoch: 1,
  version: "5.14.0",
  arch: "x86_64",
  files: { "/usr/lib/modules/5.14.0-1.x86_64/vmlinuz": "kernel\n" },
};

let folder: string;
let workshop: Workshop;
let server: RepositoryServer;
let keys: { readonly one: TestKey; readonly two: TestKey };
/** Unsigned packages by name. */
const built = new Map<string, string>();
let blobs: ReturnType<typeof openFileBlobs>;

before(async () => {
  folder = await makeFolder();
  workshop = await openWorkshop(join(folder, "workshop"));
  const base = [...(await basePackages()), labTool("1.0"), labTool("1.10"), labTool("1.9"), scripted];
  const more = [modular, kernel, { ...plain("extra"), recommends: ["weak"] }, plain("weak"), plain("grouped")];
  const pattern: TestPackage = { name: "patterns-lab-base", provides: ["pattern() = lab_base"], requires: ["extra"] };
  const all = [...base, ...more, pattern, plain("foreign"), plain("unsigned")];
  const files = await workshop.build(all);
  for (const [index, one] of all.entries()) {
    built.set(one.name === "lab-tool" ? `lab-tool ${one.version}` : one.name, files[index] ?? "");
  }
  const [one, two] = [await workshop.makeKey("one@example.org"), await workshop.makeKey("two@example.org")];
  keys = { one, two };
  const signed = async (packages: readonly TestPackage[], key: TestKey) =>
    workshop.sign(files.slice(all.indexOf(packages[0] as TestPackage)).slice(0, packages.length), key);
  await workshop.publish("base", await signed(base, one));
  await workshop.publish("apps", await signed([...more, pattern], two), {
    comps: compsDocument("lab-group", ["grouped"]),
    modules: moduleDocument("lab", "3", [modular]),
  });
  server = await serveRepositories(join(workshop.folder, "repositories"));
  blobs = openFileBlobs(join(folder, "blobs"));
});

after(async () => {
  await server.stop();
  await workshop.clear();
  await rm(folder, { recursive: true });
});

type Description = Readonly<Record<string, unknown>>;

const repository = (name: string, key?: string) => ({
  name,
  url: `${server.url}/${name}`,
  ...(key === undefined ? { signed: false } : { keys: [`keys/${key}.asc`] }),
});
const repositories = () => [repository("base", "one"), repository("apps", "two")];
const described = (more: Description) => ({
  name: "node",
  repositories: repositories(),
  ...more,
});
function parsed<T>(description: Description): T {
  return recipeSchemaFor(description).parse(description) as T;
}
const elSpec = (more: Description) => parsed<ElSpec>(described({ distribution: "el", release: "9", ...more }));
const suseSpec = (more: Description) => parsed<SuseSpec>(described({ distribution: "suse", release: "15.6", ...more }));

let count = 0;

/** A step's folder of its own, gone afterwards as LayerStore does it. */
async function inWorld<T>(action: (world: BaseWorld, said: readonly string[]) => Promise<T>): Promise<T> {
  const own = join(folder, `work-${(count += 1)}`);
  await mkdir(join(own, "recipe"), { recursive: true });
  const said: string[] = [];
  const recipeFile = (path: string) => join(own, "recipe", path.replace("keys/", ""));
  await writeFile(recipeFile("one.asc"), keys.one.publicKey);
  await writeFile(recipeFile("two.asc"), keys.two.publicKey);
  await writeFile(recipeFile("none.asc"), "this is no key\n");
  try {
    const onLine = (line: string) => void said.push(line);
    return await action(await openBaseWorld(blobs, own, { recipeFile, onLine }), said);
  } finally {
    await rm(own, { recursive: true });
  }
}

const resolve = <Spec>(maker: BaseMaker<Spec>, spec: Spec) => inWorld((world) => maker.resolve(spec, world));

/** The finished tree, as a build keeps it. */
async function make<Spec extends ElSpec | SuseSpec>(maker: BaseMaker<Spec>, spec: Spec, lock: Lock): Promise<string> {
  const tree = join(folder, `tree-${(count += 1)}`);
  await mkdir(tree, { mode: 0o755 });
  await inWorld((world) => maker.make(spec, lock, tree, world));
  await normalise(tree, spec.epoch, true);
  return tree;
}

/** Runs what needs no repository, and makes sure that none is asked. */
async function offline<T>(action: () => Promise<T>): Promise<T> {
  server.behave(() => "missing");
  const asked = server.asked.length;
  try {
    return await action();
  } finally {
    server.behave(() => "serve");
    assert.equal(server.asked.length, asked, "nothing was asked for");
  }
}

const names = (lock: Lock) => lock.packages.map(({ name, version, arch }) => `${name}-${version}.${arch}`);

/** Everything about every file of a tree. */
async function contentOf(tree: string): Promise<string[]> {
  const paths = (await readdir(tree, { recursive: true })).sort();
  return Promise.all(
    paths.map(async (path) => {
      const file = join(tree, path);
      const found = await lstat(file);
      const text = found.isSymbolicLink() ? await readlink(file) : found.isFile() ? await readFile(file) : "";
      const links = found.isDirectory() ? "" : found.nlink;
      return [path, found.mode.toString(8), found.uid, found.gid, found.mtimeMs, links, sha256(text)].join(" ");
    }),
  );
}

async function refused(action: () => Promise<unknown>, message: RegExp | string): Promise<NetkilnError> {
  const kept = await listing(join(folder, "blobs"));
  const error = await failureOf(action());
  if (typeof message === "string") assert.equal(error.message, message);
  else assert.match(error.message, message, error.output.join("\n"));
  assert.deepEqual(await listing(join(folder, "blobs")), kept, "nothing was kept");
  return error;
}

const elPackages = { packages: ["tiny-shell", "scripted", "extra"], kernel: { package: "kernel-core" } };

describe("an EL tree", () => {
  let spec: ElSpec;
  let lock: Lock;
  let tree: string;

  test("is locked to what the recipe names and what that needs, from all repositories", async () => {
    spec = elSpec({ ...elPackages, modules: ["lab:3"], groups: ["lab-group"] });
    spec = { ...spec, packages: [...spec.packages, "lab-tool"] };
    lock = await resolve(el, spec);
    assert.deepEqual(names(lock), [
      "extra-1.0-1.noarch",
      "filesystem-3.16-1.noarch",
      "grouped-1.0-1.noarch",
      "kernel-core-1:5.14.0-1.x86_64",
      "lab-tool-3.0-1.noarch",
      "scripted-1.0-1.noarch",
      "tiny-shell-1.0-1.x86_64",
    ]);
    assert.deepEqual(Object.keys(lock.files).sort(), ["apps/modules.yaml.gz", "repositories.json"]);
    for (const one of lock.packages) assert.equal((await lstat(blobs.path(one.sha256))).size, one.size);
    assert.deepEqual(await resolve(el, spec), lock, "the same again");
  });

  test("has these packages, run by scripts without a network, and is told of by rpm", async () => {
    tree = await make(el, spec, lock);
    assert.equal(await tool("chroot", tree, "/usr/bin/lab-tool"), "3.0\n");
    assert.equal(await readFile(join(tree, "etc/home"), "utf8"), "/root\n");
    const interfaces = await readFile(join(tree, "etc/interfaces"), "utf8");
    assert.deepEqual(interfaces.match(/^\w+(?=:)/gm), ["lo"]);
    assert.match(await readFile(join(tree, "etc/dnf/modules.d/lab.module"), "utf8"), /^state=enabled$/m);
    const query = ["--root", tree, "--dbpath", "/var/lib/rpm", "-qa", "--qf", "%{NAME} %{INSTALLTID}\n"];
    const installed = (await tool("rpm", ...query)).split("\n").filter((line) => !/^(gpg-pubkey|$)/.test(line));
    assert.deepEqual(
      installed.sort(),
      lock.packages.map(({ name }) => `${name} ${spec.epoch}`),
    );
    assert.deepEqual(await readdir(join(tree, "root")), [], "no database in the home folder");
  });

  test("comes out the same from the lock alone, with the repositories gone", async () => {
    // Asking rpm has left its own files beside the database.
    await normalise(tree, spec.epoch, true);
    const again = await offline(() => make(el, spec, lock));
    assert.deepEqual(await contentOf(again), await contentOf(tree));
  });

  test("takes the newest without the module, and the named one with a version", async () => {
    const newest = await resolve(el, elSpec({ packages: ["lab-tool", "tiny-shell"] }));
    assert.ok(names(newest).includes("lab-tool-1.10-1.noarch"), names(newest).join(" "));
    const older = await resolve(el, elSpec({ packages: ["lab-tool-1.9-1.noarch", "tiny-shell"] }));
    assert.ok(names(older).includes("lab-tool-1.9-1.noarch"), names(older).join(" "));
    const without = await resolve(el, elSpec({ packages: ["lab-tool"], exclude_packages: ["lab-tool-1.10-1"] }));
    assert.ok(names(without).includes("lab-tool-1.9-1.noarch"), names(without).join(" "));
  });

  test("is refused for what does not exist, in dnf's own words", async () => {
    const told = async (more: Description, message: string) => {
      const error = await refused(() => resolve(el, elSpec(more)), message);
      assert.match(error.hint ?? "", /^correct recipe.yaml/);
    };
    await told({ packages: ["tiny-shell", "nothing"] }, "dnf failed: Unable to find a match: nothing");
    await told({ packages: ["tiny-shell"], groups: ["none"] }, "dnf failed: Module or Group 'none' is not available");
    await told({ packages: ["tiny-shell"], modules: ["lab:9"] }, "dnf failed: missing groups or modules: lab:9");
    await refused(() => resolve(el, elSpec({})), "the recipe names no packages and no groups");
  });
});

describe("a SUSE tree", () => {
  let spec: SuseSpec;
  let lock: Lock;

  test("is locked to what the recipe names and what that needs, from all repositories", async () => {
    const packages = ["tiny-shell", "scripted", "lab-tool-1.9-1"];
    spec = suseSpec({ packages, patterns: ["lab_base"], kernel: { package: "kernel-core" } });
    lock = await resolve(suse, spec);
    assert.deepEqual(names(lock), [
      "extra-1.0-1.noarch",
      "filesystem-3.16-1.noarch",
      "kernel-core-1:5.14.0-1.x86_64",
      "lab-tool-1.9-1.noarch",
      "patterns-lab-base-1.0-1.noarch",
      "scripted-1.0-1.noarch",
      "tiny-shell-1.0-1.x86_64",
    ]);
  });

  test("comes out the same twice from the lock alone, and its packages are told of by rpm", async () => {
    const tree = await offline(() => make(suse, spec, lock));
    const again = await offline(() => make(suse, spec, lock));
    assert.deepEqual(await contentOf(again), await contentOf(tree));
    assert.equal(await tool("chroot", tree, "/usr/bin/lab-tool"), "1.9\n");
    assert.deepEqual((await readFile(join(tree, "etc/interfaces"), "utf8")).match(/^\w+(?=:)/gm), ["lo"]);
    const query = ["--root", tree, "--dbpath", "/usr/lib/sysimage/rpm", "-qa", "--qf", "%{NAME} %{INSTALLTID}\n"];
    const installed = (await tool("rpm", ...query)).split("\n").filter((line) => !/^(gpg-pubkey|$)/.test(line));
    assert.deepEqual(
      installed.sort(),
      lock.packages.map(({ name }) => `${name} ${spec.epoch}`),
    );
  });

  test("leaves out what the recipe excludes", async () => {
    const more = { packages: ["tiny-shell", "lab-tool"], exclude_packages: ["extra"] };
    assert.ok(names(await resolve(suse, suseSpec(more))).includes("lab-tool-3.0-1.noarch"));
    await refused(
      () => resolve(suse, suseSpec({ ...more, patterns: ["lab_base"] })),
      /^zypper failed: .*patterns-lab-base/,
    );
  });

  test("is refused for what does not exist, in zypper's own words", async () => {
    const told = (more: Description, message: string) => refused(() => resolve(suse, suseSpec(more)), message);
    await told({ packages: ["tiny-shell", "nothing"] }, "zypper failed: No provider of 'nothing' found");
    await told({ patterns: ["none"] }, "zypper failed: No provider of 'pattern() = none' found");
  });
});

const makers = [
  ["dnf", (more: Description) => resolve(el, elSpec(more))],
  ["zypper", (more: Description) => resolve(suse, suseSpec(more))],
] as const;

for (const [program, lockOf] of makers) {
  describe(`keys and repositories with ${program}`, () => {
    const from = (name: string, key: string | undefined, packages: readonly string[]) =>
      lockOf({ packages, repositories: [repository("base", "one"), repository(name, key)] });

    test("a package that another key has signed is refused, also when it is the key of another repository", async () => {
      const [file = ""] = await workshop.sign([built.get("foreign") ?? ""], keys.one);
      await workshop.publish("foreign", [file]);
      const { code } = await refused(
        () => from("foreign", "two", ["foreign"]),
        `foreign-1.0-1.noarch.rpm of the repository "foreign" is signed with key ${keys.one.shortId}; expected key ${keys.two.shortId} (keys/two.asc)`,
      );
      assert.equal(code, "refused");
    });

    test("an unsigned package is refused, unless the recipe says so", async () => {
      await workshop.publish("unsigned", [built.get("unsigned") ?? "", built.get("weak") ?? ""]);
      const expected = `; expected key ${keys.two.shortId} (keys/two.asc)`;
      await refused(
        () => from("unsigned", "two", ["unsigned"]),
        `unsigned-1.0-1.noarch.rpm of the repository "unsigned" is not signed${expected}`,
      );
      const both = await refused(() => from("unsigned", "two", ["unsigned", "weak"]), "2 packages cannot be trusted");
      assert.deepEqual(
        both.problems.map(({ message }) => message),
        ["unsigned", "weak"].map(
          (name) => `${name}-1.0-1.noarch.rpm of the repository "unsigned" is not signed${expected}`,
        ),
      );
      assert.deepEqual(names(await from("unsigned", undefined, ["unsigned"])), ["unsigned-1.0-1.noarch"]);
    });

    test("a package that was changed is refused, whether the metadata tell or not", async () => {
      const [file = ""] = await workshop.sign([built.get("foreign") ?? ""], keys.two);
      const flip = async (path: string) => {
        const handle = await open(path, "r+");
        const { size } = await handle.stat();
        await handle.write("!", size - 30);
        await handle.close();
      };
      await flip(file);
      await workshop.publish("changed", [file]);
      const changed =
        /^foreign-1\.0-1\.noarch\.rpm of the repository "changed" is damaged or was changed: Payload SHA256/;
      await refused(() => from("changed", "two", ["foreign"]), changed);
      await refused(() => from("changed", undefined, ["foreign"]), changed);
      await chmod(file, 0o644);
      await writeFile(file, (await readFile(file)).subarray(0, 3000));
      await refused(() => from("changed", "two", ["foreign"]), new RegExp(`^${program} failed: `));
    });

    test("a file that is no key is told", async () => {
      await refused(() => from("apps", "none", ["extra"]), "keys/none.asc is no OpenPGP public key that rpm can read");
    });

    test("a repository that is not there is told with its address", async () => {
      const error = await refused(() => from("gone", "two", ["extra"]), new RegExp(`^${program} failed: .*/gone`));
      assert.match(error.output.join("\n"), /repomd\.xml|Valid metadata not found/);
    });

    test("a server that goes away during the download is told, and nothing is kept", async () => {
      const short = await serveRepositories(join(workshop.folder, "repositories"));
      // After half a file zypper waits 30 s before it tries again, so for it the server ends between two.
      const end = program === "dnf" ? "cut" : "last";
      short.behave((path) => (path.includes(end === "cut" ? "tiny-shell" : "filesystem-") ? end : "serve"));
      const both = [{ ...repository("base", "one"), url: `${short.url}/base` }, repository("apps", "two")];
      try {
        const error = await refused(
          () => lockOf({ packages: ["tiny-shell", "scripted", "extra"], repositories: both }),
          new RegExp(`^${program} failed: `),
        );
        assert.match(error.message, /(tiny-shell|scripted)-.*\.rpm/);
      } finally {
        await short.stop();
      }
    });
  });
}

test("a tree whose own rpm looks elsewhere gets its database there", async () => {
  const libraries = await librariesOf("/usr/bin/rpm", "/usr/bin/rpmdb");
  const macros = (await readFile("/usr/lib/rpm/macros", "utf8")).replace(
    /^%_dbpath.*$/m,
    "%_dbpath /usr/lib/elsewhere",
  );
  const own: TestPackage = {
    name: "rpm",
    arch: "x86_64",
    requires: ["tiny-shell"],
    files: { "/usr/lib/rpm/macros": macros },
    copies: {
      ...Object.fromEntries(["/usr/bin/rpm", "/usr/bin/rpmdb", "/usr/lib/rpm/rpmrc"].map((path) => [path, path])),
      ...Object.fromEntries(libraries.map((path) => [path, path])),
    },
  };
  await workshop.publish("rpm", await workshop.build([own]));
  const spec = elSpec({ packages: ["rpm", "extra"], repositories: [...repositories(), repository("rpm")] });
  const lock = await resolve(el, spec);
  const tree = await make(el, spec, lock);
  assert.equal(
    (await tool("chroot", tree, "rpm", "-q", "extra", "rpm")).trim(),
    "extra-1.0-1.noarch\nrpm-1.0-1.x86_64",
  );
  assert.deepEqual(await readdir(join(tree, "var/lib/rpm")), [], "the one that this host's rpm wrote is gone");
  const database = join(tree, "usr/lib/elsewhere/rpmdb.sqlite");
  const again = await make(el, spec, lock);
  assert.ok((await readFile(database)).equals(await readFile(join(again, "usr/lib/elsewhere/rpmdb.sqlite"))));
});

test("a blob that is gone or damaged is told before anything is made", async () => {
  const spec = elSpec({ packages: ["extra"] });
  const lock = await resolve(el, spec);
  const path = blobs.path(lock.packages[0]?.sha256 ?? "");
  const content = await readFile(path);
  const told = async (state: string) => {
    const { sha256 } = lock.packages[0] ?? { sha256: "" };
    const error = await failureOf(make(el, spec, lock));
    assert.equal(error.message, `extra-1.0-1.noarch.rpm (sha256 ${sha256}) is ${state} the blob store`);
  };
  await chmod(path, 0o644);
  await writeFile(path, content.subarray(0, -1));
  await told("damaged in");
  await rm(path);
  await told("not in");
});
