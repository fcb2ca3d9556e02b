/**
 * Layers made with scripts, apt-get, dnf and zypper, in real sandboxes on one small Debian tree; needs root. RPMs are
 * built here, and come from a folder.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { downloadedPackages, keepDownloads, offerPackages } from "../../src/build/layer/package-cache.ts";
import { applyPackagesLayer } from "../../src/build/layer/packages.ts";
import { applyScriptLayer } from "../../src/build/layer/script.ts";
import type { Sandbox } from "../../src/build/sandbox/sandbox.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
import { run } from "../../src/lib/exec.ts";
import { sha256 } from "../../src/lib/files.ts";
import { epoch, openLayerTree, type Made } from "../support/layer-tree.ts";

const { root, sources, options, layer, finish, put, recipe, blobs, close } = await openLayerTree();
after(close);

describe("layers on a tree", { timeout: 1_500_000 }, () => {
  describe("scripts", () => {
    const apply = async (text: string, network = false, made?: Made) => {
      const own = await recipe({ "scripts/setup.sh": text });
      const layerOfScript = made ?? (await layer({}));
      const step = { recipe: own, script: "scripts/setup.sh", network };
      await applyScriptLayer(step, epoch, blobs(), layerOfScript.sandbox, options);
      return layerOfScript;
    };

    test("run in the tree by their own first line, and leave no trace of themselves", async () => {
      const made = await apply("#!/usr/bin/python3\nopen('/etc/made', 'w').write('by python')\n");
      assert.equal(await made.file("etc/made"), "by python");
      await finish(made);
      assert.deepEqual((await readdir(made.upper, { recursive: true })).sort(), ["etc", "etc/made"]);
    });

    test("have a network only when they ask for it", async () => {
      const count = "#!/bin/sh\ngrep -c : /proc/net/dev > /etc/interfaces\n";
      assert.equal(await (await apply(count)).file("etc/interfaces"), "1\n", "the loopback device alone");
      const host = (await readFile("/proc/net/dev", "utf8")).split("\n").filter((line) => line.includes(":")).length;
      assert.equal(await (await apply(count, true)).file("etc/interfaces"), `${host}\n`);
    });

    test("that fail are told with their exit code and their last lines", async () => {
      await assert.rejects(apply("#!/bin/sh\nseq 30\necho broken >&2\nexit 7\n"), (error: NetkilnError) => {
        assert.equal(error.message, "scripts/setup.sh failed with exit code 7");
        assert.equal(error.output.length, 20);
        return error.output.includes("broken");
      });
    });

    test("need an interpreter that is in the tree", async () => {
      await assert.rejects(apply("#!/usr/bin/perl6 -w\n"), {
        message: "the tree has no /usr/bin/perl6, by which scripts/setup.sh is to run",
      });
      await assert.rejects(apply("#!/bin/sh\r\ntrue\r\n"), /the tree has no \/bin\/sh\\r/);
      await assert.rejects(apply("echo no first line\n"), { message: "scripts/setup.sh does not say what runs it" });
    });

    test("that build kernel modules are told the tree's kernel", async () => {
      const more = { "usr/lib/modules/6.1.0-99-test/modules.dep": "" };
      const made = await layer({ buildsKernelModules: true }, { more });
      await apply("#!/bin/sh\nuname -r > /etc/running\n", false, made);
      assert.equal(await made.file("etc/running"), "6.1.0-99-test\n");
      await finish(made);
      assert.deepEqual((await readdir(made.upper, { recursive: true })).sort(), ["etc", "etc/running"]);
    });
  });

  describe("packages by apt-get", () => {
    test("are installed, kept, and with them alone the same layer is made without a network", async () => {
      const first = await layer((bare) => keepDownloads({ ...sources, resolvConf: undefined }, bare), {
        network: true,
      });
      await applyPackagesLayer(["libcap2-bin"], epoch, first.sandbox, options);
      const kept = await downloadedPackages(first.sandbox, {});
      assert.deepEqual(
        kept.map(({ name }) => name),
        ["libcap2-bin"],
      );
      const found = kept.find(({ name }) => name === "libcap2-bin");
      const { stdout } = await run(["dpkg-deb", "--show", found?.file ?? ""]);
      assert.equal(stdout.trim(), `libcap2-bin\t${found?.version}`);
      assert.equal(found?.sha256, sha256(await readFile(found?.file ?? "")));

      const second = await layer((bare) => offerPackages(kept, bare, {}));
      await applyPackagesLayer(["libcap2-bin"], epoch, second.sandbox, options);
      assert.deepEqual(await downloadedPackages(second.sandbox, {}), []);
      assert.equal(await finish(first), await finish(second));
      assert.ok((await lstat(join(second.upper, "usr/sbin/getcap")).catch(() => undefined))?.isFile());
      await assert.rejects(lstat(join(second.upper, "etc/apt")), "no source of the build is in the layer");
    });

    test("that do not exist are named in the tool's words, and so is a source that cannot be read", async () => {
      const made = await layer((bare) => offerPackages([], bare, {}));
      await assert.rejects(applyPackagesLayer(["no-such-package"], epoch, made.sandbox, options), {
        message: "apt-get cannot install the packages: Unable to locate package no-such-package",
      });
      const away = await layer({ aptSources: ["deb [trusted=yes] file:/nowhere ./"] });
      await assert.rejects(
        applyPackagesLayer(["libcap2-bin"], epoch, away.sandbox, options),
        /^NetkilnError: apt-get cannot install the packages: .*\/nowhere/,
      );
    });

    test("that are damaged are not installed", async () => {
      const file = join(root, "damaged.deb");
      const content = join(root, "content");
      await put(content, {
        "DEBIAN/control": "Package: own\nVersion: 1\nArchitecture: all\nMaintainer: t\nDescription: t\n",
      });
      await run(["dpkg-deb", "--build", content, file]);
      const size = (await lstat(file)).size;
      const wrong = { name: "own", version: "1", arch: "all", sha256: "0".repeat(64), size, file };
      const made = await layer((bare) => offerPackages([wrong], bare, {}));
      await assert.rejects(applyPackagesLayer(["own"], epoch, made.sandbox, options), /Hash Sum mismatch|Size|digest/i);
    });
  });

  describe("packages of RPM distributions", () => {
    const releases = { dnf: 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', zypper: 'ID="sles"\nID_LIKE="suse"\n' };
    const none = { aptSources: [], aptOptions: [], resolvConf: undefined };
    let offered: string;
    let server: Server;

    before(async () => {
      offered = join(root, "rpms");
      const spec = join(root, "own.spec");
      await mkdir(offered);
      const text = (name: string, more: string) =>
        `Name: ${name}\nEpoch: 2\nVersion: 1.0\nRelease: 3\nSummary: t\nLicense: MIT\nBuildArch: noarch\n${more}\n%description\nt\n%install\nmkdir -p %{buildroot}/opt\necho ${name} > %{buildroot}/opt/${name}\n%files\n/opt/${name}\n`;
      for (const [name, more] of [
        ["own", "Requires: needed"],
        ["needed", ""],
      ] as const) {
        await writeFile(spec, text(name, more));
        await run(["rpmbuild", "-bb", "-D", `_rpmdir ${offered}`, "-D", `_topdir ${root}/rpmbuild`, spec], {
          env: { HOME: root },
        });
      }
      await run(["createrepo_c", "--quiet", offered]);
      server = createServer((request, response) => {
        const file = createReadStream(join(offered, new URL(request.url ?? "/", "http://x").pathname));
        file.on("error", () => response.writeHead(404).end());
        file.pipe(response);
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
    });
    after(() => void server.close());

    for (const manager of ["dnf", "zypper"] as const) {
      test(`are installed by ${manager}, kept, and offered again as the only source`, async () => {
        const more = { "usr/lib/os-release": releases[manager] };
        const { port } = server.address() as AddressInfo;
        const repository = `[site]\nname=site\nbaseurl=http://127.0.0.1:${port}/\nenabled=1\ngpgcheck=0\n`;
        const first = await layer((bare) => keepDownloads({ ...none, rpmRepositories: repository }, bare), {
          ...{ network: true, more },
        });
        await applyPackagesLayer(["own"], epoch, first.sandbox, options);
        assert.equal(await first.file("opt/needed"), "needed\n");
        const kept = await downloadedPackages(first.sandbox, {});
        assert.deepEqual(
          kept.map(({ name, version, arch }) => `${name} ${version} ${arch}`),
          ["needed 2:1.0-3 noarch", "own 2:1.0-3 noarch"],
        );
        const second = await layer((bare) => offerPackages(kept, bare, {}), { more });
        await applyPackagesLayer(["own"], epoch, second.sandbox, options);
        assert.equal(await second.file("opt/own"), "own\n");
        const wrong = kept.map((one) => ({ ...one, sha256: "0".repeat(64) }));
        await assert.rejects(
          layer((bare) => offerPackages(wrong, bare, {}), { more }),
          /is not what the lock says/,
        );
        const without = await layer((bare) => offerPackages(kept.slice(1), bare, {}), { more });
        await assert.rejects(
          applyPackagesLayer(["own"], epoch, without.sandbox, options),
          new RegExp(`${manager} cannot install the packages: .*needed`, "s"),
        );
      });
    }
  });

  test("a tree without a package manager is told so", async () => {
    const work = await mkdtemp(join(root, "work-"));
    const bare = join(work, "bare");
    await mkdir(join(bare, "etc"), { recursive: true });
    const sandbox: Sandbox = {
      ...{ layers: root, lower: [bare], changes: { kind: "scratch" }, work, devices: true, network: false },
    };
    await assert.rejects(applyPackagesLayer(["x"], epoch, sandbox, options), /the tree has no package manager/);
  });
});
