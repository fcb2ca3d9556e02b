import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, NetkilnError } from "../lib/errors.ts";
import { planBootprep, readBootprep, type Plan, type PlanOptions, type PlanPorts } from "./index.ts";
import type { ExistingConfiguration, ExistingTemplate, FoundImage, FoundRecipe, Product } from "./index.ts";

interface World {
  readonly recipes?: readonly FoundRecipe[];
  readonly images?: readonly FoundImage[];
  readonly configurations?: readonly ExistingConfiguration[];
  readonly templates?: readonly ExistingTemplate[];
  readonly products?: readonly Product[];
  /** URLs by the names of sources. */
  readonly sources?: Readonly<Record<string, string>>;
}

/** Repositories know the branches main and dev, commits of "c" and a digit, and the playbooks site.yml and gpu.yml. */
function portsOf(world: World): { readonly ports: PlanPorts; readonly asked: string[] } {
  const asked: string[] = [];
  const matching = <T extends FoundImage>(items: readonly T[] | undefined, query: { name: string } | { id: string }) =>
    (items ?? []).filter((item) => ("name" in query ? item.name === query.name : item.id === query.id));
  const ports: PlanPorts = {
    findRecipes: async (query) => matching(world.recipes, query),
    findImages: async (query) => matching(world.images, query),
    findConfiguration: async (name) => world.configurations?.find((item) => item.name === name),
    findTemplate: async (name) => world.templates?.find((item) => item.name === name),
    products: async () => world.products,
    findSource: async (name) => {
      const url = world.sources?.[name];
      return url === undefined ? undefined : { url };
    },
    defaultPlaybook: async () => "site.yml",
    resolveCommit: async (url, reference) => {
      asked.push(`${url} ${JSON.stringify(reference)}`);
      if (url === "down:x") throw new NetkilnError("unreachable", "down does not answer");
      const wanted = "branch" in reference ? reference.branch : reference.commit;
      if (!["main", "dev"].includes(wanted) && !/^c\d$/.test(wanted)) {
        throw new NetkilnError("not_found", `${url} has no ${Object.keys(reference)[0]} ${wanted}`, {
          hint: "it has main, dev",
        });
      }
      return "branch" in reference ? { url, commit: `head-of-${wanted}`, branch: wanted } : { url, commit: wanted };
    },
    requirePlaybook: async (url, commit, playbook) => {
      asked.push(`${url} ${commit} ${playbook}`);
      if (["site.yml", "gpu.yml"].includes(playbook)) return;
      throw new NetkilnError("not_found", `there is no ${playbook} in ${url}`);
    },
  };
  return { ports, asked };
}

interface Case {
  readonly text: string;
  readonly world?: World;
  readonly options?: Partial<PlanOptions>;
  readonly variables?: Record<string, unknown>;
}

async function planOf({ text, world = {}, options = {}, variables = {} }: Case): Promise<Plan> {
  const file = readBootprep({ file: "f", text, variables });
  return planBootprep(file, portsOf(world).ports, { directory: "/site", ...options });
}

async function problemsOf(input: Case): Promise<readonly string[]> {
  try {
    await planOf(input);
  } catch (error) {
    assert.ok(error instanceof NetkilnError, String(error));
    assert.equal(error.code, "invalid_input");
    return error.problems.map(formatProblem);
  }
  return [];
}

const recipes = [{ id: "r1", name: "barebones", arch: "x86_64" }];
/** As a configuration keeps it. */
const kept = { url: "/site/ansible", playbook: "site.yml", commit: "head-of-main", specialParameters: {} };
const layer = { ...kept, headOf: "main" };

