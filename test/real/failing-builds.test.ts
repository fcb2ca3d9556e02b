/**
 * Builds that fail, as an operator meets them through the real command line: what is said is compared word for word, and
 * nothing may have changed. Needs root, as good builds are needed to fail from.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Build } from "../support/answers.ts";
import { openMistakenSite, type MistakenSite } from "../support/mistakes.ts";
import { assertNoWorkLeft, type TestServer } from "../support/server.ts";
import { recipe, type Site } from "../support/site.ts";

let world: MistakenSite;
let site: Site;
let server: TestServer;

before(async () => {
  world = await openMistakenSite();
  ({ site, server } = world);
});
after(() => world.close());

describe("a build that fails", () => {
  const tasks = "- hosts: Compute\n  gather_facts: false\n  tasks:\n";
  const newest = async () => (await server.json<Build[]>("builds", "list", "--limit", "1"))[0];
  let good: Build | undefined;

  before(async () => {
    const { exitCode, stderr } = await world.run();
    assert.equal(exitCode, 0, stderr);
    good = await newest();
  });

  /** Commits, runs, and expects that the image stays as it was; returns what was said, and the log. */
  async function fails(files: Readonly<Record<string, string>>, step: string) {
    const commit = (await site.commit(files)).slice(0, 12);
    return { ...(await failsAt(step)), commit };
  }

  async function failsAt(step: string) {
    const images = await server.json<unknown[]>("images", "list");
    const { exitCode, stdout, stderr } = await world.run();
    assert.equal(exitCode, 1, stderr);
    const build = await newest();
    assert.notEqual(build?.id, good?.id);
    assert.equal(build?.status, "failed");
    assert.equal(build?.steps.find(({ state }) => state === "failed")?.title, step);
    assert.match(stdout, /image node: failed\n$/);
    assert.deepEqual(await server.json("images", "list"), images, "nothing was published");
    await assertNoWorkLeft(server.data);
    const id = build?.id.slice(0, 8) ?? "";
    const log = (await server.cli("builds", "logs", id)).stdout;
    return { stderr, log, id };
  }

  test("in a task of a playbook says which, and what it said; the log is kept", async () => {
    const kept = await world.layers();
    const breaks = `${tasks}    - name: Works
      ansible.builtin.command: echo fine
    - name: Breaks
      ansible.builtin.command: sh -c 'echo out; echo oops >&2; exit 3'
`;
    const { stderr, log, commit, id } = await fails({ "first.yml": breaks }, "layer first.yml");
    assert.equal(
      stderr,
      `  task "Breaks" failed: non-zero return code
  oops
  out
error: image node: layer first.yml: the playbook first.yml failed
hint: it is at commit ${commit} of ${world.repository}; netkiln builds logs ${id} has the whole story
`,
    );
    assert.match(
      log,
      /TASK \[Works\] \*+\nchanged: \[node\]\n\nTASK \[Breaks\] \*+\nfatal: \[node\]: FAILED! => \{.*oops/,
    );
    assert.match(log, /\n==> failed: layer first\.yml: the playbook first\.yml failed\n {4}task "Breaks" failed: .*\n/);
    assert.deepEqual(await world.layers(), kept, "the tree of a failed playbook is not kept");
  });

  test("in an item of a loop names files as they are in the repository", async () => {
    const missing = `${tasks}    - name: Copies
      ansible.builtin.copy: {src: missing, dest: "/etc/{{ item }}"}
      loop: [a, b]
`;
    const { stderr } = await fails({ "first.yml": missing }, "layer first.yml");
    assert.match(
      stderr,
      /^ {2}task "Copies" failed: Could not find or access 'missing'\n {2}Searched in:\n {2}\tfiles\/missing\n/,
    );
    assert.doesNotMatch(stderr, /\/work\//);
  });

  test("on a playbook that is no YAML says where the mistake is", async () => {
    const bad = `${tasks}    - name: Bad\n      ansible.builtin.copy: {content: x, dest: /etc/x\n`;
    const { stderr, commit, id } = await fails({ "first.yml": bad }, "layer first.yml");
    assert.match(stderr, /\n {2}Syntax Error while loading YAML\.\n {4}did not find expected ',' or '}'\n/);
    assert.match(stderr, /\n {2}The error appears to be in 'first\.yml': line 6, column 1, but may\n/);
    assert.ok(
      stderr.endsWith(
        `\nerror: image node: layer first.yml: the playbook first.yml failed\nhint: it is at commit ${commit} of ${world.repository}; netkiln builds logs ${id} has the whole story\n`,
      ),
      stderr,
    );
  });

  test("at the gate says what was expected and what was found", async () => {
    const { stderr, log, id } = await fails(
      {
        "first.yml": `${tasks}    - ansible.builtin.command: "true"\n`,
        "checks/first.yml": "file:\n  /etc/motd: {exists: true, mode: '0600'}\n  /etc/nothing: {exists: true}\n",
      },
      "gate",
    );
    const told = `failed checks/first.yml: File /etc/motd mode
       expected "0600", found "0644"
failed checks/first.yml: File /etc/nothing exists
       expected true, found false
gate failed: 2 of 8 checks
`;
    assert.equal(
      stderr,
      `${told.replace(/^/gm, "  ").slice(0, -2)}error: image node: gate: the gate refused the image: 2 failed, 0 could not be evaluated, 6 passed
hint: correct the recipe, the playbooks or the checks; nothing was published; netkiln builds logs ${id} has the whole story
`,
    );
    assert.ok(log.includes(told));
    const verdict = JSON.parse((await server.cli("builds", "verdict", id)).stdout) as { status: string };
    assert.equal(verdict.status, "failed");
    const junit = (await server.cli("builds", "verdict", "--junit", id)).stdout;
    assert.match(junit, /<testsuites name="node" tests="8" failures="2" errors="0" skipped="0"/);
  });

  test("at a gate that could evaluate nothing of a file is not let through", async () => {
    const { stderr } = await fails({ "checks/first.yml": "port:\n  tcp:22: {listening: true}\n" }, "gate");
    assert.match(stderr, /^ {2}error {2}checks\/first\.yml: nothing was evaluated: 1 deferred to a booted node\n/);
    assert.match(
      stderr,
      /\nerror: image node: gate: the gate refused the image: 0 failed, 1 could not be evaluated, 5 passed\n/,
    );
  });

  test("does not stand in the way of the next one", async () => {
    await site.commit({ "checks/first.yml": "file:\n  /etc/motd: {exists: true}\n" });
    const { exitCode, stderr } = await world.run();
    assert.equal(exitCode, 0, stderr);
  });

  test("at a package that does not exist says so in apt's own words", async () => {
    await site.write("recipe/recipe.yaml", recipe.replace("python3,", "python3, no-such-package,"));
    assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
    const kept = await world.layers();
    const { stderr, log, id } = await failsAt("lock (debian bookworm)");
    assert.equal(
      stderr,
      `  E: Unable to locate package no-such-package
error: image node: lock (debian bookworm): apt-get failed: Unable to locate package no-such-package
hint: correct the packages of recipe.yaml and import it again, or add the component that has them to its components; netkiln builds logs ${id} has the whole story
`,
    );
    assert.match(log, /\nE: Unable to locate package no-such-package\n/);
    assert.deepEqual(await world.layers(), kept);
    await site.write("recipe/recipe.yaml", recipe);
    assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
  });
});
