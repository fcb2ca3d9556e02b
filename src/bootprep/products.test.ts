/** What bootprep files look up in the product catalog, in a small one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, NetkilnError } from "../lib/errors.ts";
import { planBootprep, readBootprep, type Plan, type PlanPorts, type Product } from "./index.ts";

const repository = "https://vcs.example.org/vcs/cray/cos-config-management.git";
const cos = (version: string, more: Record<string, unknown> = {}): Product => ({
  name: "cos",
  version,
  data: {
    active: true,
    configuration: { clone_url: repository, commit: `commit-of-${version}`, import_branch: `cray/cos/${version}` },
    ...more,
  },
});
const products: readonly Product[] = [
  cos("2.10.1", {
    recipes: { a: { id: "r-x86" }, b: { id: "r-arm" }, c: { id: "r-other" }, d: { id: "r-gone" }, e: {} },
    images: { compute: { id: "i-1" }, gone: { id: "i-gone" } },
  }),
  cos("2.9.30", { recipes: null, images: { gone: { id: "i-gone" } } }),
  { name: "bare", version: "1.0.0", data: { configuration: {} } },
  { name: "uncommitted", version: "1.0.0", data: { configuration: { clone_url: repository } } },
  { name: "odd", version: "1.0.0", data: { configuration: "none" } },
];

const recipes = [
  { id: "r-x86", name: "compute-uss.x86_64", arch: "x86_64" },
  { id: "r-arm", name: "compute-uss.aarch64", arch: "aarch64" },
  { id: "r-other", name: "other" },
];

const ports: PlanPorts = {
  findRecipes: async (query) => recipes.filter(({ id }) => "id" in query && id === query.id),
  findImages: async (query) =>
    "id" in query && query.id === "i-1" ? [{ id: "i-1", name: "cos-compute", arch: "x86_64" }] : [],
  findConfiguration: async () => undefined,
  findTemplate: async () => undefined,
  products: async () => products,
  findSource: async (name) => (name === "site" ? { url: "https://git.example.org/site.git" } : undefined),
  defaultPlaybook: async () => "default.yml",
  resolveCommit: async (url, reference) => {
    if ("commit" in reference) return { url, commit: reference.commit };
    if (reference.branch !== "integration") throw new NetkilnError("not_found", `no branch ${reference.branch}`);
    return { url, branch: reference.branch, commit: "head" };
  },
  requirePlaybook: async () => undefined,
};

async function planOf(text: string, options: { resolveBranches?: boolean } = {}): Promise<Plan> {
  return planBootprep(readBootprep({ file: "f", text }), ports, { directory: "/", ...options });
}

async function problemsOf(text: string): Promise<readonly string[]> {
  return planOf(text).then(
    () => [],
    (error: unknown) => (error instanceof NetkilnError ? error.problems.map(formatProblem) : assert.fail()),
  );
}

const layersOf = async (layers: string, options?: { resolveBranches?: boolean }) =>
  (await planOf(`configurations:\n- {name: c, layers: [${layers}]}`, options)).configurations[0]?.layers;

test("a product's layer is its repository at the commit of the version, or at what the file says", async () => {
  const common = { url: repository, specialParameters: {} };
  const layers = await layersOf(
    [
      "{playbook: a.yml, product: {name: cos, version: 2.9.30}}",
      "{playbook: b.yml, product: {name: cos, version: latest}}",
      "{playbook: c.yml, product: {name: cos, branch: integration}}",
      "{playbook: d.yml, product: {name: cos, version: 2.9.30, commit: abc}}",
      "{product: {name: uncommitted, commit: abc}}",
    ].join(", "),
  );
  assert.deepEqual(layers, [
    { ...common, playbook: "a.yml", commit: "commit-of-2.9.30" },
    { ...common, playbook: "b.yml", commit: "commit-of-2.10.1" },
    { ...common, playbook: "c.yml", commit: "head", headOf: "integration" },
    { ...common, playbook: "d.yml", commit: "abc" },
    { ...common, playbook: "default.yml", commit: "abc" },
  ]);
});

test("branches are kept only when they are not to be resolved", async () => {
  const layer = "{product: {name: cos, branch: integration}}, {source: site, branch: integration}";
  const kept = await layersOf(layer, { resolveBranches: false });
  assert.deepEqual(
    kept?.map(({ branch, commit, headOf }) => [branch, commit, headOf]),
    [
      ["integration", "head", undefined],
      ["integration", "head", undefined],
    ],
  );
});

test("a source's layer names the source, and is its repository", async () => {
  assert.deepEqual(
    await layersOf("{name: s, source: site, commit: abc, special_parameters: {ims_require_dkms: true}}"),
    [
      {
        ...{
          name: "s",
          url: "https://git.example.org/site.git",
          source: "site",
          playbook: "default.yml",
          commit: "abc",
        },
        specialParameters: { imsRequireDkms: true },
      },
    ],
  );
});

const baseOf = async (product: string) => {
  const [image] = (await planOf(`images:\n- {name: "{{base.name}}", base: {product: {name: cos, ${product}}}}`)).images;
  return image?.action === "build" ? [image.name, image.base] : undefined;
};

test("an image's base is the one recipe or image of the product that the filters let through", async () => {
  const recipe = (id: string, name: string) => [name, { kind: "recipe", id, name }];
  const x86 = recipe("r-x86", "compute-uss.x86_64");
  assert.deepEqual(
    await baseOf("type: recipe, filter: {prefix: compute, arch: aarch64}"),
    recipe("r-arm", "compute-uss.aarch64"),
  );
  assert.deepEqual(await baseOf("type: recipe, filter: {wildcard: '*.x86_64'}"), x86);
  assert.deepEqual(await baseOf("type: recipe, filter: {prefix: comp, wildcard: '*uss*', arch: x86_64}"), x86);
  const unsaid = "type: recipe, filter: {wildcard: oth*, arch: x86_64}";
  assert.deepEqual(await baseOf(unsaid), recipe("r-other", "other"), "what names no architecture is for x86_64");
  assert.deepEqual(await baseOf("version: 2.10.1, type: image"), [
    "cos-compute",
    { kind: "image", id: "i-1", name: "cos-compute" },
  ]);
});

test("what the catalog does not have is told all at once, each at its own place", async () => {
  const text = `configurations:
- name: c
  layers:
  - {product: {name: coss, version: "1"}}
  - {product: {name: slurm-wlm, version: "1"}}
  - {product: {name: cos, version: 2.4.0}}
  - {product: {name: bare, version: 1.0.0}}
  - {product: {name: uncommitted, version: 1.0.0}}
  - {product: {name: odd, version: 1.0.0}}
  - {product: {name: cos, branch: main}}
  - {source: nowhere, branch: main}
images:
- {name: a, base: {product: {name: cos, type: recipe}}}
- {name: b, base: {product: {name: cos, type: recipe, filter: {wildcard: nothing*, arch: x86_64}}}}
- {name: c, base: {product: {name: cos, version: 2.9.30, type: recipe}}}
- {name: d, base: {product: {name: cos, version: 2.9.30, type: image}}}
- {name: e, base: {product: {name: cos, version: "3", type: image}}}
`;
  const catalog = "cos, bare, uncommitted, odd";
  const found = "compute-uss.x86_64, compute-uss.aarch64, other";
  assert.deepEqual(await problemsOf(text), [
    'f:4:22: configuration "c", layer 1: the product catalog has no product "coss" (did you mean cos?)',
    `f:5:22: configuration "c", layer 2: the product catalog has no product "slurm-wlm" (it has ${catalog})`,
    'f:6:36: configuration "c", layer 3: there is no version 2.4.0 of cos (it has 2.10.1, 2.9.30)',
    'f:7:22: configuration "c", layer 4: the catalog names no repository for bare 1.0.0',
    'f:8:22: configuration "c", layer 5: the catalog names no commit for uncommitted 1.0.0 (add a branch or a commit)',
    'f:9:22: configuration "c", layer 6: what the product catalog says of odd 1.0.0 cannot be read',
    'f:10:35: configuration "c", layer 7: no branch main',
    'f:11:14: configuration "c", layer 8: there is no source "nowhere" (sources are made by clients of CFS, such as cray cfs sources create)',
    `f:13:19: there are 3 recipes of cos 2.10.1 (choose one with filter: ${found})`,
    `f:14:19: no recipe of cos 2.10.1 that is like "nothing*" and is for x86_64 (they are ${found})`,
    "f:15:19: cos 2.9.30 has no recipes in the product catalog",
    "f:16:19: no image of cos 2.9.30 exists here",
    "f:17:50: there is no version 3 of cos (it has 2.10.1, 2.9.30)",
  ]);
});

test("a playbook of a repository runs once in a configuration, as CFS has it", async () => {
  const twice =
    "{name: a, git: {url: 'u:r', commit: abc}}, {name: b, git: {url: 'u:r', commit: def}, playbook: default.yml}";
  assert.deepEqual(await problemsOf(`configurations:\n- {name: c, layers: [${twice}]}`), [
    'f:2:65: configuration "c", layer b: an earlier layer runs default.yml of u:r already',
  ]);
});