test("a whole file becomes a plan, images after what they are based on", async () => {
  const text = `schema_version: 1.0.9
configurations:
- name: compute
  layers:
  - {git: {url: ./ansible, branch: main}}
  - {name: gpu, playbook: gpu.yml, git: {url: "https://git/x.git", commit: c1}, special_parameters: {ims_require_dkms: true}}
  additional_inventory: {name: inv, url: ../inventory, branch: dev}
images:
- {name: "{{base.name}}-gpu", ref_name: gpu, base: {image_ref: compute}}
- name: "{{base.name}}-{{base.arch}}"
  ref_name: compute
  base: {ims: {type: recipe, id: r1}}
  configuration: compute
  configuration_group_names: [Compute, Slurm]
- {name: other, base: {ims: {type: image, name: golden}}}
session_templates:
- name: "{{image.name}}-t"
  image: {image_ref: gpu}
  configuration: compute
  bos_parameters: {boot_sets: {x: {kernel_parameters: "img={{image.name}}", node_list: ["n-{{image.name}}"], retries: 2}}}
- {name: old, image: {ims: {id: i1}}, configuration: existing, bos_parameters: {boot_sets: {x: {arch: ARM}}}}
`;
  const world = {
    recipes,
    images: [{ id: "i1", name: "golden" }],
    configurations: [{ name: "existing", layers: [] }],
  };
  assert.deepEqual(await planOf({ text, world }), {
    configurations: [
      {
        name: "compute",
        action: "create",
        layers: [
          layer,
          {
            name: "gpu",
            url: "https://git/x.git",
            playbook: "gpu.yml",
            commit: "c1",
            specialParameters: { imsRequireDkms: true },
          },
        ],
        additionalInventory: {
          name: "inv",
          url: "/inventory",
          commit: "head-of-dev",
          headOf: "dev",
        },
      },
    ],
    images: [
      {
        action: "build",
        name: "barebones-x86_64",
        refName: "compute",
        base: { kind: "recipe", id: "r1", name: "barebones" },
        configuration: "compute",
        groups: ["Compute", "Slurm"],
        replaces: [],
      },
      {
        action: "build",
        name: "barebones-x86_64-gpu",
        refName: "gpu",
        base: { kind: "planned", name: "barebones-x86_64" },
        groups: [],
        replaces: [],
      },
      {
        action: "build",
        name: "other",
        base: { kind: "image", id: "i1", name: "golden" },
        groups: [],
        replaces: [],
      },
    ],
    templates: [
      {
        action: "create",
        name: "barebones-x86_64-gpu-t",
        image: { kind: "planned", name: "barebones-x86_64-gpu" },
        configuration: "compute",
        bootSets: {
          x: {
            kernel_parameters: "img=barebones-x86_64-gpu",
            node_list: ["n-barebones-x86_64-gpu"],
            retries: 2,
          },
        },
      },
      {
        action: "create",
        name: "old",
        image: { kind: "existing", id: "i1", name: "golden" },
        configuration: "existing",
        bootSets: { x: { arch: "ARM" } },
      },
    ],
    warnings: [],
  });
});

test("local urls become absolute, remote ones are left, and each question is asked once", async () => {
  const urls = ["./a", "a/b", "/abs", "file:///r", "https://h/r", "git@h:r", "ssh://h/r"];
  const layers = (urls: readonly string[]) => urls.map((url) => `  - {git: {url: "${url}", branch: main}}`).join("\n");
  const file = readBootprep({
    file: "f",
    text: `configurations:\n- name: c\n  layers:\n${layers(urls)}\n- name: d\n  layers:\n${layers(["./a"])}`,
  });
  const { ports, asked } = portsOf({});
  await planBootprep(file, ports, { directory: "/site" });
  const expected = ["/site/a", "/site/a/b", "/abs", "file:///r", "https://h/r", "git@h:r", "ssh://h/r"];
  const playbooks = expected.map((url) => `${url} head-of-main site.yml`);
  assert.deepEqual(asked, [...expected.map((url) => `${url} {"branch":"main"}`), ...playbooks]);
});

test("layers of one branch are of one commit, however many playbooks they run", async () => {
  const text = `configurations:
- name: c
  layers:
  - {git: {url: /a, branch: main}}
  - {git: {url: /a, branch: main}, playbook: gpu.yml}
`;
  const { ports, asked } = portsOf({});
  await planBootprep(readBootprep({ file: "f", text }), ports, { directory: "/site" });
  const once = ['/a {"branch":"main"}', "/a head-of-main gpu.yml", "/a head-of-main site.yml"];
  assert.deepEqual(asked.toSorted(), once.toSorted());
});

