import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, NetkilnError } from "../lib/errors.ts";
import { readBootprep } from "./read.ts";
import { checkSchemaVersion } from "./schema-version.ts";
import type { Variables } from "./variables.ts";

function problemsOf(text: string, variables: Variables = {}): readonly string[] {
  try {
    readBootprep({ file: "f", text, variables });
  } catch (error) {
    assert.ok(error instanceof NetkilnError, String(error));
    assert.equal(error.code, "invalid_input");
    return error.problems.map(formatProblem);
  }
  return [];
}

const layers = "layers:\n  - git: {url: u, branch: main}\n";

test("a whole file is read, with its places", () => {
  const text = `schema_version: 1.0.9
configurations:
- name: "{{note}}compute"
  description: d
  layers:
  - name: base
    playbook: "{{kind}}.yml"
    git: {url: ./ansible, branch: "{{kind}}"}
    special_parameters: {ims_require_dkms: true}
  - product: {name: cos, version: "{{kind}}"}
  - source: "{{kind}}"
    commit: abc
  additional_inventory: {url: v, commit: c, name: n, other: 1}
  if_exists: skip
images:
- name: "{{base.name}}-{{note}}x"
  ref_name: compute
  base: {ims: {type: recipe, name: barebones}}
- name: "{{base.name}}-2"
  base: {image_ref: compute}
  configuration: "{{note}}compute"
  configuration_group_names: [Compute]
session_templates:
- name: "t-{{image.name}}"
  image: {image_ref: compute}
  configuration: "{{note}}compute"
  bos_parameters:
    boot_sets:
      a.b:
        kernel_parameters: "ip=dhcp img={{image.name}}"
        node_list: ["{{note}}x1000"]
        cfs: {nested: "{{note}}"}
        retries: 3
`;
  const read = readBootprep({ file: "f", text, variables: { note: "n-", kind: "shs" } });
  assert.deepEqual(read.configurations, [
    {
      line: 3,
      column: 3,
      name: { line: 3, column: 9, text: "n-compute" },
      description: "d",
      layers: [
        {
          line: 6,
          column: 5,
          name: { line: 6, column: 11, text: "base" },
          playbook: { line: 7, column: 15, text: "shs.yml" },
          specialParameters: { imsRequireDkms: true },
          origin: {
            line: 8,
            column: 10,
            kind: "git",
            url: { line: 8, column: 16, text: "./ansible" },
            reference: { line: 8, column: 35, text: "shs", kind: "branch" },
          },
        },
        {
          line: 10,
          column: 5,
          specialParameters: {},
          origin: {
            line: 10,
            column: 14,
            kind: "product",
            name: { line: 10, column: 21, text: "cos" },
            version: { line: 10, column: 35, text: "shs" },
          },
        },
        {
          line: 11,
          column: 5,
          specialParameters: {},
          origin: {
            line: 11,
            column: 13,
            kind: "source",
            name: { line: 11, column: 13, text: "shs" },
            reference: { line: 12, column: 13, text: "abc", kind: "commit" },
          },
        },
      ],
      additionalInventory: {
        line: 13,
        column: 25,
        name: { line: 13, column: 51, text: "n" },
        url: { line: 13, column: 31, text: "v" },
        reference: { line: 13, column: 42, text: "c", kind: "commit" },
      },
      ifExists: "skip",
    },
  ]);
  assert.deepEqual(
    read.images.map(({ name, groups, base }) => [name, groups, base.kind]),
    [
      [{ line: 16, column: 9, text: "barebones-n-x" }, [], "ims"],
      [{ line: 19, column: 9, text: "barebones-n-x-2" }, ["Compute"], "image_ref"],
    ],
  );
  const [template] = read.templates;
  assert.deepEqual(template?.name, { line: 24, column: 9, text: "t-barebones-n-x" });
  assert.deepEqual(template?.bootSets.sets, {
    "a.b": {
      kernel_parameters: "ip=dhcp img=barebones-n-x",
      node_list: ["n-x1000"],
      cfs: { nested: "n-" },
      retries: 3,
    },
  });
  assert.deepEqual(read.warnings, []);
});

