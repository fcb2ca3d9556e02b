/**
 * The same bootprep file, carried out by our command and by what sat was seen to send for it, comes to the same
 * configurations, images and session templates.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeFolder } from "../support/server.ts";
import {
  makeRepository,
  openStandIn,
  plantRecipe,
  runFile,
  type Repository,
  type StandIn,
} from "./support/stand-in.ts";

const name = "compute-25.3.0";

const text = (site: Repository) => `schema_version: 1.0.9
configurations:
- name: "{{default.note}}compute-{{recipe.version}}"
  layers:
  - name: "cos-{{cos.version}}"
    playbook: cos-compute.yml
    product: {name: cos, version: "{{cos.version}}"}
    special_parameters: {ims_require_dkms: true}
  - name: slurm
    playbook: slurm.yml
    product: {name: cos, branch: integration}
  - name: site
    playbook: site.yml
    git: {url: "${site.url}", branch: main}
  - name: source
    playbook: source.yml
    source: site-source
    branch: main
  additional_inventory: {name: inventory, url: "${site.url}", branch: main}
images:
- name: "{{base.name}}-base"
  ref_name: base
  base: {product: {name: cos, type: recipe, filter: {prefix: uss, arch: x86_64}}}
- name: "compute-{{base.name}}"
  ref_name: compute
  base: {image_ref: base}
  configuration: "{{default.note}}compute-{{recipe.version}}"
  configuration_group_names: [Compute, Slurm]
session_templates:
- name: "{{default.note}}compute-{{recipe.version}}"
  image: {image_ref: compute}
  configuration: "{{default.note}}compute-{{recipe.version}}"
  bos_parameters:
    boot_sets:
      compute:
        arch: X86
        kernel_parameters: ip=dhcp quiet image={{image.name}}
        node_roles_groups: [Compute]
        rootfs_provider: sbps
        rootfs_provider_passthrough: sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.sys.example.org:300
`;

interface Image {
  readonly id: string;
  readonly name: string;
  readonly link: { readonly path: string; readonly etag: string; readonly type: string };
}

interface Template {
  readonly boot_sets: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const isConfigured = (image: Image) => image.name === "compute-uss-compute-base";

/** With every branch looked up. */
function satConfiguration(site: Repository, cos: Repository & { integration: string }) {
  return {
    layers: [
      {
        ...{ name: "cos-2.5.97", clone_url: cos.url, commit: cos.commit, playbook: "cos-compute.yml" },
        special_parameters: { ims_require_dkms: true },
      },
      { name: "slurm", clone_url: cos.url, commit: cos.integration, playbook: "slurm.yml" },
      { name: "site", clone_url: site.url, commit: site.commit, playbook: "site.yml" },
      { name: "source", source: "site-source", commit: site.commit, playbook: "source.yml" },
    ],
    additional_inventory: { name: "inventory", clone_url: site.url, commit: site.commit },
  };
}

/** As sat leaves branches to CFS v3, which `drop_branches` makes forget them. */
function withBranches(sent: ReturnType<typeof satConfiguration>) {
  const branch = <R extends { commit: string }>(repository: R) => {
    const { commit: _, ...rest } = repository;
    return { ...rest, branch: "main" };
  };
  return {
    layers: sent.layers.map((layer) => (layer.name === "site" || layer.name === "source" ? branch(layer) : layer)),
    additional_inventory: branch(sent.additional_inventory),
  };
}

function satTemplate({ link, name: image }: Image) {
  return {
    ...{ name, enable_cfs: true, cfs: { configuration: name } },
    boot_sets: {
      compute: {
        ...{ path: link.path, etag: link.etag, type: link.type, arch: "X86", node_roles_groups: ["Compute"] },
        kernel_parameters: `ip=dhcp quiet image=${image}`,
        rootfs_provider: "sbps",
        rootfs_provider_passthrough: "sbps:v1:iqn.2023-06.csm.iscsi:_sbps-hsn._tcp.sys.example.org:300",
      },
    },
  };
}