test("what cannot be found is told all at once, each at its own place", async () => {
  const text = `configurations:
- name: c
  layers:
  - {name: a, git: {url: ./a, branch: mian}}
  - {git: {url: ./a, branch: main}, playbook: nope.yml}
  - {git: {url: ./a, commit: zz}}
  - {product: {name: cos, version: "2"}}
  - {source: s, branch: b}
  additional_inventory: {url: ./i, branch: gone}
images:
- {name: i1, base: {ims: {type: recipe, name: absent}}}
- {name: i2, base: {ims: {type: recipe, name: twice}}}
- {name: i3, base: {ims: {type: image, id: nope}}, configuration: missing, configuration_group_names: []}
- {name: "{{base.name}}", ref_name: p, base: {product: {name: cos, type: image}}}
- {name: "{{base.name}}-x", base: {image_ref: p}}
- {name: "{{base.name}}", base: {ims: {type: recipe, name: barebones}}}
session_templates:
- {name: t, image: {ims: {name: gone}}, configuration: missing2, bos_parameters: {boot_sets: {x: {}}}}
- {name: u, image: {image_ref: p}, configuration: c, bos_parameters: {boot_sets: {x: {}}}}
`;
  const world = { recipes: [...recipes, { id: "a", name: "twice" }, { id: "b", name: "twice" }] };
  assert.deepEqual(await problemsOf({ text, world }), [
    'f:4:39: configuration "c", layer a: /site/a has no branch mian (it has main, dev)',
    'f:5:47: configuration "c", layer 2: there is no nope.yml in /site/a',
    'f:6:30: configuration "c", layer 3: /site/a has no commit zz (it has main, dev)',
    'f:7:15: configuration "c", layer 4: product lookups need a product catalog, which this server does not have (use git.url)',
    'f:8:14: configuration "c", layer 5: there is no source "s" (sources are made by clients of CFS, such as cray cfs sources create)',
    'f:9:44: configuration "c", additional_inventory: /site/i has no branch gone (it has main, dev)',
    'f:11:47: there is no recipe named "absent" (netkiln recipes list shows what there is)',
    'f:12:47: there are 2 recipes named "twice" (choose one by id: a, b)',
    "f:13:44: there is no image with the id nope (netkiln images list shows what there is)",
    'f:13:67: image "i3": configuration "missing" does not exist (add it under configurations, or create it first)',
    "f:14:46: product lookups need a product catalog, which this server does not have (use base: {ims: {type: recipe or image, name: ...}})",
    'f:18:33: there is no image named "gone" (netkiln images list shows what there is)',
    'f:18:56: session template "t": configuration "missing2" does not exist (add it under configurations, or create it first)',
  ]);
});

test("a port that cannot be reached is no mistake of the file", async () => {
  const text = "configurations:\n- {name: c, layers: [{git: {url: 'down:x', branch: main}}]}";
  await assert.rejects(planOf({ text }), { code: "unreachable", message: "down does not answer" });
});

test("names that depend on a base are checked as soon as they are known", async () => {
  const late = `images:\n- {name: "{{base.name}}-1", base: {ims: {type: recipe, id: r1}}}\n`;
  const twice = `${late}- {name: barebones-1, base: {ims: {type: recipe, id: r1}}}\n`;
  assert.deepEqual(await problemsOf({ text: twice, world: { recipes } }), [
    'f:2:10: image name "barebones-1" is taken by the image in line 3',
  ]);
  const withoutArch = [{ id: "r1", name: "barebones" }];
  const arch = "images:\n- {name: 'x-{{base.arch}}', base: {ims: {type: recipe, id: r1}}}\n";
  assert.deepEqual(await problemsOf({ text: arch, world: { recipes: withoutArch } }), [
    "f:2:10: an image's name: unknown variable base.arch (base has id, name)",
  ]);
  const asBase = `${late}- {name: y, base: {ims: {type: image, name: barebones-1}}}\n`;
  assert.deepEqual(
    await problemsOf({
      text: asBase,
      world: { recipes, images: [{ id: "i", name: "barebones-1" }] },
    }),
    [
      'f:3:45: "barebones-1" is made by the image in line 2 of this file (give that image a ref_name and use base: {image_ref: ...})',
    ],
  );
});