test("what speaks of a record that only the plan can look up waits, but its other mistakes do not", () => {
  const file = (name: string, parameters: string) => `images:
- name: "${name}"
  ref_name: a
  base: {ims: {type: recipe, id: e6669c1d-8d34-41bf-8e81-69c45939c2cc}}
session_templates:
- {name: "t-{{image.name}}", image: {image_ref: a}, configuration: c, bos_parameters: {boot_sets: {x: {kernel_parameters: "${parameters}"}}}}
`;
  const read = readBootprep({ file: "f", text: file("x-{{base.name}}", "{{image.name}} quiet") });
  assert.deepEqual(read.images[0]?.name, { line: 2, column: 9, template: "x-{{base.name}}" });
  assert.deepEqual(read.templates[0]?.name, { line: 6, column: 10, template: "t-{{image.name}}" });
  assert.equal(read.templates[0]?.bootSets.waiting, true);
  assert.deepEqual(read.templates[0]?.bootSets.sets, {
    x: { kernel_parameters: "{{image.name}} quiet" },
  });

  const give = "give it with --vars or in a --vars-file";
  assert.deepEqual(problemsOf(file("{{base.name}}{{suffix}}", "{{image.id}}")), [
    `f:2:9: images[0].name: unknown variable suffix (${give})`,
    `f:6:123: session_templates[0].bos_parameters.boot_sets.x.kernel_parameters: unknown variable image.id (image has name)`,
  ]);
});

test("base is known only inside images, image only inside session templates", () => {
  assert.deepEqual(problemsOf(`configurations:\n- name: "{{base.name}}{{image.name}}"\n  ${layers}`), [
    "f:2:9: configurations[0].name: unknown variables base.name, image.name (give it with --vars or in a --vars-file)",
  ]);
});

test("mistakes of shape stand at the value, or at the key that should not be there", () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["", ["f:1:1: the file is empty"]],
    ["[]", ["f:1:1: expected a mapping, got a list"]],
    ["image: []", ['f:1:1: unknown key "image" (did you mean images?)']],
    ["images:", ["f:1:8: images: expected a list, got nothing"]],
    ["images: []\nimages: []", ["f:2:1: Map keys must be unique"]],
    ["configurations:\n- {name: a}", ["f:2:3: configurations[0].layers is missing"]],
    [
      "configurations:\n- {name: 1.5, layers: []}",
      ["f:2:10: configurations[0].name: expected text, got the number 1.5; put it in quotes"],
    ],
    [
      "configurations:\n- {name: a, layers: [{playbook: x}]}",
      ["f:2:22: configurations[0].layers[0]: one of git, product, source is needed"],
    ],
    [
      "configurations:\n- {name: a, layers: [{playbok: x, source: s, branch: b}]}",
      ['f:2:23: unknown key "playbok" in configurations[0].layers[0] (did you mean playbook?)'],
    ],
    [
      "configurations:\n- {name: a, layers: [{git: {url: u, branch: b}, source: s}]}",
      ["f:2:22: configurations[0].layers[0]: only one of git and source can be given"],
    ],
    [
      "configurations:\n- {name: a, layers: [{git: {url: u, branch: b, commit: c}}]}",
      ["f:2:28: configurations[0].layers[0].git: only one of commit and branch can be given"],
    ],
    [
      "configurations:\n- {name: a, layers: [{git: {url: u}}]}",
      ["f:2:28: configurations[0].layers[0].git: one of commit, branch is needed"],
    ],
    [
      "configurations:\n- {name: a, layers: [{product: {name: p}}]}",
      ["f:2:32: configurations[0].layers[0].product: one of version, branch, commit is needed"],
    ],
    [
      "configurations:\n- {name: a, layers: [{product: {name: p, version: v, branch: b, commit: c}}]}",
      ["f:2:32: configurations[0].layers[0].product: only one of branch and commit can be given"],
    ],
    [
      "configurations:\n- {name: a, layers: [], if_exists: ski}",
      ['f:2:36: configurations[0].if_exists: expected skip, overwrite or abort, got "ski"'],
    ],
    [
      "configurations:\n- {name: a, layers: [{source: s, branch: b, special_parameters: {ims_require_dkms: yes}}]}",
      ['f:2:84: configurations[0].layers[0].special_parameters.ims_require_dkms: expected true or false, got "yes"'],
    ],
    ["images:\n- {name: a, base: {}}", ["f:2:19: images[0].base: one of ims, product, image_ref is needed"]],
    ["images:\n- {name: a}", ["f:2:3: images[0]: one of base, ims is needed"]],
    [
      "images:\n- {name: a, configuration: c, base: {ims: {id: i, type: image}}}",
      ["f:2:13: images[0]: configuration needs configuration_group_names"],
    ],
    [
      "images:\n- {name: a, base: {product: {name: p, type: image, filter: {}}}}",
      ["f:2:60: images[0].base.product.filter: one of prefix, wildcard, arch is needed"],
    ],
    [
      "session_templates:\n- {name: a, image: 5, configuration: c, bos_parameters: {boot_sets: {}}}",
      [
        "f:2:20: session_templates[0].image: expected a mapping, got the number 5",
        "f:2:69: session_templates[0].bos_parameters.boot_sets: at least one boot set is needed",
      ],
    ],
  ];
  for (const [text, problems] of cases) assert.deepEqual(problemsOf(text), problems, text);
});

