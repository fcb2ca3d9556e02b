/**
 * Mistakes in files and recipes, as an operator makes and meets them through the real command line: what is said is
 * compared word for word, and nothing may have changed. Needs root, as the server builds.
 */
import assert from "node:assert/strict";
import { link, mkdir, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { openMistakenSite, type MistakenSite } from "../support/mistakes.ts";
import type { TestServer } from "../support/server.ts";
import { bootprep, recipe, tool, type Site } from "../support/site.ts";

let world: MistakenSite;
let site: Site;
let server: TestServer;

before(async () => {
  world = await openMistakenSite();
  ({ site, server } = world);
});
after(() => world.close());

describe("a bootprep file", () => {
  const one = (line: string) => `${line}\nerror: bootprep.yaml has 1 mistake\n`;
  const file = async (text: string, stderr: string, ...more: string[]) => {
    await site.write("bootprep.yaml", text);
    await world.refused(() => world.run(...more), stderr);
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
    const dry = await world.run("--dry-run");
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
      one(`bootprep.yaml:5:72: ${layer} branch "mian" does not exist in ${world.repository} (its branches: main)`),
    );
    const commit = "0123456789abcdef0123456789abcdef01234567";
    await file(
      bootprep.replace("branch: main", `commit: ${commit}`),
      one(
        `bootprep.yaml:5:72: ${layer} commit "${commit}" does not exist in ${world.repository} (git -C ${world.repository} log --all lists its commits)`,
      ),
    );
    const head = (await site.git("rev-parse", "HEAD")).slice(0, 12);
    const absent = (hint: string) =>
      one(
        `bootprep.yaml:5:33: ${layer} the playbook frist.yml does not exist at ${head} of ${world.repository} (${hint})`,
      );
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
    world.refused(() => server.cli("bootprep", "run", "none.yaml"), "error: none.yaml does not exist\n"));
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
    await world.refused(() => world.run(), stderr);
    await world.refused(() => world.run("-d"), stderr);
    await site.git("rm", "--quiet", "-r", "checks");
    await site.commit();
  });

  test("of a recipe are read when it is imported", async () => {
    const good = await readFile(join(site.folder, "recipe/checks/tiny.yaml"), "utf8");
    await site.write("recipe/checks/tiny.yaml", `${good}fil: {}\n`);
    await world.refused(
      () => server.cli("recipes", "import", "recipe"),
      'checks/tiny.yaml:10:1: unknown key "fil"\nerror: checks/tiny.yaml has 1 mistake\n',
    );
    await site.write("recipe/checks/tiny.yaml", good);
  });

  test("a suite that this host has no source for is told before anything is built", async () => {
    await site.write("recipe/recipe.yaml", recipe.replace("bookworm", "bokworm"));
    assert.equal((await server.cli("recipes", "import", "recipe")).exitCode, 0);
    await world.refused(
      () => world.run(),
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
    await world.refused(
      imported("broken"),
      `recipe.yaml:4:12: packages[0]: not a valid Debian package name
recipe.yaml:7:1: unknown key "chekcs"
error: recipe.yaml has 2 mistakes
`,
    );
    await site.write("broken/recipe.yaml", recipe);
    await world.refused(
      imported("broken"),
      "error: recipe.yaml names what the recipe does not hold: checks/tiny.yaml, files\n",
    );
    await world.refused(imported("none"), "error: none does not exist\n");
  });

  test("must not have paths that leave it", async () => {
    await world.refused(
      await archive("dots.tar", "--transform=s,^,../,", "recipe.yaml"),
      unsafe('entry "../recipe.yaml": its path has ".."'),
    );
    await world.refused(
      await archive("inner.tar", "--transform=s,^,files/../../,", "recipe.yaml"),
      unsafe('entry "files/../../recipe.yaml": its path has ".."'),
    );
    await world.refused(
      await archive("absolute.tar", "--transform=s,^,/etc/,", "recipe.yaml"),
      unsafe('entry "/etc/recipe.yaml": its path is absolute'),
    );
  });

  test("must not have links and devices", async () => {
    await world.refused(
      await archive("links.tar", "recipe.yaml", "symlink", "z-hard"),
      unsafe('entry "symlink": it is a link', 'entry "z-hard": it is a link'),
    );
    await world.refused(
      await archive("devices.tar", "device", "fifo", "recipe.yaml"),
      unsafe('entry "device": it is a block-device', 'entry "fifo": it is a fifo'),
    );
    await site.remove("unsafe/device");
    await site.remove("unsafe/fifo");
    await world.refused(imported("unsafe"), unsafe('entry "symlink": it is a link'));
  });

  test("must be a whole tar archive with recipe.yaml in it", async () => {
    await writeFile(join(site.folder, "garbage.tar"), "garbage");
    await world.refused(imported("garbage.tar"), broken("Tar archive is truncated."));
    await tool("tar", "-C", join(site.folder, "recipe"), "-czf", join(site.folder, "cut.tar.gz"), ".");
    await truncate(join(site.folder, "cut.tar.gz"), 200);
    await world.refused(imported("cut.tar.gz"), broken("unexpected end of file"));
    await world.refused(
      await archive("other.tar", "--transform=s,recipe,other,", "recipe.yaml"),
      "error: the archive holds no recipe.yaml and no KIWI description\nhint: a recipe is a folder with recipe.yaml at its top; one of KIWI has config.xml or a file *.kiwi there\n",
    );
  });

  test("must not be too large, also when it is unpacked", async () => {
    const large = Buffer.alloc(100 * 1024 * 1024);
    await writeFile(join(site.folder, "large.tar"), large);
    await world.refused(
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