test("configurations: equal ones are reused, differing ones updated, unless a policy says otherwise", async () => {
  const text = (more: string) => `configurations:\n- {name: c, layers: [{git: {url: ansible, branch: main}}]${more}}`;
  const equal: World = { configurations: [{ name: "c", layers: [kept] }] };
  const old = { ...kept, commit: "c0" };
  const differing: World = { configurations: [{ name: "c", layers: [old] }] };
  const cases: readonly (readonly [string, World, PlanOptions["existing"], string, string])[] = [
    ["", {}, undefined, "create", "head-of-main"],
    ["", equal, undefined, "reuse", "head-of-main"],
    ["", differing, undefined, "update", "head-of-main"],
    [", if_exists: skip", {}, undefined, "create", "head-of-main"],
    [", if_exists: skip", differing, undefined, "skip", "c0"],
    [", if_exists: overwrite", equal, undefined, "overwrite", "head-of-main"],
    [", if_exists: overwrite", differing, { configurations: "skip" }, "skip", "c0"],
    [", if_exists: abort", differing, { configurations: "overwrite" }, "overwrite", "head-of-main"],
    [", if_exists: abort", {}, undefined, "create", "head-of-main"],
  ];
  for (const [more, world, existing, action, commit] of cases) {
    const plan = await planOf({
      text: text(more),
      world,
      options: existing === undefined ? {} : { existing },
    });
    const [configuration] = plan.configurations;
    assert.deepEqual([configuration?.action, configuration?.layers[0]?.commit], [action, commit], `${more} ${action}`);
  }
  assert.deepEqual(await problemsOf({ text: text(", if_exists: abort"), world: equal }), [
    'f:2:10: configuration "c" exists already, and if_exists is abort (choose another name, or if_exists: skip or overwrite)',
  ]);
});

test("a kept configuration needs nothing of what the file says about it", async () => {
  const text = "configurations:\n- {name: c, if_exists: skip, layers: [{product: {name: p, version: '1'}}]}";
  const plan = await planOf({ text, world: { configurations: [{ name: "c", layers: [kept] }] } });
  assert.deepEqual(plan.configurations, [{ name: "c", action: "skip", layers: [kept] }]);
});

test("images: built by default, kept by skip, replaced by overwrite, refused by abort", async () => {
  const text = (policy: string) => `images:
- {name: a, ref_name: a, base: {ims: {type: recipe, name: barebones}}${policy}}
- {name: b, base: {image_ref: a}}
session_templates:
- {name: t, image: {image_ref: a}, configuration: c, bos_parameters: {boot_sets: {x: {}}}}
`;
  const world: World = {
    recipes,
    images: [{ id: "i1", name: "a" }],
    configurations: [{ name: "c", layers: [] }],
  };
  const built = await planOf({ text: text(""), world });
  assert.deepEqual(
    built.images.map((image) => [image.name, image.action, image.action === "build" && image.replaces]),
    [
      ["a", "build", []],
      ["b", "build", []],
    ],
  );
  const skipped = await planOf({ text: text(", if_exists: skip"), world });
  assert.deepEqual(skipped.images, [
    { action: "skip", name: "a", refName: "a", id: "i1" },
    {
      action: "build",
      name: "b",
      base: { kind: "image", id: "i1", name: "a" },
      groups: [],
      replaces: [],
    },
  ]);
  const [template] = skipped.templates;
  assert.deepEqual(template?.action === "create" && template.image, {
    kind: "existing",
    id: "i1",
    name: "a",
  });
  const overwritten = await planOf({
    text: text(""),
    world,
    options: { existing: { images: "overwrite" } },
  });
  assert.deepEqual(overwritten.images[0]?.action === "build" && overwritten.images[0].replaces, ["i1"]);
  assert.deepEqual(await problemsOf({ text: text(", if_exists: abort"), world }), [
    'f:2:10: image "a" exists already, and if_exists is abort (choose another name, or if_exists: skip or overwrite)',
  ]);
  const two = {
    ...world,
    images: [
      { id: "i1", name: "a" },
      { id: "i2", name: "a" },
    ],
  };
  assert.deepEqual(await problemsOf({ text: text(", if_exists: skip"), world: two }), [
    'f:2:10: image "a": 2 images have this name, so none can be kept for it (delete all but one of i1, i2)',
  ]);
});

