/**
 * CFS on live nodes: sessions, the batcher, and what becomes of both when they are stopped. The nodes are real sshds on
 * loopback; needs root. The tests of this file go on from one another.
 */
import assert from "node:assert/strict";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { makeFolder, processesOf, startServer, waitUntil, type TestServer } from "../support/server.ts";
import { makeSite, type Site } from "../support/site.ts";
import { startSshdNode, type SshdNode } from "../support/sshd-node.ts";

const port = 20_022 + (process.pid % 1000);
const names = ["x1c0s0b0n0", "x1c0s1b0n0", "x1c0s2b0n0"] as const;
const [first, second, third] = names;

const greeting = `- hosts: Compute
  gather_facts: false
  tasks:
    - name: What is broken
      ansible.builtin.command: test ! -e /srv/broken
      changed_when: false
    - name: What takes long
      ansible.builtin.shell: while test -e /srv/slow; do sleep 0.2; done
      changed_when: false
    - name: A greeting
      ansible.builtin.copy: {content: "{{ inventory_hostname }} {{ greeting | default('hello') }}\\n", dest: /srv/greeting}
`;
const colour = `- hosts: blue
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: "blue\\n", dest: /srv/colour}
`;

interface Session {
  readonly logs?: string;
  readonly status: { readonly session: { readonly status: string; readonly succeeded: string; readonly job?: string } };
}
interface Component {
  readonly id: string;
  readonly configuration_status: string;
  readonly error_count: number;
  readonly state: readonly { readonly playbook: string; readonly status: string; readonly session_name: string }[];
}

let site: Site;
let server: TestServer;
let folder: string;
const nodes = new Map<string, SshdNode>();

before(async () => {
  folder = await makeFolder();
  site = await makeSite();
  const config = `[defaults]\nremote_port = ${port}\n`;
  await site.commit({ "greeting.yml": greeting, "colour.yml": colour, "ansible.cfg": config });
  server = await startServer({ cwd: site.folder });
  const key = (await server.cli("keys", "node")).stdout.trim();
  assert.match(key, /^ssh-ed25519 \S+ netkiln$/);
  const listed = names.map((xname, index) => ({
    ...{ xname, nid: index + 1, groups: xname === first ? ["blue"] : [] },
    interfaces: [{ mac: `52:54:00:00:00:0${index}`, ip: `127.0.0.${11 + index}` }],
  }));
  await site.write("nodes.yaml", JSON.stringify(listed));
  const added = await server.cli("nodes", "add", "--file", "nodes.yaml");
  assert.equal(added.exitCode, 0, added.stderr);
  for (const [index, xname] of names.entries()) {
    const address = `127.0.0.${11 + index}`;
    nodes.set(xname, await startSshdNode(join(folder, xname), { address, port, publicKey: key }));
  }
  const layer = (playbook: string) => ({
    name: playbook,
    clone_url: join(site.folder, "ansible"),
    branch: "main",
    playbook,
  });
  await cfs("PUT", "configurations/site", 200, { layers: [layer("greeting.yml"), layer("colour.yml")] });
  await cfs("PATCH", "options", 200, { batcher_disable: true, batch_window: 0, batcher_check_interval: 1 });
});

after(async () => {
  for (const node of nodes.values()) await node.stop();
  await server.stop();
  await site.clear();
  // The server was started again on it.
  for (const left of [folder, server.data]) await rm(left, { recursive: true, force: true });
});

async function cfs<T>(method: string, path: string, status: number, body?: object): Promise<T> {
  const content = body && { type: "application/json", body: JSON.stringify(body) };
  const answer = await server.http(method, `/apis/cfs/v3/${path}`, content);
  assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
  return (answer.body === "" ? undefined : JSON.parse(answer.body)) as T;
}

