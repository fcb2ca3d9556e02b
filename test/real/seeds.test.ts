/**
 * Procedures that sites have in their handbooks, as the HTTP calls that their clients make of them: a node for builds
 * out of the product catalog, configured, customised, locked and registered; in that order, with the files as they are
 * printed there. Real builds; needs root. The boot in between is in the journey of the demo, which has a kernel.
 */
import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { parse } from "yaml";
import { preparedData } from "../support/prepared.ts";
import { send } from "../support/send.ts";
import { startServer, waitUntil, type TestServer } from "../support/server.ts";
import { makeSite, type Site } from "../support/site.ts";

const gateway = "https://api-gw-service-nmn.local";
const cloneUrl = `${gateway}/vcs/cray/csm-config-management.git`;
const xname = "x3000c0s19b4n0";

const playbook = `- hosts: Application
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: "podman\\n", dest: /etc/build-node, mode: "0644"}
`;

let site: Site;
let server: TestServer;
let authorization: string;
let commit: string;
let baseImage: string;

before(async () => {
  site = await makeSite();
  commit = await site.commit({ "ims_computes.yml": playbook });
  const config = join(site.folder, "netkiln.yaml");
  const repositories = { "cray/csm-config-management": join(site.folder, "ansible") };
  await writeFile(config, JSON.stringify({ sat: { gateway, repositories } }));
  server = await startServer({
    data: await preparedData(),
    cwd: site.folder,
    args: ["--listen", "127.0.0.1:0"],
    environment: { NETKILN_CONFIG: config },
  });
  const { secret } = await server.json<{ secret: string }>("tokens", "create", "seeds");
  authorization = `Bearer ${secret}`;
});

after(async () => {
  await server.stop();
  await rm(server.data, { recursive: true });
  await site.clear();
});

/** Sends JSON as cray does; the answer has to have this status. */
async function call<T>(method: string, path: string, status: number, body?: unknown): Promise<T> {
  const answer = await send({ url: server.admin ?? "" }, method, path, {
    body: body === undefined ? "" : JSON.stringify(body),
    headers: { authorization, ...(body !== undefined && { "content-type": "application/json" }) },
  });
  assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`);
  return (answer.body === "" ? undefined : JSON.parse(answer.body)) as T;
}

test("an image of CSM's release is in the product catalog", async () => {
  const built = await server.cli("builds", "start", "compute-csm-1.5-5.2.55-x86_64", "--recipe", "tiny", "--follow");
  assert.equal(built.exitCode, 0, built.stderr);
  const [image] = await call<{ id: string }[]>("GET", "/apis/ims/v3/images", 200);
  await mkdir(join(site.folder, "catalog"));
  await writeFile(
    join(site.folder, "catalog/csm.yaml"),
    JSON.stringify({
      csm: {
        "1.5.1": {
          configuration: { clone_url: cloneUrl, commit, import_branch: "cray/csm/1.16.28" },
          images: { "compute-csm-1.5-5.2.55-x86_64": { id: image?.id } },
        },
      },
    }),
  );
  assert.equal((await server.cli("products", "import", "catalog/csm.yaml")).exitCode, 0);

  const map = await call<{ data: { csm: string } }>(
    "GET",
    "/api/v1/namespaces/services/configmaps/cray-product-catalog",
    200,
  );
  const csm = parse(map.data.csm) as Record<string, { images: Record<string, { id: string }>; configuration: object }>;
  baseImage = csm["1.5.1"]?.images["compute-csm-1.5-5.2.55-x86_64"]?.id ?? "";
  assert.equal(baseImage, image?.id);
});

test("a configuration is made of the catalog's repository", async () => {
  const layers = [{ clone_url: cloneUrl, commit, playbook: "ims_computes.yml" }];
  const made = await call<{ last_updated: string }>("PUT", "/apis/cfs/v3/configurations/remote-ims-node", 200, {
    layers,
  });
  assert.match(made.last_updated, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(made, { last_updated: made.last_updated, layers, name: "remote-ims-node" });
});

interface Session {
  status: {
    session: { status: string; succeeded: string };
    artifacts: { image_id: string; result_id: string; type: string }[];
  };
}
interface ImsImage {
  id: string;
  name: string;
  arch: string;
  link: { path: string; etag: string; type: string };
}

let customised: ImsImage;

test("a session customises the image", async () => {
  // The contract of CFS has no underscore in names of sessions, so x86_64 is written otherwise here.
  const name = "build-ims-remote-image-x86-64";
  await call("POST", "/apis/cfs/v2/sessions", 200, {
    name,
    configurationName: "remote-ims-node",
    target: {
      definition: "image",
      groups: [{ name: "Application", members: [baseImage] }],
      image_map: [{ source_id: baseImage, result_name: "ims-remote-image-x86_64" }],
    },
  });
  let session: Session | undefined;
  await waitUntil(300, async () => {
    session = await call<Session>("GET", `/apis/cfs/v2/sessions/${name}`, 200);
    return session.status.session.status === "complete";
  });
  assert.equal(session?.status.session.succeeded, "true");
  const [artifact] = session.status.artifacts;
  assert.deepEqual(artifact, {
    image_id: baseImage,
    result_id: artifact?.result_id,
    type: "ims_customized_image",
  });
  customised = await call<ImsImage>("GET", `/apis/ims/v3/images/${artifact?.result_id}`, 200);
  assert.equal(customised.name, "ims-remote-image-x86_64");
  assert.equal(customised.arch, "x86_64");
  assert.equal(customised.link.path, `s3://boot-images/${customised.id}/manifest.json`);
});

