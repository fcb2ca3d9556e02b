/**
 * Layers made with the real Ansible, in real sandboxes on one small Debian tree; needs root.
 */
import assert from "node:assert/strict";
import { lstat, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { applyAnsibleLayer, applyRecipePlaybook } from "../../src/build/layer/ansible.ts";
import { openGitStore } from "../../src/configuration/index.ts";
import { NetkilnError } from "../../src/lib/errors.ts";
import { run } from "../../src/lib/exec.ts";
import { sha256 } from "../../src/lib/files.ts";
import { epoch, openLayerTree } from "../support/layer-tree.ts";

const ansibleLog = `/tmp/netkiln-ansible-log-${process.pid}`;
const { root, log, options, layer, finish, put, repository, recipe, blobs, ansible, close } = await openLayerTree();
after(close);

describe("layers on a tree", { timeout: 1_500_000 }, () => {
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
});
