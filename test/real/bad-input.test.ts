/**
 * Mistakes and failures, as an operator makes and meets them through the real command line: what is said is compared
 * word for word, and nothing may have changed. Needs root, as good builds are needed to fail from.
 */
import assert from "node:assert/strict";
import { link, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Build } from "../support/answers.ts";
import { preparedData } from "../support/prepared.ts";
import { send } from "../support/send.ts";
import { assertNoWorkLeft, listing, makeFolder, runCli, startServer, type TestServer } from "../support/server.ts";
import { bootprep, makeSite, recipe, tool, type Site } from "../support/site.ts";

let site: Site;
let server: TestServer;
/** What netkiln calls the repository: relative URLs start at the folder of the bootprep file. */
let repository: string;

before(async () => {
  site = await makeSite();
  repository = join(site.folder, "ansible");
  server = await startServer({ data: await preparedData(), cwd: site.folder, args: ["--listen", "127.0.0.1:0"] });
});

after(async () => {
  await server.stop();
  await rm(server.data, { recursive: true });
  await site.clear();
});

const run = (...more: string[]) => server.cli("bootprep", "run", ...more, "bootprep.yaml");

/** Everything that a request can change: all records, and all files of the data folder but the database's own. */
async function state(): Promise<unknown> {
  const nouns = ["recipes", "configurations", "images", "builds", "templates", "bootprep/runs", "tokens"];
  const records = await Promise.all(nouns.map((noun) => server.http("GET", `/apis/netkiln/v1/${noun}?limit=1000`)));
  return [records.map(({ body }) => body), await listing(join(server.data, "blobs")), await layers()];
}

const layers = () => readdir(join(server.data, "layers"));

/** Runs what must be refused before anything is changed. */
async function refused(action: () => Promise<{ exitCode: number; stdout: string; stderr: string }>, stderr: string) {
  const before = await state();
  const result = await action();
  assert.equal(result.stderr, stderr);
  assert.equal(result.stdout, "");
  assert.equal(result.exitCode, 2);
  assert.deepEqual(await state(), before, "nothing has changed");
  await assertNoWorkLeft(server.data);
}

