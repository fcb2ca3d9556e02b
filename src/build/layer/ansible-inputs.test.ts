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