test("names must be unique, and references must lead somewhere", () => {
  const image = (name: string, more: string) => `- {name: ${name}, ${more}}\n`;
  const recipe = "base: {ims: {type: recipe, name: r}}";
  const cases: readonly (readonly [string, readonly string[]])[] = [
    [
      `configurations:\n- {name: "{{n}}", layers: []}\n- {name: x, layers: []}`,
      ['f:3:10: configurations[1].name: "x" is taken by configurations[0]'],
    ],
    [
      `images:\n${image("a", `ref_name: r, ${recipe}`)}${image("a", `ref_name: r, ${recipe}`)}`,
      ['f:3:10: images[1].name: "a" is taken by images[0]', 'f:3:23: images[1].ref_name: "r" is taken by images[0]'],
    ],
    [
      `images:\n${image("a", `ref_name: compute, ${recipe}`)}${image("b", "base: {image_ref: compte}")}`,
      ['f:3:31: images[1].base.image_ref: no image of this file has the ref_name "compte" (did you mean compute?)'],
    ],
    [
      "session_templates:\n- {name: a, image: {image_ref: q}, configuration: c, bos_parameters: {boot_sets: {x: {rootfs_provider: ''}}}}",
      [
        'f:2:32: session_templates[0].image.image_ref: no image of this file has the ref_name "q" (no image of this file has a ref_name)',
        "f:2:104: session_templates[0].bos_parameters.boot_sets.x.rootfs_provider: must not be empty (leave the key out)",
      ],
    ],
    [
      `images:\n${image("s", "ref_name: s, base: {image_ref: s}")}`,
      ["f:2:44: images[0].base.image_ref: images are based on each other in a circle: s -> s"],
    ],
    [
      `images:\n${image("x", "base: {image_ref: a}")}${image("a", "ref_name: a, base: {image_ref: c}")}${image("b", "ref_name: b, base: {image_ref: a}")}${image("c", "ref_name: c, base: {image_ref: b}")}`,
      ["f:3:44: images[1].base.image_ref: images are based on each other in a circle: a -> c -> b -> a"],
    ],
    [
      `images:\n${image("a", recipe)}${image("b", "base: {ims: {type: image, name: a}}")}`,
      [
        'f:3:45: images[1].base.ims.name: "a" is made by images[0] of this file (give images[0] a ref_name and use base: {image_ref: ...})',
      ],
    ],
    [`images:\n${image('"{{e}}"', recipe)}`, ["f:2:10: images[0].name: must not be empty"]],
  ];
  for (const [text, problems] of cases) assert.deepEqual(problemsOf(text, { n: "x", e: "" }), problems, text);
});