describe("a bootprep file by our command and by sat", () => {
  let site: Repository;
  let cos: Repository & { integration: string };
  let ours: StandIn;
  let theirs: StandIn;
  let run: { readonly id: string; readonly status: string };

  /** Each has its own recipe, which the catalog that it sees names. */
  async function openSide() {
    let recipe = "";
    const data = () => ({
      configuration: { clone_url: cos.url, commit: cos.commit },
      recipes: { "compute-uss": { id: recipe } },
    });
    const catalog = { products: async () => [{ name: "cos", version: "2.5.97", data: data() }] };
    const side = await openStandIn({ catalog });
    recipe = (await plantRecipe(side.house, "uss-compute")).id;
    await side.ask("POST", "/apis/cfs/v3/sources", {
      ...{ name: "site-source", clone_url: site.url },
      credentials: { username: "crayvcs", password: "secret" },
    });
    return { side, recipe };
  }

  before(async () => {
    const folder = await makeFolder();
    site = await makeRepository(join(folder, "site"), { "site.yml": "[]\n", "source.yml": "[]\n" });
    const repository = await makeRepository(join(folder, "cos"), { "cos-compute.yml": "[]\n" });
    await repository.git("checkout", "-q", "-b", "integration");
    const later = await makeRepository(repository.url, { "slurm.yml": "[]\n" });
    cos = { ...later, commit: repository.commit, integration: later.commit };
  });
  after(async () => {
    await ours.close();
    await theirs.close();
  });

  test("our command", async () => {
    ours = (await openSide()).side;
    const variables = ["recipe.version=25.3.0", "default.note=", "cos.version=2.5.97"];
    run = await runFile(ours, { file: "bootprep.yaml", text: text(site), directory: "/", variables });
    assert.equal(run.status, "succeeded", JSON.stringify(run));
  });

  test("what sat sends", async () => {
    const opened = await openSide();
    theirs = opened.side;
    const { ask, work } = theirs;
    const poll = async <T>(path: string, isDone: (found: T) => boolean): Promise<T> => {
      for (let times = 0; times < 20; times += 1) {
        await work();
        const found = await ask<T>("GET", path);
        if (isDone(found)) return found;
      }
      return assert.fail(`${path} does not come to an end`);
    };

    await ask("GET", "/apis/cfs/v3/configurations");
    const sent = withBranches(satConfiguration(site, cos));
    await ask("PUT", `/apis/cfs/v3/configurations/${name}?drop_branches=True`, sent);
    await ask("GET", `/apis/ims/v3/recipes/${opened.recipe}`);
    await ask("GET", `/apis/cfs/v3/configurations/${name}`);
    await ask("GET", "/apis/ims/v3/images");
    await ask("GET", "/apis/ims/v3/public-keys");
    const key = await ask<{ id: string }>("POST", "/apis/ims/v3/public-keys", {
      name: "public key for sat",
      public_key: "ssh-ed25519 AAAA sat",
    });
    const job = await ask<{ id: string }>("POST", "/apis/ims/v3/jobs", {
      ...{ job_type: "create", artifact_id: opened.recipe, public_key_id: key.id },
      image_root_archive_name: "uss-compute-base",
    });
    const built = await poll<{ status: string; resultant_image_id: string }>(
      `/apis/ims/v3/jobs/${job.id}`,
      ({ status }) => status === "success",
    );
    await ask("GET", `/apis/ims/v3/images/${built.resultant_image_id}`);
    await ask("GET", "/apis/cfs/v3");
    const session = "sat-0f3f9a1e-58a2-4f2f-9d0e-2f4f5a8f1c55";
    await ask("POST", "/apis/cfs/v3/sessions", {
      ...{ name: session, configuration_name: name },
      target: {
        definition: "image",
        groups: ["Compute", "Slurm"].map((group) => ({ name: group, members: [built.resultant_image_id] })),
        image_map: [{ source_id: built.resultant_image_id, result_name: "compute-uss-compute-base" }],
      },
    });
    const ended = await poll<{ status: { session: { status: string; succeeded: string } } }>(
      `/apis/cfs/v3/sessions/${session}`,
      ({ status }) => status.session.status === "complete",
    );
    assert.equal(ended.status.session.succeeded, "true");
    const image = (await ask<Image[]>("GET", "/apis/ims/v3/images")).find(isConfigured);
    assert.ok(image);
    await ask("GET", "/apis/bos/v2/sessiontemplates");
    await ask("PUT", `/apis/bos/v2/sessiontemplates/${name}`, satTemplate(image));
  });

  test("the configurations are the same", async () => {
    const of = async ({ ask }: StandIn) => {
      const { last_updated: _, ...rest } = await ask<Record<string, unknown>>(
        "GET",
        `/apis/cfs/v3/configurations/${name}`,
      );
      return rest;
    };
    assert.deepEqual(await of(ours), await of(theirs));
  });

  test("the images have the same names, and were made in the same way", async () => {
    const of = async ({ house, ask }: StandIn) => {
      const images = await ask<Image[]>("GET", "/apis/ims/v3/images");
      const made = images.map(async (image) => {
        const request = await house.builds.lastRequest(image.name);
        assert.ok(request, image.name);
        const { name: configuration, layers, additionalInventory } = request.configuration ?? {};
        const commits = layers?.map(({ url, playbook, commit }) => ({ url, playbook, commit }));
        return [image.name, request.groups, configuration, commits, additionalInventory?.commit];
      });
      return (await Promise.all(made)).toSorted();
    };
    const images = await of(ours);
    assert.deepEqual(
      images.map(([image]) => image),
      ["compute-uss-compute-base", "uss-compute-base"],
    );
    assert.deepEqual(images, await of(theirs));
  });

  test("the session templates are the same", async () => {
    // Each side's image has an id of its own.
    const of = async ({ ask }: StandIn) => {
      const template = await ask<Template>("GET", `/apis/bos/v2/sessiontemplates/${name}`);
      const { id, link } = (await ask<Image[]>("GET", "/apis/ims/v3/images")).find(isConfigured) ?? assert.fail();
      const { path, etag, type, ...set } = template.boot_sets["compute"] ?? assert.fail();
      assert.deepEqual({ path, etag, type }, link);
      assert.equal(path, `s3://boot-images/${id}/manifest.json`);
      return { ...template, boot_sets: { compute: set } };
    };
    assert.deepEqual(await of(ours), await of(theirs));
  });

  test("the files that --save-files writes are what sat sends", async () => {
    const { items } = await ours.ask<{ items: unknown[] }>("GET", `/apis/netkiln/v1/bootprep/runs/${run.id}/payloads`);
    const images = await ours.ask<Image[]>("GET", "/apis/ims/v3/images");
    const image = images.find(isConfigured);
    assert.ok(image);
    assert.deepEqual(items, [
      { section: "configuration", name, body: satConfiguration(site, cos) },
      { section: "session_template", name, body: satTemplate(image) },
    ]);
  });
});