describe("a bootprep file", () => {
  const one = (line: string) => `${line}\nerror: bootprep.yaml has 1 mistake\n`;
  const file = async (text: string, stderr: string, ...more: string[]) => {
    await site.write("bootprep.yaml", text);
    await refused(() => run(...more), stderr);
  };
  after(() => site.write("bootprep.yaml", bootprep));

  test("is told all its unknown keys and wrong types at once, each with its place", async () => {
    await file(
      `schema_version: 1.0.9
configuration: []
configurations:
  - name: 5
    layer: []
    layers:
      - {name: first, playbok: first.yml, git: {url: ansible, brnch: main}}
images:
  - name: node
    base: {ims: {type: recip, name: tiny}}
    configuration: node-config
    configuration_group_names: Compute
`,
      `bootprep.yaml:2:1: unknown key "configuration" (did you mean configurations?)
bootprep.yaml:4:11: configurations[0].name: expected text, got the number 5; put it in quotes
bootprep.yaml:5:5: unknown key "layer" in configurations[0] (did you mean layers?)
bootprep.yaml:7:23: unknown key "playbok" in configurations[0].layers[0] (did you mean playbook?)
bootprep.yaml:7:48: configurations[0].layers[0].git: one of commit, branch is needed
bootprep.yaml:7:63: unknown key "brnch" in configurations[0].layers[0].git (did you mean branch?)
bootprep.yaml:10:24: images[0].base.ims.type: expected recipe or image, got "recip"
bootprep.yaml:12:32: images[0].configuration_group_names: expected a list, got "Compute"
error: bootprep.yaml has 8 mistakes
`,
    );
    const dry = await run("--dry-run");
    assert.equal(dry.exitCode, 2, "a dry run finds the same");
    assert.match(dry.stderr, /error: bootprep\.yaml has 8 mistakes\n$/);
  });

  test("must be YAML", () => file('images:\n  - name: "node\n', one('bootprep.yaml:3:1: Missing closing "quote')));

  test("must not base images on each other in a circle", () =>
    file(
      `images:
  - {name: a, ref_name: a, base: {image_ref: b}}
  - {name: b, ref_name: b, base: {image_ref: c}}
  - {name: c, ref_name: c, base: {image_ref: a}}
`,
      one("bootprep.yaml:2:46: images[0].base.image_ref: images are based on each other in a circle: a -> b -> c -> a"),
    ));

  test("must name a branch, a commit and a playbook that exist", async () => {
    const layer = 'configuration "node-config", layer first:';
    await file(
      bootprep.replace("branch: main", "branch: mian"),
      one(`bootprep.yaml:5:72: ${layer} branch "mian" does not exist in ${repository} (its branches: main)`),
    );
    const commit = "0123456789abcdef0123456789abcdef01234567";
    await file(
      bootprep.replace("branch: main", `commit: ${commit}`),
      one(
        `bootprep.yaml:5:72: ${layer} commit "${commit}" does not exist in ${repository} (git -C ${repository} log --all lists its commits)`,
      ),
    );
    const head = (await site.git("rev-parse", "HEAD")).slice(0, 12);
    const absent = (hint: string) =>
      one(`bootprep.yaml:5:33: ${layer} the playbook frist.yml does not exist at ${head} of ${repository} (${hint})`);
    const wrong = bootprep.replace("playbook: first.yml", "playbook: frist.yml");
    await file(wrong, absent("at its top are: first.yml"));
    await site.write("ansible/frist.yml", "[]\n");
    await file(wrong, absent("it is not committed yet"));
    await site.remove("ansible/frist.yml");
  });

  test("must name a repository that exists", async () => {
    const at = 'bootprep.yaml:5:55: configuration "node-config", layer first:';
    await file(
      bootprep.replace("url: ansible", "url: nothing"),
      one(`${at} ${site.folder}/nothing is not a folder on this machine`),
    );
    const folder = join(site.folder, "recipe");
    await file(
      bootprep.replace("url: ansible", "url: recipe"),
      one(
        `${at} ${folder} is not in a git repository (make one: git -C ${folder} init && git -C ${folder} add . && git -C ${folder} commit -m first)`,
      ),
    );
  });

  test("must name a recipe and configurations that exist", async () => {
    await file(
      bootprep.replace("name: tiny", "name: tinny"),
      one('bootprep.yaml:8:38: there is no recipe named "tinny" (netkiln recipes list shows what there is)'),
    );
    await file(
      bootprep.replace("configuration: node-config", "configuration: node-confg"),
      one(
        'bootprep.yaml:9:20: image "node": configuration "node-confg" does not exist (add it under configurations, or create it first)',
      ),
    );
  });

  test("must not use a variable that nobody gave", async () => {
    const text = bootprep.replace("name: node-config", 'name: "node-{{ site.version }}"');
    await file(
      text,
      one(
        "bootprep.yaml:3:11: configurations[0].name: unknown variable site.version (give it with --vars or in a --vars-file)",
      ),
    );
    await file(
      text,
      "--vars site: expected NAME=VALUE (for example --vars default.note=test-)\nerror: the variables have 1 mistake\n",
      "--vars",
      "site",
    );
    await file(text, "error: none.yaml does not exist\n", "--vars-file", "none.yaml");
  });

  test("must be there", () =>
    refused(() => server.cli("bootprep", "run", "none.yaml"), "error: none.yaml does not exist\n"));
});

describe("checks and sources of packages", () => {
  test("of a layer are read before anything is built", async () => {
    await site.commit({
      "checks/first.yml": "file:\n  /etc/motd: {exist: true}\n  relative: {exists: true}\nservic: {}\n",
    });
    const stderr = `checks/first.yml:2:14: file./etc/motd.exists: is missing; goss requires this attribute
checks/first.yml:2:15: unknown key "exist" in file./etc/motd
checks/first.yml:3:3: file.relative: must be an absolute path inside the image
checks/first.yml:4:1: unknown key "servic"
error: the checks have 4 mistakes
`;
    await refused(() => run(), stderr);
    await refused(() => run("-d"), stderr);
    await site.git("rm", "--quiet", "-r", "checks");
    await site.commit();
  });

  test("of a recipe are read when it is imported", async () => {
    const good = await readFile(join(site.folder, "recipe/checks/tiny.yaml"), "utf8");
    await site.write("recipe/checks/tiny.yaml", `${good}fil: {}\n`);
    await refused(
      () => server.cli("recipes", "import", "recipe"),
      'checks/tiny.yaml:10:1: unknown key "fil"\nerror: checks/tiny.yaml has 1 mistake\n',
    );
    await site.write("recipe/checks/tiny.yaml", good);
  });

  test("a suite that this host has no source for is told before anything is built", async () => {
    await site.write("recipe/recipe.yaml", recipe.replace("bookworm", "bokworm"));
    assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
    await refused(
      () => run(),
      `error: this host's apt sources have nothing for the suite "bokworm"
hint: add the suite to /etc/apt/sources.list.d, or set apt_sources in netkiln's configuration
`,
    );
    await site.write("recipe/recipe.yaml", recipe);
    assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
  });
});

