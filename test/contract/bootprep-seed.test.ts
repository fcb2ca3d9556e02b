/** The bootprep file of HPE's talk on non-standard images, planned and carried out with the catalog that it needs. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { useClock } from "../../src/lib/clock.ts";
import { makeFolder } from "../support/server.ts";
import {
  makeRepository,
  openStandIn,
  plantRecipe,
  runFile,
  type Repository,
  type StandIn,
} from "./support/stand-in.ts";

const folder = resolve(import.meta.dirname, "../../../shared/seeds");
const file = existsSync(folder) ? readdirSync(folder).find((name) => name.startsWith("000")) : undefined;
const skip = file === undefined ? "the talk's text is not here" : false;

/** What stands in the talk, and the end of the line at which it stops. */
function talksFile(): string {
  const text = readFileSync(join(folder, file ?? ""), "utf8");
  const shown = /```\n(---\nschema_version:[\s\S]*?)\n*```/.exec(text)?.[1] ?? assert.fail("no bootprep file");
  return `${shown.replace(/^ *\.\.\. Truncated.*\n/m, "")}ite_domain}}:300"\n`.replace(
    '{{default.s"ite_domain',
    "{{default.site_domain",
  );
}

/** The recipe that it names by its id. */
const recipeId = "e6669c1d-8d34-41bf-8e81-69c45939c2cc";
const productVariables = `default:
  note: "test-"
  suffix: "-1"
  network_type: cassini
  system_name: sys
  site_domain: example.org
recipe: {version: 25.3.0}
csm: {version: 1.6.1}
slingshot-host-software: {version: 12.0.1, working_branch: integration-12.0.1}
`;

interface Plan {
  readonly configurations: readonly { readonly name: string; readonly layers: readonly Record<string, unknown>[] }[];
  readonly images: readonly { readonly name: string; readonly action: string; readonly steps: readonly object[] }[];
  readonly templates: readonly { readonly name: string }[];
  readonly payloads: readonly { readonly body: { readonly boot_sets?: Record<string, Record<string, string>> } }[];
  readonly warnings: readonly object[];
}