test("the schema version decides whether a file is read", () => {
  const newer =
    "it may hold keys that this version does not know; upgrade netkiln, or write the file for the older schema";
  assert.deepEqual(problemsOf("schema_version: 1.0.10"), [
    `f:1:17: schema_version: 1.0.10 is newer than 1.0.9, the newest that is understood (${newer})`,
  ]);
  assert.deepEqual(problemsOf("schema_version: 0.9.0"), [
    "f:1:17: schema_version: 0.9.0 is of an older major version than 1.0.9 (rewrite the file for schema 1.0.9)",
  ]);
  assert.deepEqual(problemsOf("schema_version: '1.0'"), [
    'f:1:17: schema_version: "1.0" is not a version (write it as in 1.0.9)',
  ]);
  const unversioned = readBootprep({ file: "f", text: "images: []" });
  assert.equal(unversioned.schemaVersion, "1.0.0");
  assert.deepEqual(unversioned.warnings.map(formatProblem), [
    "f:1:1: schema_version is missing; 1.0.0 is assumed (write schema_version: 1.0.9)",
  ]);
  assert.equal(checkSchemaVersion("1.0.2").verdict, "ok");
  assert.equal(checkSchemaVersion("1.1.9", "1.2.0").verdict, "warning");
  assert.equal(checkSchemaVersion("2.0.0", "1.2.0").verdict, "mistake");
});

test("deprecated forms are read, with a warning", () => {
  const read = readBootprep({
    file: "f",
    text: `schema_version: 1.0.0
images:
- {name: a, ims: {is_recipe: true, name: r}}
session_templates:
- {name: t, image: a, configuration: c, bos_parameters: {boot_sets: {x: {}}, other: 1}}
`,
  });
  const base = {
    line: 3,
    column: 18,
    kind: "ims",
    type: "recipe",
    target: { line: 3, column: 42, text: "r", by: "name" },
  };
  assert.deepEqual(read.images[0]?.base, base);
  assert.deepEqual(read.templates[0]?.image, { kind: "either", line: 5, column: 20, text: "a" });
  assert.deepEqual(read.warnings.map(formatProblem), [
    "f:3:13: images[0].ims is deprecated (write base: {ims: {type: recipe or image, ...}} instead)",
    "f:5:20: session_templates[0].image as plain text is deprecated (write image: {image_ref: ...} or image: {ims: {name: ...}} instead)",
    "f:5:78: session_templates[0].bos_parameters.other has no effect: only boot_sets is read",
  ]);
});

test("anchors and merge keys are followed", () => {
  const text = `configurations:
- &first
  name: a
  layers: &layers
  - {git: {url: u, branch: main}}
- <<: *first
  name: b
`;
  const read = readBootprep({ file: "f", text });
  assert.deepEqual(
    read.configurations.map(({ name, layers }) => [name.text, layers.length]),
    [
      ["a", 1],
      ["b", 1],
    ],
  );
});