describe("a recipe", () => {
  const imported = (path: string) => () => server.cli("recipes", "import", path);
  const archive = async (name: string, ...args: string[]) => {
    await tool("tar", "-P", "-C", join(site.folder, "unsafe"), "-cf", join(site.folder, name), ...args);
    return imported(name);
  };
  const unsafe = (...entries: string[]) =>
    `${entries.map((entry) => `the archive: ${entry}\n`).join("")}error: the archive is refused: ${entries.length === 1 ? "1 unsafe entry" : `${entries.length} unsafe entries`}
hint: a recipe holds plain files and folders with paths inside it; make links in a playbook
`;
  const broken = (reason: string) => `error: the archive is no tar archive, or a damaged one: ${reason}
hint: a recipe comes as a tar archive, plain or gzip, of a folder with recipe.yaml at its top
`;
  before(async () => {
    const folder = join(site.folder, "unsafe");
    await mkdir(folder);
    await writeFile(join(folder, "recipe.yaml"), recipe);
    await symlink("/etc/passwd", join(folder, "symlink"));
    await link(join(folder, "recipe.yaml"), join(folder, "z-hard"));
    await tool("mknod", join(folder, "device"), "b", "7", "0");
    await tool("mkfifo", join(folder, "fifo"));
  });

  test("is told its mistakes with their places", async () => {
    await site.write("broken/recipe.yaml", recipe.replace("[python3", "[Bad_Name").replace("checks:", "chekcs:"));
    await refused(
      imported("broken"),
      `recipe.yaml:4:12: packages[0]: not a valid Debian package name
recipe.yaml:7:1: unknown key "chekcs"
error: recipe.yaml has 2 mistakes
`,
    );
    await site.write("broken/recipe.yaml", recipe);
    await refused(
      imported("broken"),
      "error: recipe.yaml names what the recipe does not hold: checks/tiny.yaml, files\n",
    );
    await refused(imported("none"), "error: none does not exist\n");
  });

  test("must not have paths that leave it", async () => {
    await refused(
      await archive("dots.tar", "--transform=s,^,../,", "recipe.yaml"),
      unsafe('entry "../recipe.yaml": its path has ".."'),
    );
    await refused(
      await archive("inner.tar", "--transform=s,^,files/../../,", "recipe.yaml"),
      unsafe('entry "files/../../recipe.yaml": its path has ".."'),
    );
    await refused(
      await archive("absolute.tar", "--transform=s,^,/etc/,", "recipe.yaml"),
      unsafe('entry "/etc/recipe.yaml": its path is absolute'),
    );
  });

  test("must not have links and devices", async () => {
    await refused(
      await archive("links.tar", "recipe.yaml", "symlink", "z-hard"),
      unsafe('entry "symlink": it is a link', 'entry "z-hard": it is a link'),
    );
    await refused(
      await archive("devices.tar", "device", "fifo", "recipe.yaml"),
      unsafe('entry "device": it is a block-device', 'entry "fifo": it is a fifo'),
    );
    await site.remove("unsafe/device");
    await site.remove("unsafe/fifo");
    await refused(imported("unsafe"), unsafe('entry "symlink": it is a link'));
  });

  test("must be a whole tar archive with recipe.yaml in it", async () => {
    await writeFile(join(site.folder, "garbage.tar"), "garbage");
    await refused(imported("garbage.tar"), broken("Tar archive is truncated."));
    await tool("tar", "-C", join(site.folder, "recipe"), "-czf", join(site.folder, "cut.tar.gz"), ".");
    await truncate(join(site.folder, "cut.tar.gz"), 200);
    await refused(imported("cut.tar.gz"), broken("unexpected end of file"));
    await refused(
      await archive("other.tar", "--transform=s,recipe,other,", "recipe.yaml"),
      "error: the archive holds no recipe.yaml and no KIWI description\nhint: a recipe is a folder with recipe.yaml at its top; one of KIWI has config.xml or a file *.kiwi there\n",
    );
  });

  test("must not be too large, also when it is unpacked", async () => {
    const large = Buffer.alloc(100 * 1024 * 1024);
    await writeFile(join(site.folder, "large.tar"), large);
    await refused(
      imported("large.tar"),
      "error: the request's body is too large: at most 67108864 bytes are taken here\n",
    );
    await writeFile(join(site.folder, "bomb.tar.gz"), gzipSync(large));
    const bomb = await imported("bomb.tar.gz")();
    assert.equal(bomb.exitCode, 2);
    assert.match(
      bomb.stderr,
      /^error: the archive is no tar archive, or a damaged one: Cannot create a Buffer larger than 67108864 bytes\n/,
    );
  });
});