test("a template names it; what has no kernel is not booted, and that is told", async () => {
  const { id, link } = customised;
  const set = {
    kernel_parameters: `ip=dhcp quiet spire_join_token=\${SPIRE_JOIN_TOKEN} root=live:s3://boot-images/${id}/rootfs nmd_data=url=s3://boot-images/${id}/rootfs,etag=${link.etag}`,
    node_roles_groups: ["Compute"],
    etag: link.etag,
    arch: "X86",
    path: link.path,
    type: "s3",
  };
  const made = await call<object>("PUT", "/apis/bos/v2/sessiontemplates/bos_ims_remote_node", 200, {
    boot_sets: { compute: set },
    cfs: { configuration: "remote-ims-node" },
  });
  assert.deepEqual(made, {
    boot_sets: { compute: set },
    cfs: { configuration: "remote-ims-node" },
    name: "bos_ims_remote_node",
    tenant: "",
  });
  await call("POST", "/apis/smd/hsm/v2/State/Components", 204, {
    Components: [{ ID: xname, Type: "Node", State: "Off", Enabled: true, Role: "Compute", Arch: "X86", NID: 1 }],
  });
  const boot = { template_name: "bos_ims_remote_node", operation: "boot", limit: xname };
  const { detail } = await call<{ detail: string }>("POST", "/apis/bos/v2/sessions", 400, boot);
  assert.match(detail, /has no kernel and initrd, so it cannot be booted/);
});

test("the node is locked, looked at, and unlocked", async () => {
  const done = { Counts: { Total: 1, Success: 1, Failure: 0 }, Success: { ComponentIDs: [xname] }, Failure: [] };
  const locks = "/apis/smd/hsm/v2/locks";
  assert.deepEqual(await call("POST", `${locks}/lock`, 200, { ComponentIDs: [xname] }), done);
  const { Components } = await call<{ Components: object[] }>("POST", `${locks}/status`, 200, {
    ComponentIDs: [xname],
  });
  assert.deepEqual(Components, [{ ID: xname, Locked: true, Reserved: false, ReservationDisabled: false }]);
  assert.deepEqual(await call("POST", `${locks}/unlock`, 200, { ComponentIDs: [xname] }), done);
});

test("it is registered for builds, and told why it takes none", async () => {
  const nodes = "/apis/ims/v3/remote-build-nodes";
  assert.deepEqual(await call("POST", nodes, 201, { xname }), { xname });
  assert.deepEqual(await call("GET", nodes, 200), [{ xname }]);
  const status = await call<{ ableToRunJobs: boolean; sshStatus: string }>("GET", `${nodes}/status/${xname}`, 200);
  assert.equal(status.ableToRunJobs, false);
  assert.notEqual(status.sshStatus, "");
  await call("DELETE", `${nodes}/${xname}`, 204);
  assert.deepEqual(await call("GET", nodes, 200), []);
});