test("any set of independent mistakes is told whole, in the order of the file", () => {
  // Each fragment is one configuration with one mistake of its own kind (or two, or none).
  const give = "give it with --vars or in a --vars-file";
  const fragments: readonly (readonly [string, readonly string[]])[] = [
    ["{name: ID, layers: [{git: {url: u}}]}", ["22: layers[0].git: one of"]],
    ["{name: 'ID{{nope}}', layers: []}", [`10: name: unknown variable nope (${give})`]],
    ["{name: ID, layer: [], layers: []}", ["14: unknown key"]],
    ["{name: ID, layers: [], if_exists: no}", ["37: if_exists: expected"]],
    ["{name: taken, layers: []}", ['10: name: "taken" is taken by']],
    [
      "{name: ID, layers: [{source: '{{a.b}}', branch: b, x: 1}]}",
      ["32: layers[0].source: unknown variable", "54: unknown key"],
    ],
    ["{name: ID, layers: []}", []],
  ];
  for (let set = 0; set < 2 ** fragments.length; set += 1) {
    const chosen = fragments.filter((_, index) => (set >> index) % 2 === 1);
    const lines = chosen.map(([fragment], index) => `- ${fragment.replace("ID", `c${index}`)}`);
    const found = problemsOf(["configurations:", "- {name: taken, layers: []}", ...lines].join("\n"));
    const expectedCount = chosen.reduce((sum, [, problems]) => sum + problems.length, 0);
    assert.equal(found.length, expectedCount, lines.join("\n"));
    const places = found.map((problem) => problem.split(":").slice(1, 3).map(Number));
    assert.deepEqual(
      places,
      places.toSorted(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d),
    );
    const expectedLines = chosen.flatMap(([, problems], index) => problems.map(() => index + 3));
    assert.deepEqual(
      places.map(([line]) => line),
      expectedLines,
    );
  }
});

test("the file of HPE's 2025 talk on non-standard images reads", () => {
  const text = `---
schema_version: 1.0.2
configurations:
- name: "{{default.note}}compute-{{recipe.version}}{{default.suffix}}"
  layers:
  - name: csm-packages-{{csm.version}}
    playbook: csm_packages.yml
    product:
      name: csm
      version: "{{csm.version}}"
  - name: shs-{{default.network_type}}_install-{{slingshot_host_software.working_branch}}
    playbook: shs_{{default.network_type}}_install.yml
    product:
      name: slingshot-host-software
      version: "{{slingshot_host_software.version}}"
      branch: "{{slingshot_host_software.working_branch}}"
    special_parameters:
      ims_require_dkms: true
images:
- name: "{{default.note}}{{base.name}}{{default.suffix}}"
  ref_name: base_uss_image.x86_64
  base:
    ims:
      type: recipe
      id: e6669c1d-8d34-41bf-8e81-69c45939c2cc

- name: "compute-{{base.name}}"
  ref_name: compute_image.x86_64
  base:
    image_ref: base_uss_image.x86_64
  configuration: "{{default.note}}compute-{{recipe.version}}{{default.suffix}}"
  configuration_group_names:
  - Compute

session_templates:
- name: "{{default.note}}compute-{{recipe.version}}.x86_64{{default.suffix}}"
  image:
    image_ref: compute_image.x86_64
  configuration: "{{default.note}}compute-{{recipe.version}}{{default.suffix}}"
  bos_parameters:
    boot_sets:
      compute:
        arch: X86
        kernel_parameters: console=ttyS0,115200 crashkernel=512M@4G ip=dhcp quiet spire_join_token=\${SPIRE_JOIN_TOKEN}
        node_roles_groups:
        - Compute
        rootfs_provider: "sbps"
        rootfs_provider_passthrough: "sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.{{default.system_name}}.{{default.site_domain}}:300"
`;
  const variables = {
    default: {
      note: "test-",
      suffix: "-1",
      network_type: "cassini",
      system_name: "sys",
      site_domain: "site",
    },
    recipe: { version: "25.3" },
    csm: { version: "1.6.1" },
    slingshot_host_software: { version: "12.0", working_branch: "integration" },
  };
  const read = readBootprep({ file: "f", text, variables });
  assert.equal(read.configurations[0]?.name.text, "test-compute-25.3-1");
  assert.equal(read.configurations[0]?.layers[1]?.playbook?.text, "shs_cassini_install.yml");
  assert.deepEqual(read.images[1]?.name, {
    line: 27,
    column: 9,
    template: "compute-{{base.name}}",
  });
  assert.equal(
    read.templates[0]?.bootSets.sets["compute"]?.rootfs_provider_passthrough,
    "sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.sys.site:300",
  );
  assert.match(read.templates[0]?.bootSets.sets["compute"]?.kernel_parameters ?? "", /\$\{SPIRE_JOIN_TOKEN\}$/);
});