describe("a build that fails", () => {
  const tasks = "- hosts: Compute\n  gather_facts: false\n  tasks:\n";
  const newest = async () => (await server.json<Build[]>("builds", "list", "--limit", "1"))[0];
  let good: Build | undefined;

  before(async () => {
    const { exitCode, stderr } = await run();
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
    const { exitCode, stdout, stderr } = await run();
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
    const kept = await layers();
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
hint: it is at commit ${commit} of ${repository}; netkiln builds logs ${id} has the whole story
`,
    );
    assert.match(
      log,
      /TASK \[Works\] \*+\nchanged: \[node\]\n\nTASK \[Breaks\] \*+\nfatal: \[node\]: FAILED! => \{.*oops/,
    );
    assert.match(log, /\n==> failed: layer first\.yml: the playbook first\.yml failed\n {4}task "Breaks" failed: .*\n/);
    assert.deepEqual(await layers(), kept, "the tree of a failed playbook is not kept");
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
        `\nerror: image node: layer first.yml: the playbook first.yml failed\nhint: it is at commit ${commit} of ${repository}; netkiln builds logs ${id} has the whole story\n`,
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
    const { exitCode, stderr } = await run();
    assert.equal(exitCode, 0, stderr);
  });

  test("at a package that does not exist says so in apt's own words", async () => {
    await site.write("recipe/recipe.yaml", recipe.replace("python3,", "python3, no-such-package,"));
    assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
    const kept = await layers();
    const { stderr, log, id } = await failsAt("lock (debian bookworm)");
    assert.equal(
      stderr,
      `  E: Unable to locate package no-such-package
error: image node: lock (debian bookworm): apt-get failed: Unable to locate package no-such-package
hint: correct the packages of recipe.yaml and import it again, or add the component that has them to its components; netkiln builds logs ${id} has the whole story
`,
    );
    assert.match(log, /\nE: Unable to locate package no-such-package\n/);
    assert.deepEqual(await layers(), kept);
    await site.write("recipe/recipe.yaml", recipe);
    assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
  });
});

describe("the doors", () => {
  const path = "/apis/netkiln/v1/images";
  const problem = (body: string) => JSON.parse(body) as Record<string, unknown>;

  test("over TCP let in with a valid token only", async () => {
    const url = server.admin ?? "";
    const { secret } = await server.json<{ secret: string }>("tokens", "create", "ci");
    const ask = (authorization?: string) =>
      send({ url }, "GET", path, { body: "", ...(authorization !== undefined && { headers: { authorization } }) });
    for (const wrong of [undefined, "Bearer wrong", `Bearer ${secret}x`, `Basic ${secret}`, "Bearer "]) {
      const { status, body } = await ask(wrong);
      assert.equal(status, 401, wrong);
      assert.deepEqual(problem(body), {
        type: "about:blank",
        title: "Unauthorized",
        status: 401,
        detail: "this door needs a valid token (Authorization: Bearer ...)",
        code: "unauthorized",
        hint: "make one on the server's host: netkiln tokens create NAME",
      });
    }
    assert.equal((await ask(`Bearer ${secret}`)).status, 200);
    const cli = (token: Record<string, string>) =>
      runCli(["--server", url, "images", "list"], { environment: token, cwd: site.folder });
    const without = await cli({});
    assert.equal(without.exitCode, 4);
    assert.equal(
      without.stderr,
      "error: this door needs a valid token (Authorization: Bearer ...)\nhint: make one on the server's host: netkiln tokens create NAME\n",
    );
    const having = await cli({ NETKILN_TOKEN: secret });
    assert.equal(having.exitCode, 0, having.stderr);
    await server.cli("tokens", "delete", "ci");
    assert.equal((await ask(`Bearer ${secret}`)).status, 401, "a token that was deleted");
    assert.equal((await send({ url: server.nodeDoor }, "GET", path)).status, 404, "nodes find no administration");
  });

  test("refuse what is no request, and say why", async () => {
    const before = await state();
    const post = async (type: string, body: string | Buffer, to = "bootprep/runs") => {
      const { status, body: answer } = await server.http("POST", `/apis/netkiln/v1/${to}`, { type, body });
      const { detail, hint } = problem(answer);
      return [status, detail, ...(hint === undefined ? [] : [hint])];
    };
    const json = "application/json";
    const types = "send application/json, or application/x-tar for a recipe";
    assert.deepEqual(await post(json, "{"), [
      400,
      "Body is not valid JSON but content-type is set to 'application/json'",
    ]);
    assert.deepEqual(await post(json, ""), [
      400,
      "Body cannot be empty when content-type is set to 'application/json'",
    ]);
    assert.deepEqual(await post(json, '{"text": 5}'), [400, "the request is not valid: it has 3 mistakes"]);
    assert.deepEqual(await post("text/plain", "{}"), [400, 'the content type "text/plain" is not understood', types]);
    assert.deepEqual(await post("application/gzip", "{}", "recipes"), [
      400,
      'the content type "application/gzip" is not understood',
      types,
    ]);
    assert.deepEqual(await post(json, "{}", "recipes"), [
      400,
      "a recipe is sent as a tar archive (content-type: application/x-tar)",
    ]);
    assert.deepEqual(await post(json, Buffer.alloc(2 << 20, " ")), [
      413,
      "the request's body is too large: at most 1048576 bytes are taken here",
    ]);
    assert.deepEqual(await post(json, "{}", "nothing"), [404, "there is no POST /apis/netkiln/v1/nothing"]);
    assert.equal((await server.http("GET", `${path}?limit=x`)).status, 400);
    assert.deepEqual(await state(), before);
  });
});

describe("a server", () => {
  const serve = (...args: string[]) => runCli(["serve", "--node-door", "127.0.0.1:0", ...args]);

  test("that does not run is missed, and the way to start it is told", async () => {
    const { exitCode, stderr } = await runCli(["images", "list"], { environment: { NETKILN_DATA: site.folder } });
    assert.equal(exitCode, 5);
    assert.equal(
      stderr,
      `error: no netkiln server answers on unix:${site.folder}/netkiln.sock (ENOENT)\nhint: start one with: netkiln serve\n`,
    );
  });

  test("does not start beside another one on the same data", async () => {
    const { exitCode, stderr } = await serve("--data", server.data);
    assert.equal(exitCode, 4);
    assert.equal(
      stderr,
      `error: a netkiln server is running already on ${server.data}/netkiln.sock\nhint: stop it, or choose another data folder with --data\n`,
    );
    assert.equal((await server.cli("images", "list")).exitCode, 0, "and leaves the other one alone");
  });

  test("does not start with a configuration that it does not understand", async () => {
    const data = await makeFolder();
    const config = join(data, "config.yaml");
    await writeFile(config, "builds_at_once: many\nnode_dor_listen: 127.0.0.1:0\n");
    const wrong = await serve("--data", data, "--config", config);
    assert.equal(wrong.exitCode, 2);
    assert.match(
      wrong.stderr,
      /config\.yaml:1:17: builds_at_once: .*number.*\n.*config\.yaml:2:1: unknown key "node_dor_listen"\n/,
    );
    const missing = await serve("--data", data, "--config", "/nonexistent.yaml");
    assert.equal(missing.stderr, "error: the configuration file /nonexistent.yaml does not exist\n");
    const address = await serve("--data", data, "--listen", "8080");
    assert.equal(address.exitCode, 2);
    assert.equal(address.stderr, 'error: admin_listen must be "ADDRESS:PORT", not "8080"\n');
    const taken = await serve("--data", data, "--listen", new URL(server.nodeDoor).host);
    assert.equal(taken.exitCode, 2);
    assert.match(
      taken.stderr,
      /^error: cannot listen on 127\.0\.0\.1:\d+: listen EADDRINUSE.*\nhint: choose another address/,
    );
    assert.deepEqual(
      (await readdir(data)).filter((name) => name.endsWith(".sock")),
      [],
      "no socket is left",
    );
    await tool("rm", "-r", data);
  });
});
