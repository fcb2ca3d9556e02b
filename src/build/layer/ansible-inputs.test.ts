import assert from "node:assert/strict";
import { test } from "node:test";
import { playbookInputs } from "./ansible-inputs.ts";

async function inputs(playbook: string, repository: Record<string, string>) {
  return playbookInputs(playbook, Object.keys(repository), async (path) => repository[path] ?? "");
}

test("a playbook depends on what it names, and not on its neighbours", async () => {
  const { paths, wholeBecause } = await inputs("compute.yml", {
    "base.yml": "- hosts: all\n",
    "compute.yml": `
- hosts: Compute
  vars_files: [vars/site.yml]
  roles: [slurm]
  tasks:
    - ansible.builtin.template: {src: limits.conf.j2, dest: /etc/security/limits.d/50-site.conf}
    - copy: src=motd dest=/etc/motd
    - include_tasks: more.yml
    - template: {src: "{{ item.src }}", dest: "{{ item.dest }}"}
      loop: [{src: looped.j2, dest: /etc/looped}]
`,
    "more.yml": "- debug: {msg: hello}\n",
    "vars/site.yml": "a: 1\n",
    "templates/limits.conf.j2": "",
    "templates/looped.j2": "",
    "templates/other.j2": "",
    "files/motd": "",
    "roles/slurm/tasks/main.yml": "- template: {src: slurm.conf.j2, dest: /etc/slurm/slurm.conf}\n",
    "roles/slurm/templates/slurm.conf.j2": "",
    "roles/slurm/meta/main.yml": "dependencies: [munge]\n",
    "roles/munge/tasks/main.yml": "[]\n",
    "roles/unused/tasks/main.yml": "[]\n",
    "group_vars/Compute.yml": "b: 2\n",
    "checks/compute.yml": "{}\n",
    "ansible.cfg": "",
  });
  assert.equal(wholeBecause, undefined);
  assert.deepEqual(paths, [
    "ansible.cfg",
    "compute.yml",
    "files/motd",
    "group_vars/Compute.yml",
    "more.yml",
    "roles/munge/tasks/main.yml",
    "roles/slurm/meta/main.yml",
    "roles/slurm/tasks/main.yml",
    "roles/slurm/templates/slurm.conf.j2",
    "templates/limits.conf.j2",
    "templates/looped.j2",
    "vars/site.yml",
  ]);
});

for (const [what, task] of [
  ["an include with a variable", 'include_tasks: "{{ kind }}.yml"'],
  ["a role with a variable", 'include_role: {name: "{{ kind }}"}'],
  ["a template with a variable", 'template: {src: "{{ kind }}.j2", dest: /etc/x}'],
  ["a loop over a variable", 'template: {src: "{{ item }}", dest: /etc/x}\n      loop: "{{ kinds }}"'],
  ["a name put together", 'template: {src: "{{ item }}.j2", dest: /etc/x}\n      loop: [a]'],
  ["a lookup", "copy: {content: \"{{ lookup('file', kind) }}\", dest: /etc/x}"],
  ["a with_ lookup", "copy: {src: x, dest: y}\n      with_fileglob: 'conf/*'"],
] as const) {
  test(`${what} makes the whole repository count`, async () => {
    const { paths, wholeBecause } = await inputs("site.yml", {
      "site.yml": `- hosts: all\n  tasks:\n    - ${task}\n`,
      "anything/else": "",
    });
    assert.match(wholeBecause ?? "", /^site\.yml (has|includes) /);
    assert.deepEqual(paths, ["anything/else", "site.yml"]);
  });
}

test("a template that includes another, and a lookup in the variables, make the whole repository count", async () => {
  const playbook = "- hosts: all\n  tasks:\n    - template: {src: a.j2, dest: /etc/a}\n";
  const including = { "site.yml": playbook, "templates/a.j2": "{% include 'b.j2' %}", "templates/b.j2": "" };
  assert.match((await inputs("site.yml", including)).wholeBecause ?? "", /^templates\/a\.j2 includes/);
  const looking = {
    "site.yml": playbook,
    "templates/a.j2": "",
    "group_vars/all.yml": "a: \"{{ lookup('file', 'x') }}\"",
  };
  assert.match((await inputs("site.yml", looking)).wholeBecause ?? "", /^group_vars\/all\.yml includes or looks up/);
});