const srv = (xname: string, file: string) => join(nodes.get(xname)?.srv ?? "", file);
const componentOf = (xname: string) => cfs<Component>("GET", `components/${xname}?state_details=true`, 200);
const statusOf = async (name: string) => (await cfs<Session>("GET", `sessions/${name}`, 200)).status.session;
const logOf = async (name: string) => {
  const { logs } = await cfs<Session>("GET", `sessions/${name}`, 200);
  return (await server.http("GET", logs ?? "", undefined)).body;
};

async function ended(name: string): Promise<string> {
  await waitUntil(60, async () => (await statusOf(name)).status === "complete");
  return (await statusOf(name)).succeeded;
}

async function running(): Promise<string[]> {
  return (await processesOf(server.data)).filter((line) => /ansible|\bssh /.test(line));
}

test("a session runs the layers on the nodes, and says what came of each on each of them", async () => {
  await writeFile(srv(second, "broken"), "");
  const body = { name: "by-hand", configuration_name: "site", ansible_limit: names.join(",") };
  await cfs("POST", "sessions", 201, body);
  assert.equal(await ended("by-hand"), "false");
  assert.match((await statusOf("by-hand")).job ?? "", /^cfs-[0-9a-f-]{36}$/);
  assert.equal(await readFile(srv(first, "greeting"), "utf8"), `${first} hello\n`);
  assert.equal(await readFile(srv(first, "colour"), "utf8"), "blue\n");
  assert.deepEqual(await readdir(srv(second, "")), ["broken"]);
  assert.deepEqual(await readdir(srv(third, "")), ["greeting"]);
  const states = await Promise.all(names.map(componentOf));
  assert.deepEqual(
    states.map(({ state }) => state.map(({ playbook, status }) => `${playbook} ${status}`)),
    [
      ["greeting.yml applied", "colour.yml applied"],
      ["greeting.yml failed"],
      ["greeting.yml applied", "colour.yml skipped"],
    ],
  );
  assert.equal(states[0]?.state[0]?.session_name, "by-hand");
  const log = await logOf("by-hand");
  assert.match(log, /TASK \[A greeting\][^]*PLAY RECAP[^]*x1c0s1b0n0 .*failed=1[^]*layer 1 \(colour.yml\)/);
  const known = (await readFile(join(server.data, "keys/nodes/known_hosts"), "utf8")).trim().split("\n").sort();
  assert.deepEqual(
    known.map((line) => line.split(" ")[0]),
    names,
  );
});

test("what is passed on to Ansible reaches it, is no argument, and leaves no state", async () => {
  const passthrough = { ansible_passthrough: `-e "greeting='good day'" --skip-tags none` };
  const body = { name: "passed", configuration_name: "site", configuration_limit: "0", ansible_limit: third };
  await cfs("POST", "sessions", 201, { ...body, ...passthrough });
  assert.equal(await ended("passed"), "true");
  assert.equal(await readFile(srv(third, "greeting"), "utf8"), `${third} good day\n`);
  assert.notEqual((await componentOf(third)).state[0]?.session_name, "passed");
});

test("a session for nobody, or with another Ansible configuration, says so", async () => {
  await cfs("POST", "sessions", 201, { name: "nobody", configuration_name: "site", ansible_limit: "x9c0s0b0n0" });
  await cfs("POST", "sessions", 201, { name: "odd", configuration_name: "site", ansible_config: "ours" });
  assert.deepEqual([await ended("nobody"), await ended("odd")], ["false", "false"]);
  assert.match(await logOf("nobody"), /^==> failed: no host matches x9c0s0b0n0$/m);
  assert.match(await logOf("odd"), /^==> failed: there is no Ansible configuration "ours"$/m);
});

test("what failed can be looked at, where that was asked for", async () => {
  const kept = async () => {
    const runs = await readdir(join(server.data, "configuration-sessions"));
    const files = await Promise.all(
      runs.map((run) => readdir(join(server.data, "configuration-sessions", run, "work/layer-0")).catch(() => [])),
    );
    return files.flat();
  };
  assert.deepEqual(await kept(), []);
  const body = { name: "debugged", configuration_name: "debug_fail", ansible_limit: first, debug_on_failure: true };
  await cfs("POST", "sessions", 201, body);
  assert.equal(await ended("debugged"), "false");
  assert.match(await logOf("debugged"), /as asked/);
  assert.deepEqual(await kept(), ["debug_fail.yml"]);
});