test("session templates: reused only when image, configuration and boot sets are equal", async () => {
  const text = (more: string) =>
    `session_templates:\n- {name: t, image: {ims: {name: a}}, configuration: c, bos_parameters: {boot_sets: {x: {arch: X86}}}${more}}`;
  const old = {
    name: "t",
    imageId: "i1",
    configuration: "c",
    bootSets: { x: { arch: "X86" as const } },
  };
  const world = (template: ExistingTemplate): World => ({
    images: [{ id: "i1", name: "a" }],
    configurations: [{ name: "c", layers: [] }],
    templates: [template],
  });
  const cases: readonly (readonly [string, ExistingTemplate, string])[] = [
    ["", old, "reuse"],
    ["", { ...old, imageId: "i2" }, "update"],
    ["", { ...old, configuration: "d" }, "update"],
    ["", { ...old, bootSets: {} }, "update"],
    ["", { ...old, name: "other" }, "create"],
    [", if_exists: overwrite", old, "overwrite"],
    [", if_exists: skip", { ...old, bootSets: {} }, "skip"],
  ];
  for (const [more, template, action] of cases) {
    const plan = await planOf({ text: text(more), world: world(template) });
    assert.equal(plan.templates[0]?.action, action, `${more} ${JSON.stringify(template)}`);
  }
  assert.deepEqual(await problemsOf({ text: text(", if_exists: abort"), world: world(old) }), [
    'f:2:10: session template "t" exists already, and if_exists is abort (choose another name, or if_exists: skip or overwrite)',
  ]);
});

test("a plain text image is a planned image, an existing name, or an id, in that order", async () => {
  const id = "e6669c1d-8d34-41bf-8e81-69c45939c2cc";
  const text = (image: string) => `images:
- {name: made, base: {ims: {type: recipe, name: barebones}}}
session_templates:
- {name: "t-{{image.name}}", image: ${image}, configuration: c, bos_parameters: {boot_sets: {x: {}}}}
`;
  const configurations = [{ name: "c", layers: [] }];
  const imageOf = async (image: string, images: readonly FoundImage[]) => {
    const [template] = (await planOf({ text: text(image), world: { recipes, configurations, images } })).templates;
    return template !== undefined && "image" in template ? [template.name, template.image] : undefined;
  };
  const byId = { id, name: "golden" };
  assert.deepEqual(await imageOf("made", []), ["t-made", { kind: "planned", name: "made" }]);
  assert.deepEqual(await imageOf("golden", [byId]), ["t-golden", { kind: "existing", ...byId }]);
  assert.deepEqual(await imageOf(id, [byId]), ["t-golden", { kind: "existing", ...byId }]);
  assert.deepEqual(await imageOf(id, [byId, { id: "x", name: id }]), [
    `t-${id}`,
    { kind: "existing", id: "x", name: id },
  ]);
  assert.deepEqual(await problemsOf({ text: text("gone"), world: { recipes, configurations } }), [
    'f:4:37: there is no image named "gone" (netkiln images list shows what there is)',
  ]);
});

test("--limit leaves sections out, and what they would have made must exist then", async () => {
  const text = `configurations:
- {name: c, layers: [{product: {name: p, version: "1"}}]}
images:
- {name: "{{base.name}}-1", ref_name: a, base: {ims: {type: recipe, id: r1}}, configuration: c, configuration_group_names: [X]}
session_templates:
- {name: t, image: {image_ref: a}, configuration: c, bos_parameters: {boot_sets: {x: {}}}}
`;
  const limit = ["session_templates"] as const;
  assert.deepEqual(await problemsOf({ text, world: { recipes }, options: { limit } }), [
    'f:6:32: image "barebones-1" does not exist yet, and --limit leaves images out (add --limit images)',
    'f:6:51: session template "t": configuration "c" does not exist (it is in this file, but --limit leaves configurations out)',
  ]);
  const world: World = {
    recipes,
    images: [{ id: "i", name: "barebones-1" }],
    configurations: [{ name: "c", layers: [] }],
  };
  const plan = await planOf({ text, world, options: { limit } });
  assert.deepEqual([plan.configurations, plan.images], [[], []]);
  assert.deepEqual(plan.templates, [
    {
      action: "create",
      name: "t",
      image: { kind: "existing", id: "i", name: "barebones-1" },
      configuration: "c",
      bootSets: { x: {} },
    },
  ]);
  assert.deepEqual((await planOf({ text, world, options: { limit: ["images"] } })).images.length, 1);
});

test("warnings of the file are carried to the plan", async () => {
  const text = "images:\n- {name: a, ims: {is_recipe: true, id: r1}}";
  assert.deepEqual(
    (await planOf({ text, world: { recipes } })).warnings.map((warning) => [warning.line, warning.column]),
    [
      [1, 1],
      [2, 13],
    ],
  );
});