describe("the file of the talk", { skip }, () => {
  let side: StandIn;
  let csm: Repository;
  let shs: Repository;
  let request: object;

  before(async () => {
    const repositories = await makeFolder();
    csm = await makeRepository(join(repositories, "csm"), { "csm_packages.yml": "[]\n" });
    shs = await makeRepository(join(repositories, "shs"), { "shs_cassini_install.yml": "[]\n" });
    await shs.git("branch", "integration-12.0.1");
    const recipes = await makeRepository(join(repositories, "recipes"), { "product_vars.yaml": productVariables });
    await recipes.git("branch", "cray/hpc-csm-software-recipe/25.3.0");
    const product = (name: string, version: string, { url, commit }: Repository) => ({
      ...{ name, version, data: { configuration: { clone_url: url, commit } } },
    });
    const products = [
      product("csm", "1.6.1", csm),
      product("slingshot-host-software", "12.0.1", shs),
      product("hpc-csm-software-recipe", "25.3.0", recipes),
    ];
    side = await openStandIn({ catalog: { products: async () => products } });
    const undo = useClock({ uuid: () => recipeId });
    await plantRecipe(side.house, "uss-compute");
    undo();
    request = { file: "bootprep.yaml", text: talksFile(), directory: "/" };
  });
  after(() => side.close());

  test("a dry run says what it would do", async () => {
    const plan = await side.ask<Plan>("POST", "/apis/netkiln/v1/bootprep/plans", request);
    const common = { name: "csm-packages-1.6.1", playbook: "csm_packages.yml", url: csm.url, commit: csm.commit };
    assert.deepEqual(plan.configurations[0]?.name, "test-compute-25.3.0-1");
    assert.deepEqual(plan.configurations[0]?.layers, [
      { ...common, specialParameters: {} },
      {
        ...{ name: "shs-cassini_install-integration-12.0.1", playbook: "shs_cassini_install.yml", url: shs.url },
        ...{ commit: shs.commit, headOf: "integration-12.0.1", specialParameters: { imsRequireDkms: true } },
      },
    ]);
    assert.deepEqual(
      plan.images.map(({ name, action, steps }) => [name, action, steps.length > 0]),
      [
        ["test-uss-compute-1", "build", true],
        ["compute-test-uss-compute-1", "build", true],
      ],
    );
    assert.deepEqual(
      plan.templates.map(({ name }) => name),
      ["test-compute-25.3.0.x86_64-1"],
    );
    const set = plan.payloads[1]?.body.boot_sets?.["compute"];
    assert.deepEqual([set?.["path"], set?.["etag"]], ["TBD", "TBD"]);
    const passthrough = "sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.sys.example.org:300";
    assert.equal(set?.["rootfs_provider_passthrough"], passthrough);
    assert.deepEqual(plan.warnings, []);
    assert.deepEqual(await side.house.configurations.list({ limit: 1 }), [], "nothing is made");
  });

  test("a run makes it", async () => {
    type Run = { id: string; status: string; items: readonly Record<string, unknown>[] };
    const run = await runFile<Run>(side, request);
    assert.equal(run.status, "succeeded", JSON.stringify(run));
    const configuration = "test-compute-25.3.0-1";
    const unsaid = { image: undefined, build: undefined };
    assert.deepEqual(
      run.items.map((item) => ({ ...item, image: undefined, build: undefined })),
      [
        { section: "configuration", name: configuration, action: "create", state: "done", ...unsaid },
        { section: "image", name: "test-uss-compute-1", action: "build", state: "done", ...unsaid },
        {
          ...{ section: "image", name: "compute-test-uss-compute-1", action: "build", state: "done" },
          ...{ configuration, groups: ["Compute"], ...unsaid },
        },
        {
          ...{ section: "session_template", name: "test-compute-25.3.0.x86_64-1", action: "create", state: "done" },
          ...{ configuration, ...unsaid },
        },
      ],
    );
    const template = await side.house.sessions.getTemplate("test-compute-25.3.0.x86_64-1");
    const image = await side.house.images.findImage("compute-test-uss-compute-1");
    assert.equal(template?.boot_sets["compute"]?.path, `s3://boot-images/${image?.id}/manifest.json`);
    const wanted = await side.house.builds.lastRequest("compute-test-uss-compute-1");
    assert.equal(wanted?.base.kind, "request");
    assert.equal(wanted?.configuration?.layers[1]?.specialParameters?.imsRequireDkms, true);
  });

  test("a recipe that is served here is taken before that of the catalog", async () => {
    const repositories = await makeFolder();
    const recipes = await makeRepository(join(repositories, "own"), { "product_vars.yaml": "csm: {version: 1.8.0}\n" });
    for (const version of ["25.9.0", "25.10.0", "next"]) {
      await recipes.git("branch", `cray/hpc-csm-software-recipe/${version}`);
    }
    const own = await openStandIn({ repositories: { "cray/hpc-csm-software-recipe": recipes.url } });
    const { items } = await own.ask<{ items: object[] }>("POST", "/apis/netkiln/v1/bootprep/variables", {});
    const source = "product_vars.yaml of recipe 25.10.0";
    assert.deepEqual(items, [{ name: "csm.version", value: "1.8.0", source }]);
    await own.close();
  });

  test("its variables are listed with the recipe that they come from", async () => {
    const base = "/apis/netkiln/v1/bootprep/variables";
    const { items } = await side.ask<{ items: object[] }>("POST", base, { variables: ["csm.version=1.7.0"] });
    assert.deepEqual(items[0], { name: "csm.version", value: "1.7.0", source: "--vars" });
    const source = "product_vars.yaml of recipe 25.3.0";
    assert.deepEqual(items.at(-1), {
      ...{ name: "slingshot_host_software.working_branch", value: "integration-12.0.1", source },
    });
    await side.ask("POST", base, { recipe_version: "24.1.0" }, 404);
  });
});
