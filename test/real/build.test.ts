/**
 * Images built with the real mmdebstrap and Ansible, through the real command line and server; needs root.
 * The tests of this file go on from one another: each sees what those before it have built.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { lstat, mkdir, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import {
  assertNoWorkLeft,
  makeFolder,
  startServer,
  startWorker,
  waitUntil,
  type TestServer,
} from "../support/server.ts";
import { makeSite, recipe, tool, type Site } from "../support/site.ts";
import type { Build, Image, Plan } from "../support/answers.ts";

const first = `- hosts: Compute
  gather_facts: false
  tasks:
    - name: What a layer finds while it runs, and no image has
      ansible.builtin.command: test -x /usr/sbin/policy-rc.d -a -s /etc/apt/sources.list.d/netkiln-build.list
    - name: A package
      ansible.builtin.shell: apt-get update && apt-get install -y --no-install-recommends attr
    - name: An account
      ansible.builtin.command: useradd --uid 4321 --user-group worker
    - name: A greeting
      ansible.builtin.template:
        src: greeting.j2
        dest: /etc/greeting
        mode: "0640"
`;

const second = `- hosts: Compute
  gather_facts: false
  tasks:
    - name: A folder
      ansible.builtin.file: {path: /opt/tree, state: directory, owner: worker, group: worker, mode: "2775"}
    - name: Files of all modes
      ansible.builtin.copy: {content: "x", dest: "/opt/tree/{{ item }}", owner: worker, group: mail, mode: "{{ item }}"}
      loop: ["0000", "0600", "0444", "1755", "4750", "2711"]
    - name: A hard link
      ansible.builtin.file: {src: /opt/tree/0600, path: /opt/tree/linked, state: hard}
    - name: An extended attribute
      ansible.builtin.command: setfattr -n user.origin -v kiln /opt/tree/0444
    - name: A program that may open raw sockets
      ansible.builtin.shell: cp /bin/true /opt/tree/raw && setcap cap_net_raw,cap_net_admin+ep /opt/tree/raw
    - name: A file of the base image goes
      ansible.builtin.file: {path: /etc/issue, state: absent}
    - name: A folder of the base image is made anew
      ansible.builtin.shell: rm -r /etc/skel && mkdir /etc/skel && echo new > /etc/skel/.new
    - name: Identities that must not get into an image
      ansible.builtin.shell: |
        mkdir -p /etc/ssh
        for type in rsa ecdsa ed25519; do echo secret > /etc/ssh/ssh_host_\${type}_key; done
        echo public > /etc/ssh/ssh_host_ed25519_key.pub
        echo 0123456789abcdef0123456789abcdef > /etc/machine-id
        echo left > /tmp/left; echo left > /var/tmp/left; echo left > /run/left
`;

const repository = {
  "first.yml": first,
  "second.yml": second,
  "templates/greeting.j2": "hello {{ inventory_hostname }}\n",
  "README.md": "no playbook reads this\n",
  "checks/first.yml": `file:
  /etc/greeting: {exists: true, mode: "0640", contents: ["hello node"]}
package:
  attr: {installed: true}
`,
  "checks/second.yml": `file:
  /opt/tree/4750: {exists: true, mode: "4750", owner: worker, group: mail}
  /etc/issue: {exists: false}
command:
  capability:
    exec: getcap /opt/tree/raw
    exit-status: 0
    stdout: [cap_net_raw]
`,
};

const bootprep = `schema_version: 1.0.9
configurations:
  - name: node-config
    layers:
      - {name: first, playbook: first.yml, git: {url: ansible, branch: main}}
      - {name: second, playbook: second.yml, git: {url: ansible, branch: main}}
images:
  - name: node-base
    ref_name: base
    base: {ims: {type: recipe, name: tiny}}
  - name: node
    ref_name: node
    base: {image_ref: base}
    configuration: node-config
    configuration_group_names: [Compute]
session_templates:
  - name: node-template
    image: {image_ref: node}
    configuration: node-config
    bos_parameters: {boot_sets: {compute: {node_roles_groups: [Compute]}}}
`;

let site: Site;
let server: TestServer;
let commit: string;

before(async () => {
  site = await makeSite();
  await site.write("recipe/recipe.yaml", recipe.replace("libcap2-bin", "libcap2-bin, perl"));
  await site.write("bootprep.yaml", bootprep);
  commit = await site.commit(repository);
  server = await startServer({ cwd: site.folder });
});

after(async () => {
  await server.stop();
  // It was started a second time on the same data, which then are not its own to remove.
  await rm(server.data, { recursive: true, force: true });
  await site.clear();
});

const runFile = () => server.cli("bootprep", "run", "bootprep.yaml");
const builds = () => server.json<Build[]>("builds", "list");
const images = () => server.json<Image[]>("images", "list");
const statesOf = async (name: string) =>
  Object.fromEntries(
    (await server.json<Build>("builds", "describe", name)).steps.map(({ title, state }) => [title, state]),
  );

test("a recipe is imported once", async () => {
  const imported = await server.cli("recipes", "import", "recipe");
  assert.match(imported.stdout, /^recipe tiny imported \([0-9a-f]{12}, from recipe\)\n$/);
  const again = await server.cli("recipes", "import", "recipe");
  assert.equal(again.exitCode, 0);
  assert.equal(again.stdout, imported.stdout.replace("imported", "unchanged"));
});

test("a dry run of the first build says what would be made, and changes nothing", async () => {
  const { exitCode, stdout } = await server.cli("bootprep", "run", "--dry-run", "bootprep.yaml");
  assert.equal(exitCode, 0);
  assert.match(stdout, /^configuration node-config: create\n {2}first\.yml at [0-9a-f]{12} \(main\)\n/);
  assert.match(
    stdout,
    /image node: build\n {2}run {5}lock \(debian bookworm\)\n {10}what the base is made of has not been /,
  );
  assert.match(stdout, /\n {2}run {5}base \(debian bookworm\)\n {10}not built before\n/);
  assert.match(stdout, /session template node-template: create\n$/);
  const limits = ["--limit", "configurations", "--limit", "images"];
  const limited = await server.cli("bootprep", "run", "-d", ...limits, "bootprep.yaml");
  assert.equal(limited.stdout, stdout.replace("session template node-template: create\n", ""));
  assert.deepEqual(await builds(), []);
  assert.deepEqual(await server.json("configurations", "list"), []);
});

test("requests for the same image at the same time: equal ones share a build, a different one is refused", async () => {
  // The same, but for the groups that the image belongs to.
  await site.write("other.yaml", bootprep.replace("[Compute]\nsession", "[Compute, Other]\nsession"));
  const [one, two] = [runFile(), runFile()];
  await waitUntil(60, async () => (await builds()).length >= 2);
  const other = await server.cli("bootprep", "run", "other.yaml");
  assert.match(other.stderr, /error: image node: the image node is being built from other inputs\n/);
  assert.match(other.stderr, /hint: wait for build [0-9a-f]{8} \(netkiln builds logs -f [0-9a-f]{8}\)/);
  assert.equal(other.exitCode, 4);
  for (const { exitCode, stdout, stderr } of await Promise.all([one, two])) {
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /image node: done \([0-9a-f-]{36}\)\n/);
    assert.match(stdout, /session template node-template: (done|unchanged)\n$/);
  }
  const made = await builds();
  assert.deepEqual(made.map(({ image, status }) => `${image} ${status}`).sort(), [
    "node succeeded",
    "node-base succeeded",
  ]);
  assert.deepEqual((await images()).map(({ name }) => name).sort(), ["node", "node-base"]);
  await assertNoWorkLeft(server.data);
});

describe("the root file system", () => {
  let tree: string;
  before(async () => {
    const { artifacts } = await server.json<Image>("images", "describe", "node");
    tree = join(site.folder, "tree");
    await tool("unsquashfs", "-no-progress", "-dest", tree, blob(artifacts.rootfs.sha256));
  });
  after(() => rm(tree, { recursive: true }));
  const text = (path: string) => readFile(join(tree, path), "utf8");
  const exists = (path: string) =>
    lstat(join(tree, path)).then(
      () => true,
      () => false,
    );

  test("keeps owners and modes", async () => {
    const found = async (path: string) => {
      const { mode, uid, gid } = await lstat(join(tree, path));
      return `${(mode & 0o7777).toString(8).padStart(4, "0")} ${uid}:${gid}`;
    };
    assert.equal(await found("opt/tree"), "2775 4321:4321");
    for (const mode of ["0000", "0600", "0444", "1755", "4750", "2711"]) {
      assert.equal(await found(`opt/tree/${mode}`), `${mode} 4321:8`);
    }
    assert.equal(await found("etc/shadow"), "0640 0:42", "of the base image");
    assert.equal(await found("tmp"), "1777 0:0");
    assert.equal(await found("root"), "0700 0:0");
    assert.equal(await found("etc/motd"), "0644 0:0", "of the recipe's files");
    assert.equal(await found("etc/greeting"), "0640 0:0");
  });

  test("keeps hard links, extended attributes and file capabilities", async () => {
    const [one, other] = await Promise.all(["0600", "linked"].map((name) => lstat(join(tree, "opt/tree", name))));
    assert.equal(one?.ino, other?.ino);
    assert.equal(one?.nlink, 2);
    const perl = await lstat(join(tree, "usr/bin/perl"));
    assert.ok(perl.nlink > 1, "a hard link that came with a package");
    assert.match(await tool("getfattr", "--absolute-names", "-d", join(tree, "opt/tree/0444")), /user\.origin="kiln"/);
    assert.match(await tool("/usr/sbin/getcap", join(tree, "opt/tree/raw")), / cap_net_admin,cap_net_raw=ep\n$/);
  });

  test("lacks what a playbook removed", async () => {
    assert.equal(await exists("etc/issue"), false);
    assert.deepEqual(await readdir(join(tree, "etc/skel")), [".new"], "a folder that was made anew hides the old one");
    const devices = await tool("find", tree, "-type", "c", "-not", "-path", `${tree}/dev/*`);
    assert.equal(devices, "", "whiteouts do not get into an image");
    assert.equal(await tool("getfattr", "--absolute-names", "-R", "-d", "-m", "overlay", join(tree, "etc")), "");
  });

  test("lacks identities, secrets of packages, and traces of the build", async () => {
    assert.deepEqual(
      (await readdir(join(tree, "etc/ssh"))).filter((name) => name.startsWith("ssh_host_")),
      [],
    );
    assert.equal(await text("etc/machine-id"), "");
    for (const folder of ["tmp", "var/tmp", "run", "var/lib/apt/lists", "var/log/apt"]) {
      const left = await readdir(join(tree, folder)).catch(() => []);
      assert.deepEqual(left, [], folder);
    }
    for (const path of [
      "usr/sbin/policy-rc.d",
      "etc/apt/sources.list.d/netkiln-build.list",
      "etc/apt/apt.conf.d/99netkiln-build",
      "etc/apt/apt.conf.d/99mmdebstrap",
      "etc/resolv.conf",
      "etc/hostname",
      "root/.ansible",
    ]) {
      assert.equal(await exists(path), false, path);
    }
    const mirrors = await tool("sh", "-c", `grep -rlsE "https?://|[.]ansible" ${tree}/etc/apt || true`);
    assert.equal(mirrors, "", "no build mirror");
  });

  test("says what it is", async () => {
    const { buildId } = await server.json<Image>("images", "describe", "node");
    assert.match(buildId, /^[0-9a-f]{32}$/);
    assert.equal(
      await text("etc/netkiln/image-release"),
      `NAME="node"\nBUILD_ID="${buildId}"\nCOMMITS="first.yml@${commit} second.yml@${commit}"\nDATE_EPOCH=1750000000\n`,
    );
    assert.equal(await text("etc/greeting"), "hello node\n");
    assert.equal(
      await readlink(join(tree, "usr/lib/systemd/system/multi-user.target.wants/netkiln-report-ready.service")),
      "../netkiln-report-ready.service",
    );
    const late = await tool("find", tree, "-newermt", "@1750000000");
    assert.equal(late, "", "nothing is later than the recipe's epoch");
  });
});

test("the manifest has the form of IMS 1.0, and its digests are those of the files", async () => {
  const { id, artifacts } = await server.json<Image>("images", "describe", "node");
  const text = await readFile(blob(artifacts.manifest.sha256));
  assert.equal(digest("sha256", text), artifacts.manifest.sha256);
  assert.equal(digest("md5", text), artifacts.manifest.md5);
  const { version, created, artifacts: entries } = JSON.parse(text.toString()) as Manifest;
  assert.equal(version, "1.0");
  assert.match(created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/);
  const rootfs = await readFile(blob(artifacts.rootfs.sha256));
  const md5 = digest("md5", rootfs);
  assert.deepEqual(entries, [
    {
      link: { path: `s3://boot-images/${id}/rootfs`, etag: md5, type: "s3" },
      type: "application/vnd.cray.image.rootfs.squashfs",
      md5,
      sha256: digest("sha256", rootfs),
      size: rootfs.length,
    },
  ]);
  const template = await server.json<{ boot_sets: { compute: { path: string; etag: string } } }>(
    "templates",
    "describe",
    "node-template",
  );
  assert.equal(template.boot_sets.compute.path, `s3://boot-images/${id}/manifest.json`);
  assert.equal(template.boot_sets.compute.etag, artifacts.manifest.md5);
});

test("the verdict is kept as JSON and as JUnit, and they agree", async () => {
  const printed = await server.cli("builds", "verdict", "node");
  const verdict = JSON.parse(printed.stdout) as Verdict;
  assert.equal(verdict.status, "passed");
  assert.deepEqual(
    verdict.files.map(({ file }) => file),
    ["checks/tiny.yaml", "checks/first.yml", "checks/second.yml"],
    "an image made from another passes the checks of both",
  );
  const file = join(site.folder, "verdict.xml");
  assert.equal((await server.cli("builds", "verdict", "--junit", "-o", file, "node")).exitCode, 0);
  const junit = await readFile(file, "utf8");
  const { results, summary } = verdict;
  assert.ok(results.length >= 12);
  assert.match(
    junit,
    new RegExp(`<testsuites name="node" tests="${results.length}" failures="0" errors="0" skipped="0"`),
  );
  assert.equal(junit.match(/<testcase /g)?.length, results.length);
  assert.equal(junit.match(/<testsuite /g)?.length, 3);
  assert.equal(summary.passed, results.length);
  for (const { id } of results) assert.ok(junit.includes(` ${id} `), `${id} is in the JUnit report`);
  await rm(file);
});

test("the log of a build has what the tools said", async () => {
  const { stdout } = await server.cli("builds", "logs", "node");
  assert.match(stdout, /==> \d\d:\d\d:\d\d layer second\.yml: running\n {4}because not built before\n/);
  assert.match(stdout, /TASK \[A program that may open raw sockets\] \*+\nchanged: \[node\]\n/);
  assert.match(stdout, /PLAY RECAP \*+\nnode +: ok=8 +changed=8 +unreachable=0 +failed=0/);
  assert.match(stdout, /gate passed: \d+ checks\n/);
  assert.match(stdout, /squashfs of \d+ bytes, put together of the contents of \d+ layers/);
  const followed = await server.cli("builds", "logs", "--follow", "node");
  assert.equal(followed.stdout, stdout, "of a build that has ended, following prints the same and returns");
});

test("the same file again starts no build", async () => {
  const [listed, published] = [await builds(), await images()];
  const started = performance.now();
  const { exitCode, stdout } = await runFile();
  // Printed, not asserted: it depends on the machine. Well under two seconds on an idle one.
  console.log(`unchanged run: ${((performance.now() - started) / 1000).toFixed(2)} s`);
  assert.equal(exitCode, 0);
  assert.match(
    stdout,
    /^configuration node-config: unchanged\nimage node-base: unchanged \(.*\)\nimage node: unchanged/,
  );
  assert.match(stdout, /session template node-template: unchanged\n$/);
  assert.deepEqual(await builds(), listed);
  assert.deepEqual(await images(), published);
});

test("a line changed in the last playbook runs that layer and what stands on it", async () => {
  await site.commit({ "second.yml": second.replace("> /etc/skel/.new", "> /etc/skel/.newer") });
  const dry = await server.cli("bootprep", "run", "-d", "bootprep.yaml");
  assert.match(dry.stdout, /image node-base: reuse\n/);
  assert.match(
    dry.stdout,
    /cached {2}layer first\.yml\n {2}run {5}layer second\.yml {2}\(.* last time\)\n {10}second\.yml changed \([0-9a-f]{8} -> [0-9a-f]{8}\)\n/,
  );
  assert.match(dry.stdout, /\n {2}depends rootfs \(squashfs\)/);
  const planned = (await server.json<Plan>("bootprep", "run", "-d", "bootprep.yaml")).images[1]?.steps ?? [];
  const plannedAs = (title: string) => planned.find((step) => step.title === title)?.state;
  assert.equal(plannedAs("layer second.yml"), "run");
  assert.equal(plannedAs("gate"), "open");
  const { exitCode, stdout, stderr } = await runFile();
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /\nconfiguration node-config: done\nimage node-base: unchanged \(/);
  assert.deepEqual(await statesOf("node"), {
    "lock (debian bookworm)": "cached",
    "base (debian bookworm)": "cached",
    files: "cached",
    "release node-base": "cached",
    "layer first.yml": "cached",
    "layer second.yml": "done",
    "release node": "done",
    gate: "done",
    inventory: "done",
    "rootfs (squashfs)": "done",
  });
  const [newest, older] = (await images()).filter(({ name }) => name === "node");
  assert.notEqual(newest?.buildId, older?.buildId);
});

test("a change in a file that no playbook reads runs no layer, and the image names the new commit", async () => {
  const changed = await site.commit({ "README.md": "still unread\n" });
  const { exitCode, stderr } = await runFile();
  assert.equal(exitCode, 0, stderr);
  assert.deepEqual(await statesOf("node"), {
    "lock (debian bookworm)": "cached",
    "base (debian bookworm)": "cached",
    files: "cached",
    "release node-base": "cached",
    "layer first.yml": "cached",
    "layer second.yml": "cached",
    "release node": "done",
    gate: "done",
    inventory: "done",
    "rootfs (squashfs)": "done",
  });
  const { commits } = await server.json<Image>("images", "describe", "node");
  assert.deepEqual(
    commits.map((layer) => layer.commit),
    [changed, changed],
  );
});

test("a change that is not committed is warned about, and no image has it", async () => {
  const listed = await builds();
  await site.write("ansible/second.yml", "not even YAML: [");
  const { exitCode, stderr } = await runFile();
  assert.equal(exitCode, 0);
  assert.equal(
    stderr,
    `warning: ${join(site.folder, "ansible")} has uncommitted changes that no image will have: second.yml\n`,
  );
  assert.deepEqual(await builds(), listed);
  await site.git("checkout", "--quiet", "second.yml");
});

test("lists and descriptions are JSON with --json, and tables of at most 100 columns without", async () => {
  const node = ["--nid", "1", "--mac", "52:54:00:00:00:01", "--group", "gpu", "--group", "big", "x1000c0s0b0n0"];
  await server.cli("nodes", "add", ...node);
  assert.deepEqual((await server.json<{ groups: string[] }>("nodes", "describe", "nid000001")).groups, ["big", "gpu"]);
  await server.cli("tokens", "create", "ci");
  const named = {
    recipes: "tiny",
    configurations: "node-config",
    images: "node",
    builds: "node",
    nodes: "nid000001",
    groups: "gpu",
    templates: "node-template",
  };
  const check = async ([noun, name]: [string, string]) => {
    const items = await server.json<unknown[]>(noun, "list");
    assert.ok(Array.isArray(items) && items.length > 0, `${noun} list`);
    const item = await server.json<object>(noun, "describe", name);
    assert.ok(JSON.stringify(items).includes(JSON.stringify(item).slice(1, 40)), `${noun} describe is of the list`);
    assert.equal((await server.cli(noun, "describe", name)).exitCode, 0, `${noun} describe`);
  };
  await Promise.all(Object.entries(named).map(check));
  assert.deepEqual(await server.json("sessions", "list"), []);
  assert.equal((await server.json<unknown[]>("tokens", "list")).length, 1);
  assert.equal((await server.json<unknown[]>("images", "list", "--limit", "2")).length, 2);
  const checkTable = async (noun: string) => {
    const { exitCode, stdout } = await server.cli(noun, "list");
    assert.equal(exitCode, 0, noun);
    for (const line of stdout.split("\n")) assert.ok(line.length <= 100, `${noun}: ${line}`);
  };
  await Promise.all([...Object.keys(named), "sessions", "tokens"].map(checkTable));
  const { id } = await server.json<Image>("images", "describe", "node");
  assert.equal((await server.json<Image>("images", "describe", id.slice(0, 8))).id, id, "by the beginning of its id");
  assert.match((await server.cli("images", "describe", "node")).stdout, /\nrootfs +\d+\.\d MiB +sha256:[0-9a-f]{64}\n/);
});

test("exit codes say what kind of failure it was", async () => {
  const code = async (...args: string[]) => (await server.cli(...args)).exitCode;
  assert.equal(await code("--version"), 0);
  assert.equal(await code("images", "--help"), 0);
  assert.equal(await code("images", "list", "--nonsense"), 2);
  assert.equal(await code("imagse", "list"), 2);
  assert.equal(await code("images", "list", "--limit", "none"), 2);
  assert.equal(await code("images", "describe"), 2);
  const nouns = ["recipes", "configurations", "images", "builds", "nodes", "groups", "templates", "sessions"];
  await Promise.all(
    nouns.map(async (noun) => {
      const { exitCode, stderr } = await server.cli(noun, "describe", "nothing");
      assert.equal(exitCode, 3, noun);
      assert.match(stderr, /^error: there is no .* "?nothing"?\n$/);
    }),
  );
  assert.equal(await code("nodes", "lock", "nid000001"), 0);
  assert.equal(await code("nodes", "power", "nid000001", "on"), 4, "a locked node is left alone");
  assert.equal(await code("nodes", "unlock", "nid000001"), 0);
  const json = await server.cli("--json", "images", "describe", "nothing");
  assert.equal((JSON.parse(json.stderr) as { code: string }).code, "not_found");
  assert.equal(json.stdout, "");
});

test("completion works in bash", async () => {
  const bin = join(site.folder, "bin");
  await mkdir(bin);
  const netkiln = fileURLToPath(new URL("../../bin/netkiln", import.meta.url));
  await writeFile(join(bin, "netkiln"), `#!/bin/sh\nexec ${netkiln} "$@"\n`, { mode: 0o755 });
  const script = join(site.folder, "completion.bash");
  await writeFile(script, (await server.cli("completion")).stdout);
  const complete = async (...words: string[]) => {
    const typed = words.map((word) => `'${word}'`).join(" ");
    const text = `PATH=${bin}:$PATH NETKILN_DATA=${server.data}; export PATH NETKILN_DATA; set -u; source ${script}
COMP_WORDS=(${typed}); COMP_CWORD=${words.length - 1}; _netkiln; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return (await tool("bash", "-c", text)).split("\n").filter((line) => line !== "");
  };
  assert.deepEqual(await complete("netkiln", "im"), ["images"]);
  assert.deepEqual(await complete("netkiln", "builds", "l"), ["list", "logs"]);
  assert.deepEqual(await complete("netkiln", "images", "describe", ""), ["node", "node-base"]);
  assert.deepEqual(await complete("netkiln", "recipes", "describe", "t"), ["tiny"]);
  assert.deepEqual(await complete("netkiln", "bootprep", "run", "--dry"), ["--dry-run"]);
  const all = await complete("netkiln", "");
  assert.ok(all.includes("bootprep") && !all.includes("complete"), all.join(" "));
});

const bootable = `name: bootable
description: with a kernel
from: {recipe: tiny}
layers:
  - packages: [linux-image-cloud-amd64, dracut, dracut-network, dracut-live, isc-dhcp-client, iputils-arping, zstd, curl, kmod, udev, systemd, iproute2, procps]
  - playbook: own.yml
  - script: last.sh
kernel: {}
initrd: {drivers: [virtio_net]}
epoch: 1750000000
`;
const own = (content: string) => `- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: "${content}\\n", dest: /etc/own}
`;
const bootFile = `images:
  - name: plain
    base: {ims: {type: recipe, name: tiny}}
  - name: boot
    base: {ims: {type: recipe, name: bootable}}
`;
describe("an image with a kernel", () => {
  const importBootable = async (text: Readonly<Record<string, string>>) => {
    for (const [path, content] of Object.entries(text)) await site.write(`bootable/${path}`, content);
    const { exitCode, stderr } = await server.cli("recipes", "import", "bootable");
    assert.equal(exitCode, 0, stderr);
  };
  const runBoot = () => server.cli("bootprep", "run", "boot.yaml");
  const boot = () => server.json<Image>("images", "describe", "boot");

  before(async () => {
    await site.write("boot.yaml", bootFile);
    const script = "#!/bin/sh\necho last > /etc/last\n";
    await importBootable({ "recipe.yaml": bootable, "own.yml": own("one"), "last.sh": script });
    const { exitCode, stderr } = await runBoot();
    assert.equal(exitCode, 0, stderr);
  });

  test("a playbook that leaves the same files runs, and nothing that stands on it", async () => {
    const [image, listed] = [await boot(), await images()];
    await importBootable({ "own.yml": `# Says why.\n${own("one")}` });
    const dry = await server.cli("bootprep", "run", "-d", "boot.yaml");
    assert.match(dry.stdout, /\n {2}run {5}layer own\.yml .*\n {10}own\.yml changed .*\n {2}depends script last\.sh/);
    const { exitCode, stdout, stderr } = await runBoot();
    assert.equal(exitCode, 0, stderr);
    assert.ok(stdout.includes(`image boot: done (${image.id})\n`), stdout);
    const { "layer own.yml": layer, ...above } = await statesOf("boot");
    assert.equal(layer, "done");
    assert.deepEqual([...new Set(Object.values(above))], ["cached"], JSON.stringify(above));
    assert.ok("initrd (dracut)" in above && "rootfs (squashfs)" in above && "gate" in above);
    assert.deepEqual(await images(), listed, "it is the image that is there");
  });

  test("a change that dracut does not see leaves the initrd as it is", async () => {
    const { artifacts } = await boot();
    await importBootable({ "own.yml": own("two") });
    const { exitCode, stderr } = await runBoot();
    assert.equal(exitCode, 0, stderr);
    const states = await statesOf("boot");
    assert.equal(states["script last.sh"], "done", "its tree is another one");
    assert.equal(states["initrd (dracut)"], "cached");
    assert.equal((await boot()).artifacts.initrd?.sha256, artifacts.initrd?.sha256);
    assert.notEqual((await boot()).artifacts.rootfs.sha256, artifacts.rootfs.sha256);
  });

  test("another description of the recipe builds nothing", async () => {
    const listed = await builds();
    await importBootable({ "recipe.yaml": bootable.replace("with a kernel", "that can be booted") });
    const { stdout } = await runBoot();
    assert.match(stdout, /image boot: unchanged \(/);
    assert.deepEqual(await builds(), listed);
  });

  test("two workers on another data folder make the same bytes, and the base that both need once", async () => {
    const data = await makeFolder();
    await site.write("one-at-a-time.yaml", "builds_at_once: 1\n");
    const environment = { NETKILN_CONFIG: join(site.folder, "one-at-a-time.yaml") };
    const other = await startServer({ data, cwd: site.folder, environment });
    const second = startWorker(data, environment);
    try {
      for (const folder of ["recipe", "bootable"]) {
        assert.equal((await other.cli("recipes", "import", folder)).exitCode, 0);
      }
      const { exitCode, stderr } = await other.cli("bootprep", "run", "boot.yaml");
      assert.equal(exitCode, 0, stderr);
      for (const name of ["plain", "boot"]) {
        const image = (house: TestServer) => house.json<Image>("images", "describe", name);
        assert.deepEqual(partsOf(await image(other)), partsOf(await image(server)), name);
      }
      const made = await other.json<Build[]>("builds", "list");
      const statesAt = (at: number) => made.map(({ steps }) => steps[at]?.state).sort();
      assert.deepEqual(statesAt(0), ["cached", "done"], "packages were looked up once");
      assert.deepEqual(statesAt(1), ["done", "shared"], "the base was made once");
    } finally {
      await second.stop();
      await other.stop();
      await rm(data, { recursive: true });
    }
  });
});

test("a server that is killed in a build leaves no process, and one that starts again finishes it", async () => {
  await site.commit({ "second.yml": `${second}    - name: Takes its time\n      ansible.builtin.command: sleep 4\n` });
  const run = runFile();
  await waitUntil(120, async () => /TASK \[Takes its time\]/.test((await server.cli("builds", "logs", "node")).stdout));
  const { data } = server;
  await server.kill9();
  server = await startServer({ data, cwd: site.folder });
  const { exitCode, stderr } = await run;
  assert.equal(exitCode, 0, stderr);
  const states = await statesOf("node");
  assert.equal(states["layer second.yml"], "done");
  assert.equal(states["layer first.yml"], "cached");
  await assertNoWorkLeft(data);
});

interface Manifest {
  readonly version: string;
  readonly created: string;
  readonly artifacts: readonly unknown[];
}

interface Verdict {
  readonly status: string;
  readonly summary: { readonly passed: number };
  readonly files: readonly { readonly file: string }[];
  readonly results: readonly { readonly id: string }[];
}

/** What two builds of the same must have in common: all but the ids and times of this one. */
function partsOf({ chain, layers, buildId, artifacts }: Image) {
  const { rootfs, kernel, initrd } = artifacts;
  return { chain, layers, buildId, rootfs, kernel, initrd };
}

function blob(sha256: string): string {
  return join(server.data, "blobs/sha256", sha256.slice(0, 2), sha256);
}

function digest(algorithm: "sha256" | "md5", bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest("hex");
}
