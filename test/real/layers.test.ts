/**
 * Layers made with the real Ansible, apt-get, dnf, zypper and scripts, in real sandboxes on one small Debian tree;
 * needs root. RPMs are built here, and come from a folder.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { openFileBlobs } from "../../src/artifact/index.ts";
import { hostAptOptions, hostAptSources } from "../../src/build/base/apt-sources.ts";
import { applyAnsibleLayer, applyRecipePlaybook, type AnsibleLayer } from "../../src/build/layer/ansible.ts";
import { downloadedPackages, keepDownloads, offerPackages } from "../../src/build/layer/package-cache.ts";
import { applyPackagesLayer } from "../../src/build/layer/packages.ts";
import { applyScriptLayer } from "../../src/build/layer/script.ts";
import { normalise } from "../../src/build/normalise.ts";
import { writeScaffold, type Sandbox, type Scaffold } from "../../src/build/sandbox/sandbox.ts";
import { digestLayer } from "../../src/build/tree/archive.ts";
import { openStack } from "../../src/build/tree/stack.ts";
import { pruneUnchanged } from "../../src/build/tree/prune.ts";
import { openGitStore } from "../../src/configuration/index.ts";
import type { Recipe } from "../../src/image/index.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
import { run } from "../../src/lib/exec.ts";
import { sha256 } from "../../src/lib/files.ts";

const epoch = 1_750_000_000;
const suite = "bookworm";
const ansibleLog = `/tmp/netkiln-ansible-log-${process.pid}`;

describe("layers on a tree", { timeout: 1_500_000 }, () => {
  let root: string;
  let tree: string;
  let sources: Pick<Scaffold, "aptSources" | "aptOptions">;
  let log: string[] = [];
  const options = { onLine: (line: string) => void log.push(line) };

  before(async () => {
    root = await mkdtemp(join(tmpdir(), "netkiln-layers-"));
    tree = join(root, "tree");
    sources = { aptSources: await hostAptSources(suite, ["main"]), aptOptions: await hostAptOptions() };
    await writeFile(join(root, "sources.list"), `${sources.aptSources.join("\n")}\n`);
    await writeFile(join(root, "apt.conf"), `${sources.aptOptions.join("\n")}\n`);
    const paths = ["doc", "man", "locale", "info"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
    await run([
      ...(["nice", "mmdebstrap", "--mode=root", "--variant=minbase", "--include=python3,dnf,zypper"] as const),
      ...[`--aptopt=${join(root, "apt.conf")}`, "--dpkgopt=force-unsafe-io", ...paths],
      ...[suite, tree, join(root, "sources.list")],
    ]);
    for (const name of await readdir(join(tree, "etc/apt/sources.list.d"))) {
      await rm(join(tree, "etc/apt/sources.list.d", name));
    }
    await rm(join(tree, "etc/apt/sources.list"), { force: true });
    await normalise(tree, epoch, true);
  });
  after(() => rm(root, { recursive: true, force: true }));

  interface Made {
    readonly upper: string;
    readonly sandbox: Sandbox;
    readonly file: (path: string) => Promise<string>;
  }

  /** A new layer on the tree; `more` are layers on top of it, with files of these texts. */
  async function layer(
    scaffold: Partial<Scaffold> | ((bare: Sandbox) => Promise<Partial<Scaffold>>),
    { network = false, more = {} }: { network?: boolean; more?: Readonly<Record<string, string>> } = {},
  ): Promise<Made> {
    const work = await mkdtemp(join(root, "work-"));
    const [upper, above, scaffolding] = [join(work, "upper"), join(work, "above"), join(work, "scaffold")];
    await mkdir(upper, { mode: 0o755 });
    await mkdir(above, { mode: 0o755 });
    await put(above, more);
    await normalise(above, epoch, false);
    const lower = [above, tree];
    const bare: Sandbox = {
      ...{ layers: root, lower, changes: { kind: "keep", upper }, work, devices: true, network },
    };
    const parts = typeof scaffold === "function" ? await scaffold(bare) : scaffold;
    const resolvConf = network ? await readFile("/etc/resolv.conf", "utf8") : undefined;
    await writeScaffold(scaffolding, { aptSources: [], aptOptions: [], resolvConf, ...parts }, openStack(lower));
    log = [];
    return {
      upper,
      sandbox: { ...bare, lower: [scaffolding, ...lower] },
      file: (path) => readFile(join(upper, path), "utf8"),
    };
  }

  async function finish({ upper, sandbox }: Made): Promise<string> {
    await normalise(upper, epoch, false);
    await pruneUnchanged(upper, sandbox.lower.slice(1));
    return (await digestLayer(upper, sandbox.lower.slice(1))).diffId;
  }

  async function put(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
  }

  async function repository(files: Readonly<Record<string, string>>): Promise<{ url: string; commit: string }> {
    const url = await mkdtemp(join(root, "git-"));
    await put(url, files);
    const git = (...args: string[]) => run(["git", "-C", url, ...args], { env: { HOME: root } });
    await git("init", "-q", "-b", "main");
    await git("add", "-A");
    await git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "x");
    return { url, commit: (await git("rev-parse", "HEAD")).stdout.trim() };
  }

  async function recipe(files: Readonly<Record<string, string>>): Promise<Recipe> {
    const entries = [];
    for (const [path, text] of Object.entries(files)) {
      await blobs().putBytes(text);
      entries.push({ path, executable: false, sha256: sha256(text) });
    }
    const spec = { name: "site" } as Recipe["spec"];
    return { id: "1", name: "site", digest: "x", created: "", spec, files: entries };
  }
  const blobs = () => openFileBlobs(join(root, "blobs"));
  const git = () => openGitStore(join(root, "cache"));
  const ansible = (step: Omit<AnsibleLayer, "inventory"> & { inventory?: AnsibleLayer["inventory"] }, made: Made) =>
    applyAnsibleLayer({ inventory: undefined, ...step }, epoch, git(), made.sandbox, options);

  describe("Ansible", () => {
    const files = {
      "ansible.cfg": `[defaults]\nroles_path = vendor\nlog_path = ${ansibleLog}\n`,
      "plays/site.yml": `
- hosts: Compute
  gather_facts: false
  roles: [near, far]
  tasks:
    - name: Variables from everywhere
      ansible.builtin.copy:
        content: "{{ greeting }} {{ from_inventory }} {{ number + 1 }} {{ site.text | site.hpc.shout }}\\n"
        dest: /etc/greeting
        mode: "0644"
      tags: [greet]
    - site.hpc.marked: {path: /etc/module}
    - ansible.builtin.include_role: {name: site.hpc.tuned}
- hosts: nothing
  tasks: [{ansible.builtin.fail: {}}]
`,
      "plays/group_vars/Compute.yml": "greeting: hello\n",
      "plays/roles/near/tasks/main.yml": "- ansible.builtin.copy: {content: near, dest: /etc/near, mode: '0644'}\n",
      "vendor/far/tasks/main.yml": "- ansible.builtin.copy: {content: far, dest: /etc/far, mode: '0644'}\n",
      "requirements.yml":
        "roles: [far, {src: 'https://nowhere.invalid/near.git', name: near}]\ncollections: [site.hpc, community.general]\n",
      "collections/ansible_collections/site/hpc/galaxy.yml": "namespace: site\nname: hpc\nversion: 1.0.0\n",
      "collections/ansible_collections/site/hpc/plugins/filter/shout.py":
        "class FilterModule:\n    def filters(self):\n        return {'shout': lambda text: text.upper()}\n",
      "collections/ansible_collections/site/hpc/plugins/modules/marked.py": `
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"path": {"type": "path"}})
open(module.params["path"], "w").write("module")
module.exit_json(changed=True)
`,
      "collections/ansible_collections/site/hpc/roles/tuned/tasks/main.yml":
        "- ansible.builtin.copy: {content: tuned, dest: /etc/tuned, mode: '0644'}\n",
    };

    test("roles, collections, variables and an additional inventory are found, and two runs are one layer", async () => {
      const inventory = await repository({
        "hosts/site": "[Compute]\n",
        "group_vars/all.yml": "from_inventory: world\n",
      });
      const source = await repository(files);
      const step = {
        layer: { ...source, playbook: "plays/site.yml" },
        groups: ["Compute"],
        inventory,
        extraVars: { number: 41, site: { text: "loud" } },
      };
      const digests: string[] = [];
      for (const _ of [1, 2]) {
        const made = await layer({});
        assert.deepEqual(await ansible(step, made), { fetched: [] });
        assert.equal(await made.file("etc/greeting"), "hello world 42 LOUD\n");
        const names = ["near", "far", "module", "tuned"];
        assert.deepEqual(await Promise.all(names.map((name) => made.file(`etc/${name}`))), names);
        digests.push(await finish(made));
        assert.deepEqual((await readdir(made.upper, { recursive: true })).sort(), [
          "etc",
          ...["far", "greeting", "module", "near", "tuned"].map((name) => `etc/${name}`),
        ]);
      }
      assert.equal(digests[0], digests[1]);
      await assert.rejects(lstat(ansibleLog), "no log outside the build, whatever ansible.cfg says");
    });

    test("Ansible's own modules stay packed between plays, and nobody else's do", async () => {
      const packedModules = join(root, "packed");
      const packed = async () => (await readdir(packedModules, { recursive: true }).catch(() => [])).sort();
      const play = async (files: Readonly<Record<string, string>>, link?: string) => {
        const url = await mkdtemp(join(root, "git-"));
        await put(url, files);
        if (link !== undefined) await symlink(link, join(url, "library"));
        const git = (...args: string[]) => run(["git", "-C", url, ...args], { env: { HOME: root } });
        await git("init", "-q", "-b", "main");
        await git("add", "-A");
        await git("-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "x");
        const commit = (await git("rev-parse", "HEAD")).stdout.trim();
        const made = await layer({});
        const step = { layer: { url, commit, playbook: "site.yml" }, groups: ["Compute"], inventory: undefined };
        await applyAnsibleLayer(step, epoch, openGitStore(join(root, "cache")), made.sandbox, {
          ...options,
          packedModules,
        });
        return made;
      };
      const site =
        "- hosts: Compute\n  gather_facts: false\n  tasks: [{copy: {content: theirs, dest: /etc/made, mode: '0644'}}]\n";
      const own = `
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={})
open("/etc/made", "w").write("own")
module.exit_json(changed=True)
`;
      const calling = "- hosts: Compute\n  gather_facts: false\n  tasks: [{made: {}}, {command: 'true'}]\n";
      const other = await play({ "site.yml": calling, "lib/made.py": own }, "lib");
      assert.equal(await other.file("etc/made"), "own");
      assert.deepEqual(await packed(), [], "a repository with modules of its own keeps none");
      const first = await play({ "site.yml": site });
      assert.equal(await first.file("etc/made"), "theirs");
      const kept = await packed();
      const copy = kept.find((name) => /\/ansible\.modules\.copy-ZIP_/.test(name));
      assert.ok(copy !== undefined, kept.join(" "));
      const archive = Buffer.from(await readFile(join(packedModules, copy), "utf8"), "base64");
      assert.ok(archive.includes("ansible/module_utils/basic.pyc"), "it is compiled");
      const second = await play({ "site.yml": site });
      assert.equal(await second.file("etc/made"), "theirs");
      assert.deepEqual(await packed(), kept);
    });

    test("what CFS passes through chooses what runs", async () => {
      const source = await repository(files);
      const made = await layer({});
      const vars = { extraVars: { site: { text: "x" }, from_inventory: "y" }, passthrough: "--tags greet -e number=1" };
      await ansible({ layer: { ...source, playbook: "plays/site.yml" }, groups: ["Compute"], ...vars }, made).catch(
        () => undefined,
      );
      await assert.rejects(made.file("etc/near"), "another tag");
      const refused = { ...vars, passthrough: "-i /etc/hosts" };
      const again = await layer({});
      await assert.rejects(
        ansible({ layer: { ...source, playbook: "plays/site.yml" }, groups: ["Compute"], ...refused }, again),
        /"-i" is not an option that is passed on/,
      );
    });

    test("a requirement that is nowhere is named when there is no network, and fetched when there is", async () => {
      const role = await repository({
        "tasks/main.yml": "- ansible.builtin.copy: {content: fetched, dest: /etc/fetched, mode: '0644'}\n",
        "meta/main.yml": "galaxy_info: {author: t, description: t, license: MIT, min_ansible_version: '2.9'}\n",
      });
      const source = await repository({
        "site.yml": "- hosts: Compute\n  gather_facts: false\n  roles: [fetched]\n",
        "roles/requirements.yml": `- {src: "git+file://${role.url}", name: fetched, version: ${role.commit}}\n`,
      });
      const step = { layer: { ...source, playbook: "site.yml" }, groups: ["Compute"] };
      await assert.rejects(ansible(step, await layer({})), {
        message: "requirements.yml names what is not in the repository: fetched",
      });
      const made = await layer({}, { network: true });
      assert.deepEqual(await ansible(step, made), {
        fetched: [{ kind: "role", name: "fetched", version: role.commit }],
      });
      assert.equal(await made.file("etc/fetched"), "fetched");
    });

    test("a playbook of the recipe's own files finds its neighbours; one that is missing is named", async () => {
      const own = await recipe({
        "ansible/site.yml":
          "- hosts: Compute\n  gather_facts: false\n  tasks:\n    - ansible.builtin.template: {src: motd.j2, dest: /etc/motd}\n",
        "ansible/templates/motd.j2": "on {{ inventory_hostname }}\n",
      });
      const made = await layer({});
      const step = { recipe: own, playbook: "ansible/site.yml", groups: ["Compute"] };
      await applyRecipePlaybook(step, epoch, blobs(), made.sandbox, options);
      assert.equal(await made.file("etc/motd"), "on node\n");
      await assert.rejects(
        applyRecipePlaybook({ ...step, playbook: "site.yml" }, epoch, blobs(), (await layer({})).sandbox, options),
        { message: "there is no playbook site.yml", hint: "it is in the recipe site" },
      );
    });
  });

  describe("secrets", () => {
    const password = "correct horse battery";
    const vaultPassword = "staple-staple-staple";
    let references: Record<string, string>;

    before(async () => {
      await writeFile(join(root, "password"), `${password}\n`, { mode: 0o600 });
      await writeFile(join(root, "vault"), `${vaultPassword}\n`, { mode: 0o600 });
      references = { site_password: `file:${root}/password`, "vault:default": `file:${root}/vault` };
    });

    async function play(tasks: string) {
      const encrypted = join(root, "encrypted.yml");
      await writeFile(encrypted, "from_vault: opened\n");
      await run(["ansible-vault", "encrypt", "--vault-password-file", join(root, "vault"), encrypted], {
        env: { HOME: root },
      });
      const head = "- hosts: Compute\n  gather_facts: false\n  vars_files: [vault.yml]\n  tasks:\n";
      const source = await repository({
        "site.yml": head + tasks.replaceAll(/^/gm, "    "),
        "vault.yml": await readFile(encrypted, "utf8"),
        "templates/secret.j2": "{{ site_password }}\n",
      });
      return { layer: { ...source, playbook: "site.yml" }, groups: ["Compute"], secrets: references };
    }

    /** Whether any file below a folder holds the text: nothing of a secret may be on a disk. */
    async function onDisk(folder: string): Promise<string[]> {
      const { stdout } = await run(["grep", "-rlaF", "--", password, folder], { okExitCodes: "any" });
      return stdout.split("\n").filter((line) => line !== "");
    }

    test("reach the play, and neither its log nor the disk", async () => {
      const made = await layer({});
      const step =
        await play(`- ansible.builtin.shell: "echo {{ site_password }}; echo -n '{{ site_password }}' | base64"
- ansible.builtin.template: {src: secret.j2, dest: /run/secret, mode: "0600"}
- ansible.builtin.shell: "sha256sum < /run/secret > /etc/proof; echo {{ from_vault }} >> /etc/proof"
`);
      await ansible({ ...step, passthrough: "-vvv" }, made);
      assert.match(await made.file("etc/proof"), new RegExp(`^${sha256(`${password}\n`)}  -\nopened\n$`));
      const text = log.join("\n");
      assert.match(text, /\*\*\*/);
      assert.ok(!text.includes(password) && !text.includes(Buffer.from(password).toString("base64")), "masked");
      assert.deepEqual(await onDisk(made.sandbox.work), []);
    });

    test("are masked in what a failed task says", async () => {
      const step = await play(`- name: Breaks\n  ansible.builtin.shell: "echo {{ site_password }} >&2; exit 3"\n`);
      await assert.rejects(ansible(step, await layer({})), (error: NetkilnError) => {
        assert.match(error.message, /the playbook site\.yml failed/);
        assert.deepEqual(error.output.slice(0, 2), ['task "Breaks" failed: non-zero return code', "***"]);
        return !JSON.stringify([error.output, error.detail, error.hint]).includes(password);
      });
    });

    test("are refused in the layer, with the path", async () => {
      const step = await play(`- ansible.builtin.template: {src: secret.j2, dest: /etc/slurm.conf}\n`);
      await assert.rejects(ansible(step, await layer({})), {
        code: "refused",
        message: "the layer holds the secret site_password: /etc/slurm.conf",
      });
    });

    test("that cannot be read stop the layer before anything runs", async () => {
      const step = await play("- ansible.builtin.debug: {}\n");
      const secrets = { ...references, missing: `file:${root}/nowhere` };
      await assert.rejects(ansible({ ...step, secrets }, await layer({})), /not every secret can be read/);
      assert.deepEqual(log, []);
    });
  });

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