test("a component that wants a configuration gets it, and one that has it is left alone", async () => {
  await rm(srv(second, "broken"));
  const desired = names.map((id) => ({ id, desired_config: "site", enabled: true }));
  await cfs("PATCH", "components", 200, desired);
  assert.equal((await componentOf(first)).configuration_status, "configured");
  assert.equal((await componentOf(second)).configuration_status, "pending");
  await cfs("PATCH", "options", 200, { batcher_disable: false });
  await waitUntil(60, async () => (await componentOf(second)).configuration_status === "configured");
  const { state, error_count: errors } = await componentOf(second);
  assert.equal(errors, 0);
  const [batcher] = state.map(({ session_name: name }) => name);
  assert.match(batcher ?? "", /^batcher-[0-9a-f-]{36}$/);
  assert.equal(await ended(batcher ?? ""), "true");
  const { sessions } = await cfs<{ sessions: { name: string }[] }>("GET", "sessions?name_contains=batcher-", 200);
  assert.deepEqual(
    sessions.map(({ name }) => name),
    [batcher],
  );
  await cfs("PATCH", "options", 200, { batcher_disable: true });
});

test("components that are no nodes fail, whatever they are called, and hold no node back", async () => {
  const odd = ["x9c0s0b0n0", "all", "@/etc/hostname"];
  await cfs("PUT", "components", 200, [
    ...odd.map((id) => ({ id, desired_config: "site", retry_policy: 2 })),
    { id: first, desired_config: "site" },
  ]);
  const before = await componentOf(second);
  await cfs("PATCH", "options", 200, { batcher_disable: false });
  const standing = async (id: string) => {
    const { configuration_status: status, error_count: errors, state } = await componentOf(encodeURIComponent(id));
    return [status, errors, ...state.map(({ playbook, status: one }) => `${playbook} ${one}`)];
  };
  await waitUntil(60, async () => (await standing(first))[0] === "configured");
  await waitUntil(60, async () => (await Promise.all(odd.map(standing))).every(([status]) => status === "failed"));
  assert.deepEqual(
    await Promise.all(odd.map(standing)),
    odd.map(() => ["failed", 2, "greeting.yml failed"]),
  );
  const { session_name: session } = (await componentOf("x9c0s0b0n0")).state[0] ?? assert.fail();
  assert.match(await logOf(session), /^==> no host of the inventory, and so failed: .*x9c0s0b0n0/m);
  assert.deepEqual(await componentOf(second), before, "an id is no pattern");
  await cfs("PATCH", "options", 200, { batcher_disable: true });
});

test("a session that is removed stops at once", async () => {
  await writeFile(srv(first, "slow"), "");
  await cfs("POST", "sessions", 201, { name: "stopped", configuration_name: "site", ansible_limit: first });
  await waitUntil(60, async () => /What takes long/.test(await logOf("stopped")));
  assert.notDeepEqual(await running(), []);
  await cfs("DELETE", "sessions/stopped", 204);
  await waitUntil(10, async () => (await running()).length === 0);
  await cfs("GET", "sessions/stopped", 404);
});

test("a session whose server is killed leaves nothing running, and is begun again", async () => {
  await writeFile(srv(first, "slow"), "");
  await cfs("POST", "sessions", 201, { name: "killed", configuration_name: "site", ansible_limit: first });
  await waitUntil(60, async () => /What takes long/.test(await logOf("killed")));
  await server.kill9();
  assert.deepEqual(await running(), []);
  await rm(srv(first, "slow"));
  server = await startServer({ data: server.data, cwd: site.folder });
  assert.equal(await ended("killed"), "true");
  assert.deepEqual(await running(), []);
});