test("a playbook in a folder finds roles beside it and at the top", async () => {
  const { paths } = await inputs("plays/site.yml", {
    "plays/site.yml": "- hosts: all\n  roles: [{role: near}, far]\n",
    "plays/roles/near/tasks/main.yml": "[]\n",
    "roles/far/tasks/main.yml": "[]\n",
    "plays/group_vars/all.yml": "a: 1\n",
  });
  assert.deepEqual(paths, [
    "plays/group_vars/all.yml",
    "plays/roles/near/tasks/main.yml",
    "plays/site.yml",
    "roles/far/tasks/main.yml",
  ]);
});

const twoCollections = {
  "collections/requirements.yml": "collections: []\n",
  "collections/ansible_collections/site/hpc/galaxy.yml": "namespace: site\nname: hpc\ndependencies: {site.base: '*'}\n",
  "collections/ansible_collections/site/hpc/plugins/modules/tune.py": "def query(x): return lookup(x)\n",
  "collections/ansible_collections/site/hpc/roles/slurm/tasks/main.yml": "- site.more.thing: {}\n",
  "collections/ansible_collections/site/base/plugins/filter/f.py": "",
  "collections/ansible_collections/site/more/plugins/modules/thing.py": "",
  "collections/ansible_collections/site/unused/plugins/modules/other.py": "",
};

for (const [what, play] of [
  ["a module", "- hosts: all\n  tasks:\n    - site.hpc.tune: {}\n"],
  ["a role", "- hosts: all\n  roles: [site.hpc.slurm]\n"],
  ["the play's collections", "- hosts: all\n  collections: [site.hpc]\n  tasks:\n    - tune: {}\n"],
  ["a filter", "- hosts: all\n  tasks:\n    - debug: {msg: \"{{ 'x' | site.hpc.f }}\"}\n"],
] as const) {
  test(`a collection counts for ${what} that is used, with those it names itself, and no other`, async () => {
    const { paths, wholeBecause } = await inputs("site.yml", { "site.yml": play, ...twoCollections });
    assert.equal(wholeBecause, undefined);
    const collections = paths.map((path) => path.split("/")[3]).filter((name) => name !== undefined);
    assert.deepEqual([...new Set(collections)], ["base", "hpc", "more"]);
    assert.ok(paths.includes("collections/ansible_collections/site/hpc/plugins/modules/tune.py"));
    assert.ok(paths.includes("collections/requirements.yml"));
  });
}

test("a playbook that uses no collection depends on none", async () => {
  const { paths } = await inputs("site.yml", { "site.yml": "- hosts: all\n", ...twoCollections });
  assert.deepEqual(paths, ["collections/requirements.yml", "site.yml"]);
});

test("folders that ansible.cfg names are looked into", async () => {
  const { paths } = await inputs("site.yml", {
    "site.yml": "- hosts: all\n  roles: [far]\n  tasks:\n    - site.hpc.tune: {}\n",
    "ansible.cfg":
      "[defaults]\nroles_path = vendor/roles:./own\ncollections_path = vendor\nfilter_plugins = tools/filters\n",
    "vendor/roles/far/tasks/main.yml": "[]\n",
    "vendor/roles/unused/tasks/main.yml": "[]\n",
    "vendor/ansible_collections/site/hpc/plugins/modules/tune.py": "",
    "tools/filters/f.py": "",
    "tools/other.py": "",
  });
  assert.deepEqual(paths, [
    "ansible.cfg",
    "site.yml",
    "tools/filters/f.py",
    "vendor/ansible_collections/site/hpc/plugins/modules/tune.py",
    "vendor/roles/far/tasks/main.yml",
  ]);
});
